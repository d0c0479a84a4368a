//! The calls to GitHub's REST API.
//!
//! Input: a JWT of the App, or a token. Output: what GitHub returns, as types that only this folder can make, so that a token
//! cannot be minted before its installation is confirmed.
//! Invariant: GitHub's error text is classified in [`error`] and dropped. Nothing here decides about scope
//! ([`crate::proof`] does).

pub mod client;
pub mod error;
pub mod request;
pub mod responses;
pub mod token;

use std::fmt;

/// A call, by the name that the log uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum Call {
    /// `GET /repos/{owner}/{repo}/installation`
    Confirm,
    /// `POST /app/installations/{installation_id}/access_tokens`
    Mint,
    /// `GET /installation/repositories`
    ListRepositories,
    /// `DELETE /installation/token`
    Revoke,
}

impl Call {
    /// The name in log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Mint => "mint",
            Self::ListRepositories => "list_repositories",
            Self::Revoke => "revoke",
        }
    }

    /// Whether the App itself is authenticated, by its JWT. The other calls use a new token.
    const fn uses_jwt(self) -> bool {
        matches!(self, Self::Confirm | Self::Mint)
    }
}

impl fmt::Display for Call {
    /// The name in error messages, which users match.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirm => "repository-installation",
            Self::Mint => "installation-token",
            Self::ListRepositories => "installation-repositories",
            Self::Revoke => "token-revocation",
        })
    }
}
