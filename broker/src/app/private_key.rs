//! A PEM as people paste it -> an RSA key that can sign, or what exactly is wrong with it. Pure.
//!
//! In: the text of the private-key parameter. Out: a [`PrivateKey`], or a [`KeyDefect`] that names the fault and
//! carries no byte of the text. Accepted are PKCS#1 and PKCS#8, with CRLF, literal `\n`, quotes or blanks round it,
//! lost line breaks, or the whole file in base64.

use std::fmt;

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64ct::{Base64, Encoding};
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

use crate::error_type::ErrorType;

/// The GitHub App's RSA key, 2048 to 8192 bits. AWS-LC holds it, and wipes it when it is dropped.
pub struct PrivateKey(KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([REDACTED])")
    }
}

impl PrivateKey {
    /// Reads the key from the text of a parameter.
    pub fn parse(text: &SecretString) -> Result<Self, KeyDefect> {
        let pem = Pem::find(text.expose_secret())?;
        let key = match pem.kind {
            Kind::Pkcs1 => KeyPair::from_der(&pem.der),
            Kind::Pkcs8 => KeyPair::from_pkcs8(&pem.der),
        };
        key.map(Self)
            .map_err(|rejected| match rejected.description_() {
                "TooSmall" => KeyDefect::TooSmall,
                "TooLarge" => KeyDefect::TooLarge,
                "WrongAlgorithm" => KeyDefect::OtherAlgorithm,
                _ => KeyDefect::NotAKey,
            })
    }

    /// The RS256 signature of a message: RSASSA-PKCS1-v1_5 with SHA-256. `None` only if AWS-LC itself fails.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }
}

/// Why a text is not a private key that can sign for a GitHub App.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDefect {
    /// No `-----BEGIN` line, and the text is not base64 of a file that has one.
    NoArmour,
    /// The armour lines are gone; what is left is the key's body.
    ArmourLost,
    /// There is a `-----BEGIN` line and no `-----END` line.
    Truncated,
    /// The text between the armour lines is not base64.
    NotBase64,
    /// A public key.
    Public,
    /// A certificate.
    Certificate,
    /// A key in OpenSSH's own format.
    OpenSsh,
    /// A key that needs a passphrase.
    Encrypted,
    /// A PEM of a kind that holds no private key.
    OtherKind,
    /// A private key of another algorithm, such as EC.
    OtherAlgorithm,
    /// An RSA key under 2048 bits.
    TooSmall,
    /// An RSA key over 8192 bits.
    TooLarge,
    /// The body is not a whole and consistent key.
    NotAKey,
}

impl KeyDefect {
    /// Every defect there is.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 13] = [
        Self::NoArmour,
        Self::ArmourLost,
        Self::Truncated,
        Self::NotBase64,
        Self::Public,
        Self::Certificate,
        Self::OpenSsh,
        Self::Encrypted,
        Self::OtherKind,
        Self::OtherAlgorithm,
        Self::TooSmall,
        Self::TooLarge,
        Self::NotAKey,
    ];

    /// The stable name of this defect's class.
    pub const fn error_type(self) -> ErrorType {
        match self {
            Self::NoArmour | Self::ArmourLost | Self::Truncated | Self::NotBase64 => {
                ErrorType::PrivateKeyNotPem
            }
            Self::Encrypted
            | Self::OpenSsh
            | Self::OtherKind
            | Self::NotAKey
            | Self::TooSmall
            | Self::TooLarge => ErrorType::PrivateKeyUnreadable,
            Self::Public | Self::Certificate | Self::OtherAlgorithm => ErrorType::PrivateKeyNotRsa,
        }
    }
}

impl fmt::Display for KeyDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, detail) = match self {
            Self::NoArmour => (NOT_PEM, "it has no BEGIN line"),
            Self::ArmourLost => (
                NOT_PEM,
                "the BEGIN and END lines were lost, only what stood between them is there",
            ),
            Self::Truncated => (NOT_PEM, "it has no END line, so a part of it was lost"),
            Self::NotBase64 => (
                NOT_PEM,
                "what stands between the BEGIN and END lines is not base64",
            ),
            Self::Encrypted => (UNREADABLE, "it is encrypted with a passphrase"),
            Self::OpenSsh => (
                UNREADABLE,
                "it is in OpenSSH's own format, not one of GitHub's",
            ),
            Self::OtherKind => (UNREADABLE, "it is a PEM, but of no private key"),
            Self::NotAKey => (UNREADABLE, "it is incomplete or damaged"),
            Self::TooSmall => (UNREADABLE, "it has fewer than 2048 bits"),
            Self::TooLarge => (UNREADABLE, "it has more than 8192 bits"),
            Self::Public => (NOT_RSA, "this is a public key"),
            Self::Certificate => (NOT_RSA, "this is a certificate"),
            Self::OtherAlgorithm => (NOT_RSA, "this is a key of another algorithm"),
        };
        write!(f, "{text}: {detail}")
    }
}

const NOT_PEM: &str = "decode GitHub App private key PEM";
const UNREADABLE: &str = "parse GitHub App private key";
const NOT_RSA: &str = "GitHub App private key must be RSA";

struct Pem {
    kind: Kind,
    der: Zeroizing<Vec<u8>>,
}

enum Kind {
    Pkcs1,
    Pkcs8,
}

impl Pem {
    /// Finds the one PEM block in a text, or in the text that its base64 stands for.
    fn find(text: &str) -> Result<Self, KeyDefect> {
        if text.contains(BEGIN) {
            return Self::parse(text);
        }
        let decoded = decode(text.trim_matches(is_wrapping)).ok_or(KeyDefect::NoArmour)?;
        match std::str::from_utf8(&decoded) {
            Ok(file) if file.contains(BEGIN) => Self::parse(file),
            // Both key formats are an ASN.1 SEQUENCE, whose tag is 0x30.
            _ if decoded.first() == Some(&0x30) => Err(KeyDefect::ArmourLost),
            _ => Err(KeyDefect::NoArmour),
        }
    }

    /// Takes the block apart without looking at lines, so that CRLF, literal `\n` and lost line breaks are all the same.
    fn parse(text: &str) -> Result<Self, KeyDefect> {
        let (_, rest) = text.split_once(BEGIN).ok_or(KeyDefect::NoArmour)?;
        let (label, rest) = rest.split_once(DASHES).ok_or(KeyDefect::Truncated)?;
        let kind = match label {
            "RSA PRIVATE KEY" => Kind::Pkcs1,
            "PRIVATE KEY" => Kind::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => return Err(KeyDefect::Encrypted),
            "OPENSSH PRIVATE KEY" => return Err(KeyDefect::OpenSsh),
            "EC PRIVATE KEY" | "EC PARAMETERS" | "DSA PRIVATE KEY" => {
                return Err(KeyDefect::OtherAlgorithm);
            }
            "CERTIFICATE" => return Err(KeyDefect::Certificate),
            label if label.ends_with("PUBLIC KEY") => return Err(KeyDefect::Public),
            _ => return Err(KeyDefect::OtherKind),
        };
        let (body, end) = rest.split_once(END).ok_or(KeyDefect::Truncated)?;
        if !end.starts_with(label) {
            return Err(KeyDefect::Truncated);
        }
        // The old way to encrypt a PKCS#1 PEM: headers within the block (RFC 1421).
        if body.contains("Proc-Type:") {
            return Err(KeyDefect::Encrypted);
        }
        let der = decode(body).ok_or(KeyDefect::NotBase64)?;
        Ok(Self { kind, der })
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What people's tools put round a value.
fn is_wrapping(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '\u{feff}')
}

/// Base64 to bytes, past all blanks and line breaks, literal `\n` and `\r` too; in constant time for a given length.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Big enough from the start: a buffer that grows would leave copies behind.
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    for (index, part) in text.split('\\').enumerate() {
        let part = match index {
            0 => part,
            _ => part.strip_prefix(['n', 'r'])?,
        };
        for word in part.split_whitespace() {
            compact.push_str(word);
        }
    }
    let mut bytes = Zeroizing::new(vec![0; compact.len()]);
    let length = Base64::decode(compact.as_str(), &mut bytes).ok()?.len();
    bytes[length..].zeroize();
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}

#[cfg(test)]
mod tests;
