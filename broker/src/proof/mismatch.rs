//! How a granted token differs from the configured scope, in our own words. Pure.
//!
//! Output: the text of a `TokenNotProven` error. It repeats nothing from GitHub except the name of a permission, and that only
//! if it looks like one.

use std::fmt;

use crate::scope::Permissions;

/// One mismatch, as a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The response has no `expires_at`.
    NoExpiration,
    /// `expires_at` is not an RFC 3339 time of at most 40 characters.
    ExpirationUnreadable,
    /// The token has expired.
    AlreadyExpired,
    /// The token is valid for more than 65 minutes.
    LifetimeTooLong,
    /// The response has no readable `permissions`.
    PermissionsUnknown,
    /// A configured permission was not granted.
    MissingPermission(String),
    /// A permission was granted that is not configured.
    UnexpectedPermission(String),
    /// A permission was granted at a different level.
    WrongLevel(String),
    /// The token is for all repositories of the installation.
    AllRepositories,
    /// The token is for no repository, or for more than one.
    WrongRepositoryCount(u64),
    /// The token is for one repository with a different name.
    WrongRepository,
    /// The repository has the configured name and a different ID.
    WrongRepositoryId,
    /// GitHub did not say which repositories the token is for, also when asked with the token.
    RepositoriesUnknown,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExpiration => {
                f.write_str("GitHub installation-token response did not include an expiration")
            }
            Self::ExpirationUnreadable => f.write_str("its expiration cannot be read"),
            Self::AlreadyExpired => f.write_str("it has already expired"),
            Self::LifetimeTooLong => f.write_str("it is valid for more than 65 minutes"),
            Self::PermissionsUnknown => f.write_str("its permissions are unknown"),
            Self::MissingPermission(name) => {
                write!(f, "{} is missing", Permission(name))
            }
            Self::UnexpectedPermission(name) => {
                write!(f, "{} was granted but not configured", Permission(name))
            }
            Self::WrongLevel(name) => {
                write!(f, "{} has a different level", Permission(name))
            }
            Self::AllRepositories => f.write_str("it is not limited to selected repositories"),
            Self::WrongRepositoryCount(count) => write!(f, "it is for {count} repositories"),
            Self::WrongRepository => f.write_str("it is for a different repository"),
            Self::WrongRepositoryId => f.write_str("its repository has a different ID"),
            Self::RepositoriesUnknown => f.write_str("its repositories are unknown"),
        }
    }
}

/// The name of a permission, if it can be repeated.
struct Permission<'a>(&'a str);

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if Permissions::is_printable(self.0) {
            write!(f, "permission {}", self.0)
        } else {
            f.write_str("a permission with an unusual name")
        }
    }
}

/// A response can list thousands of permissions, and a message has a sentence or two.
const SHOWN: usize = 8;

/// Writes all mismatches as one sentence without its full stop.
pub fn write_all(f: &mut fmt::Formatter<'_>, mismatches: &[Mismatch]) -> fmt::Result {
    let (lead, rest): (Vec<_>, Vec<_>) = mismatches
        .iter()
        .partition(|mismatch| **mismatch == Mismatch::NoExpiration);
    // Users match this text at the beginning of the message. The others follow it.
    let mut separator = if lead.is_empty() {
        "GitHub granted a different token than configured: "
    } else {
        "; "
    };
    if let Some(lead) = lead.first() {
        write!(f, "{lead}")?;
    }
    for mismatch in rest.iter().take(SHOWN) {
        write!(f, "{separator}{mismatch}")?;
        separator = "; ";
    }
    match rest.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "; and {more} more mismatches"),
    }
}
