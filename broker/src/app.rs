//! The GitHub App: who it is, and how it proves that.

pub mod clock;
pub mod credentials;
pub mod jwt;
pub mod private_key;
pub mod signer;

use std::fmt;

use serde::Serialize;

use crate::scope::positive_integer;

/// The client ID of a GitHub App, or its numeric App ID. GitHub accepts both as the issuer of a JWT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// Ignores surrounding whitespace. `None` if the rest cannot be a client ID, so that a value that was stored in the
    /// wrong place is never signed and sent.
    pub fn parse(text: &str) -> Option<Self> {
        let is_usable = Self::is_supported(text)
            && !is_placeholder(text.trim())
            && !is_token_or_secret(text.trim());
        is_usable.then(|| Self(text.trim().to_owned()))
    }

    /// Whether it is 1 to 64 letters, digits, dots, underscores or hyphens, without surrounding whitespace.
    pub fn is_supported(text: &str) -> bool {
        let text = text.trim();
        let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&text.len()) && text.bytes().all(supported)
    }

    /// Whether a rejected text may be a secret: a key, a token, a client secret, or as long as one of them.
    pub fn may_be_secret(text: &str) -> bool {
        let text = text.trim();
        text.contains("PRIVATE KEY") || text.len() > 64 || is_token_or_secret(text)
    }

    /// The text, as it goes into the JWT.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a tool writes for "no value", or for an App ID that it took for a floating-point number.
fn is_placeholder(text: &str) -> bool {
    let is_word = ["undefined", "null", "none", "nil", "true", "false"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit());
    is_word || (text.parse::<f64>().is_ok() && !is_integer)
}

/// Whether it has the form of a token of GitHub (`ghp_...`, `github_pat_...`) or of an App's client secret, 40 hexadecimal
/// digits. [GitHub's token
/// formats](https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/)
fn is_token_or_secret(text: &str) -> bool {
    let is_token = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    is_token || (text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// GitHub's number for one installation of an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InstallationId(u64);

impl InstallationId {
    /// Ignores surrounding whitespace. `None` unless the rest is a positive whole number in digits only.
    pub fn parse(text: &str) -> Option<Self> {
        positive_integer(text.trim()).map(Self)
    }

    /// `None` for 0, which GitHub never assigns.
    pub fn from_number(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_or_app_id_is_accepted() {
        for text in [
            "Iv23liEXAMPLE0000000",
            "Iv1.0123456789abcdef",
            " 123456\n",
            "a",
            &"x".repeat(64),
        ] {
            let id = ClientId::parse(text);
            assert_eq!(id.as_ref().map(ClientId::as_str), Some(text.trim()));
        }
    }

    #[test]
    fn value_that_cannot_be_a_client_id_is_rejected() {
        for text in [
            "",
            " ",
            "4.47597e+06",
            "4.47597e06",
            "4475970.0",
            "nan",
            "\"Iv23liEXAMPLE\"",
            "Iv23li\u{200b}EXAMPLE",
            "Iv23li EXAMPLE",
            "Iv23li\nEXAMPLE",
            "undefined",
            "NULL",
            "{\"client_id\":\"Iv23li\"}",
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "ghs_0123456789abcdefghijABCDEFGHIJ012345",
            "github_pat_11ABCDEFG0",
            "0123456789abcdef0123456789abcdef01234567",
            &"x".repeat(65),
            &"x".repeat(4000),
        ] {
            assert_eq!(ClientId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rejected_text_that_may_be_secret_is_recognized() {
        for text in [
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            " ghs_0123456789abcdefghijABCDEFGHIJ012345\n",
            "ghp_a",
            "github_pat_11ABCDEFG0",
            "0123456789abcdef0123456789abcdef01234567",
            &"x".repeat(65),
        ] {
            assert!(ClientId::may_be_secret(text), "{text}");
        }
        for text in ["", "undefined", "4.47597e+06", "Iv23li\nEXAMPLE", "{}"] {
            assert!(!ClientId::may_be_secret(text), "{text}");
        }
    }

    #[test]
    fn installation_id_is_a_number_with_surrounding_whitespace() {
        assert_eq!(
            InstallationId::parse(" 12345678\n"),
            Some(InstallationId(12_345_678))
        );
        for text in ["", "0", "+1", "1 2", "Iv23li", "12345678.0"] {
            assert_eq!(InstallationId::parse(text), None, "{text}");
        }
    }
}
