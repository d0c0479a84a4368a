//! Installation tokens: what each may do and for how long, and what they look like.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random;

/// A token that GitHub issued.
#[derive(Clone)]
pub struct Token {
    /// The text: a secret.
    pub value: String,
    /// The installation it acts for.
    pub installation_id: u64,
    /// The repositories it is good for; nothing means all that the installation covers.
    pub repository_ids: Option<Vec<u64>>,
    /// What it may do there.
    pub permissions: BTreeMap<String, String>,
    /// Its end, in epoch seconds.
    pub expires_at: i64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// How many more calls do not know it yet.
    pub unknown_for: u32,
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

/// The two shapes of installation tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenShape {
    /// About 520 characters, `ghs_<app>_<jwt>`: github.com since April 2026.
    #[default]
    Long,
    /// 40 characters, `ghs_...`: before, and on GitHub Enterprise Server.
    Short,
}

impl TokenShape {
    pub(crate) fn make(self, app_id: u64) -> String {
        match self {
            Self::Short => format!("ghs_{}", random::letters(36)),
            Self::Long => {
                let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256"}"#);
                let claims =
                    URL_SAFE_NO_PAD.encode(format!(r#"{{"jti":"{}"}}"#, random::letters(86)));
                let signature = URL_SAFE_NO_PAD.encode(random::bytes(256));
                format!("ghs_{app_id}_{header}.{claims}.{signature}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_have_the_lengths_that_github_gives_them() {
        assert_eq!(TokenShape::Short.make(1).len(), 40);
        let long = TokenShape::Long.make(123_456).len();
        assert!((500..=540).contains(&long), "{long}");
    }
}
