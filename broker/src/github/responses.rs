//! The parts of GitHub's responses that the broker reads.
//!
//! GitHub's schema calls most of these fields optional, and so does this file. A field that cannot be read counts as missing
//! and does not affect the others: a missing field fails the proof or is fetched.

use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;

use crate::scope::{Permissions, RepositoryId};

/// `GET /repos/{owner}/{repo}/installation`
#[derive(Deserialize)]
pub(super) struct Installation {
    pub(super) id: Option<u64>,
    pub(super) account: Option<Account>,
    pub(super) suspended_at: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "if_readable")]
    pub(super) permissions: Option<Permissions>,
}

#[derive(Deserialize)]
pub(super) struct Account {
    pub(super) login: Option<String>,
}

/// `POST /app/installations/{installation_id}/access_tokens`: the token alone. The rest is read as a [`Grant`], so that
/// there is a token to revoke even if the rest cannot be read.
#[derive(Deserialize)]
pub(super) struct Minted {
    pub(super) token: Option<SecretString>,
}

/// What GitHub said about a new token.
#[derive(Debug, Default, Clone, Deserialize)]
pub struct Grant {
    #[serde(default, deserialize_with = "if_readable")]
    pub(crate) expires_at: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    pub(crate) permissions: Option<Permissions>,
    #[serde(default, deserialize_with = "if_readable")]
    pub(crate) repository_selection: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    pub(crate) repositories: Option<Vec<GrantedRepository>>,
}

/// GitHub writes 20 characters. Longer text is not repeated in a response or a log line.
const LONGEST_EXPIRY: usize = 40;

impl Grant {
    /// The expiry as GitHub wrote it, if it is a time.
    pub fn readable_expiry(&self) -> Option<&str> {
        let text = self.expires_at.as_deref()?;
        parse_expiry(text).map(|_| text)
    }
}

/// An RFC 3339 time of at most 40 characters.
pub(crate) fn parse_expiry(text: &str) -> Option<SystemTime> {
    if text.len() > LONGEST_EXPIRY {
        return None;
    }
    let time = DateTime::from_str(text, Format::DateTimeWithOffset).ok()?;
    SystemTime::try_from(time).ok()
}

fn if_readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A repository that a token is for, as GitHub names it.
#[derive(Debug, Clone, Deserialize)]
pub struct GrantedRepository {
    pub(crate) id: RepositoryId,
    pub(crate) full_name: String,
}

/// `GET /installation/repositories`, requested with the token itself.
#[derive(Debug, Clone, Deserialize)]
pub struct AccessibleRepositories {
    pub(crate) total_count: u64,
    pub(crate) repository_selection: Option<String>,
    pub(crate) repositories: Vec<GrantedRepository>,
}
