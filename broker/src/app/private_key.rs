//! The App's private key: from a PEM as people paste it to an RSA key that can sign. Pure.
//!
//! Input: the text of the private-key parameter.
//! Output: a [`PrivateKey`], or a [`KeyError`] that says what is wrong and contains no byte of the text.
//!
//! It accepts PKCS#1 and PKCS#8, whatever the BEGIN line says, with CRLF, literal `\n`, surrounding quotes or spaces, lost
//! line breaks, or the whole file in base64.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64ct::{Base64, Encoding};
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

/// The GitHub App's RSA key, 2048 to 8192 bits. AWS-LC owns the memory and wipes it when the key is dropped.
pub struct PrivateKey(KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([REDACTED])")
    }
}

impl PrivateKey {
    /// Reads the key from the text of a parameter.
    ///
    /// # Errors
    /// The text is not an unencrypted RSA private key.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret();
        Self::parse_pem(text).map_err(|error| {
            if error.can_come_from_non_ascii() && !text.is_ascii() {
                KeyError::NonAscii
            } else {
                error
            }
        })
    }

    fn parse_pem(text: &str) -> Result<Self, KeyError> {
        let der = find_der(text)?;
        // Some tools convert the data and keep the BEGIN line, so the content decides.
        let key = if is_pkcs8(&der) {
            KeyPair::from_pkcs8(&der)
        } else {
            KeyPair::from_der(&der)
        };
        key.map(Self)
            .map_err(|rejected| match rejected.description_() {
                "TooSmall" => KeyError::TooSmall,
                "TooLarge" => KeyError::TooLarge,
                "WrongAlgorithm" => KeyError::DifferentAlgorithm,
                _ => KeyError::Damaged,
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

    /// The private key in PKCS#8 and the public key in X.509, both in DER, for a program that imports the key into KMS.
    /// `None` only if AWS-LC itself fails.
    pub fn to_der(&self) -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
        let private: Pkcs8V1Der<'_> = self.0.as_der().ok()?;
        let public: PublicKeyX509Der<'_> = self.0.public_key().as_der().ok()?;
        Some((
            Zeroizing::new(private.as_ref().to_vec()),
            public.as_ref().to_vec(),
        ))
    }

    /// The length of the modulus.
    pub fn bits(&self) -> usize {
        self.0.public_modulus_len() * 8
    }
}

/// Why a text is not a private key that can sign for a GitHub App.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum KeyError {
    /// No `-----BEGIN` line, and the text is not base64 of a file that has one.
    NoBeginLine,
    /// The BEGIN and END lines are gone, and only the body of the key is left.
    OnlyBody,
    /// There is a `-----BEGIN` line and no matching `-----END` line.
    Truncated,
    /// The text between the BEGIN and END lines is not base64.
    NotBase64,
    /// A character such as a long dash or a zero-width space, which an editor or a chat program put there.
    NonAscii,
    /// A public key.
    Public,
    /// A certificate.
    Certificate,
    /// A key in OpenSSH's own format.
    OpenSsh,
    /// A key that needs a passphrase.
    Encrypted,
    /// A PEM file without a private key.
    NoPrivateKey,
    /// A private key of a different algorithm, such as EC.
    DifferentAlgorithm,
    /// An RSA key with fewer than 2048 bits.
    TooSmall,
    /// An RSA key with more than 8192 bits.
    TooLarge,
    /// The body is not a complete and consistent key.
    Damaged,
}

/// The kinds of [`KeyError`], each with a beginning that users match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyErrorKind {
    /// Not a PEM file.
    NotPem,
    /// A PEM file that contains no usable key.
    Unreadable,
    /// A key or a certificate that is not an RSA private key.
    NotRsa,
}

impl KeyError {
    /// The kind of the error.
    pub const fn kind(self) -> KeyErrorKind {
        match self {
            Self::NoBeginLine
            | Self::OnlyBody
            | Self::Truncated
            | Self::NotBase64
            | Self::NonAscii => KeyErrorKind::NotPem,
            Self::Encrypted
            | Self::OpenSsh
            | Self::NoPrivateKey
            | Self::Damaged
            | Self::TooSmall
            | Self::TooLarge => KeyErrorKind::Unreadable,
            Self::Public | Self::Certificate | Self::DifferentAlgorithm => KeyErrorKind::NotRsa,
        }
    }

    const fn can_come_from_non_ascii(self) -> bool {
        matches!(self.kind(), KeyErrorKind::NotPem) || matches!(self, Self::NoPrivateKey)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            KeyErrorKind::NotPem => "decode GitHub App private key PEM: ",
            KeyErrorKind::Unreadable => "parse GitHub App private key: ",
            KeyErrorKind::NotRsa => "GitHub App private key must be RSA: ",
        })?;
        f.write_str(match self {
            Self::NoBeginLine => "there is no BEGIN line",
            Self::OnlyBody => "the BEGIN and END lines are missing",
            Self::Truncated => "the END line is missing, so a part of the key is lost",
            Self::NotBase64 => "the text between the BEGIN and END lines is not base64",
            Self::NonAscii => {
                "it contains a non-ASCII character, such as a long dash or an invisible space"
            }
            Self::Encrypted => "the key is encrypted with a passphrase",
            Self::OpenSsh => "the key is in OpenSSH's own format, which GitHub does not use",
            Self::NoPrivateKey => "it is a PEM file without a private key",
            Self::Damaged => "the key is incomplete or damaged",
            Self::TooSmall => "the key has fewer than 2048 bits",
            Self::TooLarge => "the key has more than 8192 bits",
            Self::Public => "this is a public key",
            Self::Certificate => "this is a certificate",
            Self::DifferentAlgorithm => "this is a key of a different algorithm",
        })
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The ASN.1 tags of the two key formats.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Finds the PEM block in a text, or in the text that its base64 stands for, and decodes its body.
fn find_der(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if text.contains(BEGIN) {
        return decode_pem(text);
    }
    let decoded = decode(text.trim_matches(is_wrapping)).ok_or(KeyError::NoBeginLine)?;
    match std::str::from_utf8(&decoded) {
        Ok(file) => decode_pem(file),
        Err(_) if decoded.first() == Some(&SEQUENCE) => Err(KeyError::OnlyBody),
        Err(_) => Err(KeyError::NoBeginLine),
    }
}

/// Takes the block apart without looking at lines, so that CRLF, literal `\n` and lost line breaks are all the same.
fn decode_pem(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::NoBeginLine)?;
    let (label, rest) = rest.split_once(DASHES).ok_or(KeyError::Truncated)?;
    match label {
        "RSA PRIVATE KEY" | "PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        "OPENSSH PRIVATE KEY" => return Err(KeyError::OpenSsh),
        "EC PRIVATE KEY" | "EC PARAMETERS" | "DSA PRIVATE KEY" => {
            return Err(KeyError::DifferentAlgorithm);
        }
        "CERTIFICATE" => return Err(KeyError::Certificate),
        label if label.ends_with("PUBLIC KEY") => return Err(KeyError::Public),
        _ => return Err(KeyError::NoPrivateKey),
    }
    let (body, end) = rest.split_once(END).ok_or(KeyError::Truncated)?;
    if !end.starts_with(label) {
        return Err(KeyError::Truncated);
    }
    // The old way to encrypt a PKCS#1 PEM file: headers within the block (RFC 1421).
    if body.contains("Proc-Type:") {
        return Err(KeyError::Encrypted);
    }
    decode(body).ok_or(KeyError::NotBase64)
}

/// Whether the data is PKCS#8: a version, then a SEQUENCE with the algorithm. In PKCS#1 the modulus, an INTEGER, follows.
fn is_pkcs8(der: &[u8]) -> bool {
    let [SEQUENCE, length, rest @ ..] = der else {
        return false;
    };
    // The long form: the low bits count the bytes of the length.
    let long_form = if length & 0x80 == 0 { 0 } else { length & 0x7f };
    matches!(
        rest.get(usize::from(long_form)..),
        Some([INTEGER, 1, _, SEQUENCE, ..])
    )
}

/// What people's tools put around a value.
fn is_wrapping(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '\u{feff}')
}

/// Base64 to bytes, in constant time for a given length. It skips spaces and line breaks, also escaped ones: `\n`, `\\n`, and
/// a backslash at the end of a line.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Large enough from the start: a buffer that grows would leave copies behind.
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    for (index, part) in text.split('\\').enumerate() {
        let ends_line = part.is_empty() || part.starts_with(char::is_whitespace);
        let part = match index {
            0 => part,
            _ if ends_line => part,
            _ => part.strip_prefix(['n', 'r', 't'])?,
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
