//! Payload bytes -> nothing was asked for, or something was. Pure.
//!
//! In: the raw bytes of an invocation, in pieces of any size. Out: whether the invocation may go on. It keeps none of
//! them: six megabytes cost as much memory as four bytes.

/// Reads a payload byte by byte. Accepted are no bytes, JSON whitespace, and `null` with such whitespace round it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PayloadJudge(State);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    /// So many bytes of `null` have been read.
    Within(usize),
    After,
    Refused,
}

const NULL: &[u8] = b"null";

impl PayloadJudge {
    /// Takes the next piece of the payload.
    pub fn read(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.0 = self.0.after(byte);
            if self.0 == State::Refused {
                return;
            }
        }
    }

    /// Whether the payload, if it ends here, asks for nothing.
    pub fn asks_for_nothing(self) -> bool {
        matches!(self.0, State::Before | State::After)
    }
}

impl State {
    fn after(self, byte: u8) -> Self {
        match self {
            // The four blanks of JSON, RFC 8259 section 2; no others.
            Self::Before | Self::After if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => self,
            Self::Before if byte == NULL[0] => Self::Within(1),
            Self::Within(read) if byte == NULL[read] && read + 1 == NULL.len() => Self::After,
            Self::Within(read) if byte == NULL[read] => Self::Within(read + 1),
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(payload: &[u8]) -> bool {
        let mut judge = PayloadJudge::default();
        judge.read(payload);
        judge.asks_for_nothing()
    }

    #[test]
    fn only_nothing_is_accepted() {
        for payload in ["", " ", "\r\n\t ", "null", " null\n", "\t\r\nnull  "] {
            assert!(accepted(payload.as_bytes()), "{payload:?}");
        }
        let refused = [
            "{}",
            "[]",
            "\"null\"",
            "Null",
            "NULL",
            "nul",
            "nulll",
            "null\0",
            "\0",
            "null {\"a\":1}",
            "null null",
            "n ull",
            "\u{feff}null",
            "\u{feff}",
            "\u{a0}null",
            "null\u{b}",
            "0",
            "false",
        ];
        for payload in refused {
            assert!(!accepted(payload.as_bytes()), "{payload:?}");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        for payload in [&b" null "[..], b"null", b"nulll", b" nul", b"{}"] {
            for cut in 0..=payload.len() {
                let mut judge = PayloadJudge::default();
                judge.read(&payload[..cut]);
                judge.read(&payload[cut..]);
                assert_eq!(
                    judge.asks_for_nothing(),
                    accepted(payload),
                    "{payload:?} cut at {cut}"
                );
            }
        }
    }

    proptest! {
        /// Bytes of which a payload is likely to be made, in any order and cut anywhere, held against the rule in words.
        #[test]
        fn any_payload_is_judged_by_the_rule(
            payload in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(&b" \t\r\n"[..]).prop_map(|blank| vec![blank]),
                2 => Just(b"null".to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..3),
                1 => prop::sample::select(&b"nul{}\0"[..]).prop_map(|byte| vec![byte]),
            ], 0..6),
            size in 1..5_usize,
        ) {
            let payload = payload.concat();
            let mut judge = PayloadJudge::default();
            for piece in payload.chunks(size) {
                judge.read(piece);
            }
            let core = payload.trim_ascii();
            // `trim_ascii` takes the form feed for a blank, and JSON does not.
            let expected = (core.is_empty() || core == b"null") && !payload.contains(&b'\x0c');
            prop_assert_eq!(judge.asks_for_nothing(), expected);
        }
    }
}
