//! How a token differs from the configuration, in our own words. Pure.
//!
//! In: what [`crate::proof`] found. Out: the text of a `TokenNotProven` error. Nothing of GitHub's is repeated but a
//! permission's name, and that only if it looks like one.

use std::fmt;

use crate::scope::Permissions;

/// One difference, a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The answer has no `expires_at`.
    NoExpiration,
    /// `expires_at` is not an RFC 3339 time.
    ExpirationUnreadable,
    /// The token expires before it was answered.
    AlreadyExpired,
    /// The token lives longer than 65 minutes.
    LivesTooLong,
    /// The answer has no `permissions`, or none that can be read.
    PermissionsUnknown,
    /// A configured permission was not granted.
    PermissionMissing(String),
    /// A permission was granted that was not configured.
    PermissionAdded(String),
    /// A permission was granted at another level.
    PermissionLevel(String),
    /// The token is for all repositories of the installation.
    AllRepositories,
    /// The token is for none, or for more than one.
    RepositoryCount(u64),
    /// The token is for one repository of another name.
    OtherRepository,
    /// The repository has the configured name and another ID.
    OtherRepositoryId,
    /// GitHub did not say, also when asked with the token, which repositories it is for.
    RepositoriesUnknown,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExpiration => write!(
                f,
                "GitHub installation-token response did not include an expiration"
            ),
            Self::ExpirationUnreadable => write!(f, "its expiry cannot be read"),
            Self::AlreadyExpired => write!(f, "it has expired already"),
            Self::LivesTooLong => write!(f, "it is valid for more than 65 minutes"),
            Self::PermissionsUnknown => write!(f, "its permissions are unknown"),
            Self::PermissionMissing(name) => write!(f, "permission {} is missing", shown(name)),
            Self::PermissionAdded(name) => {
                write!(f, "permission {} was not asked for", shown(name))
            }
            Self::PermissionLevel(name) => {
                write!(f, "permission {} has another level", shown(name))
            }
            Self::AllRepositories => write!(f, "it is not limited to selected repositories"),
            Self::RepositoryCount(count) => write!(f, "it is for {count} repositories"),
            Self::OtherRepository => write!(f, "it is for another repository"),
            Self::OtherRepositoryId => write!(f, "it is for a repository of another ID"),
            Self::RepositoriesUnknown => write!(f, "its repositories are unknown"),
        }
    }
}

fn shown(name: &str) -> &str {
    if Permissions::is_showable(name) {
        name
    } else {
        "of an unusual name"
    }
}

/// An answer may name thousands of permissions; a message is a sentence or two.
const SHOWN: usize = 8;

/// All differences in one sentence, without its full stop.
pub(crate) fn write_all(f: &mut fmt::Formatter<'_>, differences: &[Difference]) -> fmt::Result {
    let (lead, rest): (Vec<_>, Vec<_>) = differences
        .iter()
        .partition(|difference| **difference == Difference::NoExpiration);
    // The contract has a text of its own for this one; the others follow it.
    let mut separator = if lead.is_empty() {
        "GitHub granted another token than was configured: "
    } else {
        "; "
    };
    if let Some(lead) = lead.first() {
        write!(f, "{lead}")?;
    }
    for difference in rest.iter().take(SHOWN) {
        write!(f, "{separator}{difference}")?;
        separator = "; ";
    }
    match rest.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "; and {more} more differences"),
    }
}
