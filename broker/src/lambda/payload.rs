//! Whether the payload of an invocation is empty. Pure.
//!
//! Input: the raw bytes, in chunks of any size. Output: whether they are nothing, JSON whitespace, or `null` with such
//! whitespace around it. It keeps none of the bytes, so six megabytes need as much memory as four bytes.

/// Reads a payload byte by byte.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EmptyPayload(State);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    /// The number of bytes of `null` read so far.
    Within(usize),
    After,
    Rejected,
}

const NULL: &[u8] = b"null";

impl EmptyPayload {
    /// Reads the next chunk of the payload.
    pub fn read(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            self.0 = self.0.after(byte);
            if self.0 == State::Rejected {
                return;
            }
        }
    }

    /// Whether the payload is empty if it ends here.
    pub fn is_empty(self) -> bool {
        matches!(self.0, State::Before | State::After)
    }
}

impl State {
    fn after(self, byte: u8) -> Self {
        match self {
            // JSON's four whitespace characters (RFC 8259, section 2) and no others.
            Self::Before | Self::After if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => self,
            Self::Before if byte == NULL[0] => Self::Within(1),
            Self::Within(read) if byte == NULL[read] && read + 1 == NULL.len() => Self::After,
            Self::Within(read) if byte == NULL[read] => Self::Within(read + 1),
            _ => Self::Rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(payload: &[u8]) -> bool {
        let mut payload_check = EmptyPayload::default();
        payload_check.read(payload);
        payload_check.is_empty()
    }

    #[test]
    fn only_an_empty_payload_is_accepted() {
        for payload in ["", " ", "\r\n\t ", "null", " null\n", "\t\r\nnull  "] {
            assert!(accepted(payload.as_bytes()), "{payload:?}");
        }
        let rejected = [
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
        for payload in rejected {
            assert!(!accepted(payload.as_bytes()), "{payload:?}");
        }
    }

    #[test]
    fn chunk_size_makes_no_difference() {
        for payload in [&b" null "[..], b"null", b"nulll", b" nul", b"{}"] {
            for cut in 0..=payload.len() {
                let mut payload_check = EmptyPayload::default();
                payload_check.read(&payload[..cut]);
                payload_check.read(&payload[cut..]);
                assert_eq!(
                    payload_check.is_empty(),
                    accepted(payload),
                    "{payload:?} cut at {cut}"
                );
            }
        }
    }

    proptest! {
        /// Likely bytes of a payload, in any order and cut anywhere, compared with the rule in words.
        #[test]
        fn any_payload_follows_the_rule(
            payload in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(&b" \t\r\n"[..]).prop_map(|space| vec![space]),
                2 => Just(b"null".to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..3),
                1 => prop::sample::select(&b"nul{}\0"[..]).prop_map(|byte| vec![byte]),
            ], 0..6),
            size in 1..5_usize,
        ) {
            let payload = payload.concat();
            let mut payload_check = EmptyPayload::default();
            for chunk in payload.chunks(size) {
                payload_check.read(chunk);
            }
            let core = payload.trim_ascii();
            // `trim_ascii` removes form feeds, which are not whitespace in JSON.
            let expected = (core.is_empty() || core == b"null") && !payload.contains(&b'\x0c');
            prop_assert_eq!(payload_check.is_empty(), expected);
        }
    }
}
