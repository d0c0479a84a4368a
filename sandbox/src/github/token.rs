//! Installation tokens: their scope, their lifetime and their format.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An installation token that GitHub issued.
#[derive(Clone)]
pub struct Token {
    /// The token itself: a secret.
    pub value: String,
    /// The installation it acts for.
    pub installation_id: u64,
    /// The repositories it covers; `None` means all repositories of the installation.
    pub repository_ids: Option<Vec<u64>>,
    /// Its permissions in these repositories.
    pub permissions: BTreeMap<String, String>,
    /// When it expires, in epoch seconds.
    pub expires_at: i64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The number of calls that will still reject it, because it has not propagated yet.
    pub rejections_left: u32,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Token({:?}, {:?}, ..)",
            self.repository_ids, self.permissions
        )
    }
}

/// The two formats of installation tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenFormat {
    /// About 520 characters, `ghs_<app>_<jwt>`: github.com since April 2026.
    #[default]
    Long,
    /// 40 characters, `ghs_...`: before, and on GitHub Enterprise Server.
    Short,
}

impl TokenFormat {
    pub(crate) fn generate(self, app_id: u64) -> String {
        match self {
            Self::Short => format!("ghs_{}", alphanumeric(36)),
            Self::Long => {
                let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256"}"#);
                let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"jti":"{}"}}"#, alphanumeric(86)));
                let signature = URL_SAFE_NO_PAD.encode(random_bytes::<256>());
                format!("ghs_{app_id}_{header}.{claims}.{signature}")
            }
        }
    }
}

/// Random characters out of `A-Za-z0-9`.
pub(crate) fn alphanumeric(count: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(count)
        .collect()
}

fn random_bytes<const N: usize>() -> [u8; N] {
    std::array::from_fn(|_| fastrand::u8(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_the_length_of_github_tokens() {
        assert_eq!(TokenFormat::Short.generate(1).len(), 40);
        let long = TokenFormat::Long.generate(123_456).len();
        assert!((500..=540).contains(&long), "{long}");
    }
}
