//! Random bytes for tokens and IDs, and a seeded generator for faults that must fall the same way twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `count` random bytes from the kernel's generator.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    aws_lc_rs::rand::fill(&mut bytes).expect("the random generator works");
    bytes
}

/// `count` random characters out of `A-Za-z0-9`.
pub(crate) fn letters(count: usize) -> String {
    let mut text = String::new();
    while text.len() < count {
        text.extend(
            URL_SAFE_NO_PAD
                .encode(bytes(count))
                .chars()
                .filter(char::is_ascii_alphanumeric),
        );
    }
    text.truncate(count);
    text
}

/// A request ID in the form of a version 4 UUID, as AWS gives them.
pub(crate) fn uuid() -> String {
    let mut bytes = bytes(16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A small seeded generator (xorshift64*): the same seed gives the same faults.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }
}
