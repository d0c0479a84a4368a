//! What GitHub granted, held against what was configured. Pure.
//!
//! In: a token fresh from GitHub with all that GitHub says of it. Out: a [`ProvenToken`], the only thing that can be
//! returned to a caller; or what differs; or that GitHub has to be asked. It never gives the benefit of a doubt: what
//! an answer leaves out is asked for, and what cannot be asked for fails the proof.

pub mod mismatch;

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use secrecy::ExposeSecret;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct,
};
use serde_json::value::RawValue;

use crate::{
    config::{Config, Repository, RepositoryId},
    github::client::{GrantedToken, InstallationToken},
    proof::mismatch::Difference,
    scope::Permissions,
};

/// GitHub's tokens live for an hour; the rest allows for clocks that differ.
const LONGEST_LIFE: Duration = Duration::from_mins(65);

/// Granted with every token, whether asked for or not: reading a repository's name and the like.
const IMPLIED: (&str, &str) = ("metadata", "read");

/// What GitHub says of a token, in its answer to the mint. The schema calls each of these optional.
#[derive(Debug, Default, Clone, Deserialize)]
pub struct Grant {
    #[serde(default, deserialize_with = "if_readable")]
    expires_at: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    permissions: Option<Permissions>,
    #[serde(default, deserialize_with = "if_readable")]
    repository_selection: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    repositories: Option<Vec<GrantedRepository>>,
}

impl Grant {
    /// The expiry as GitHub wrote it, if it is a time.
    pub(crate) fn readable_expiry(&self) -> Option<&str> {
        self.expires_at
            .as_deref()
            .filter(|text| parse_expiry(text).is_some())
    }
}

/// A field that cannot be read is as good as left out, and does not take the others with it.
fn if_readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A repository that a token is for, as GitHub names it.
#[derive(Debug, Clone, Deserialize)]
pub struct GrantedRepository {
    id: u64,
    full_name: String,
}

/// The answer to `GET /installation/repositories`, asked with the token itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Reach {
    total_count: u64,
    repository_selection: Option<String>,
    repositories: Vec<GrantedRepository>,
}

/// A token that is for the configured repository, with the configured permissions, for about an hour: no more, no less.
///
/// Only [`Examination::conclude`] makes one, and it is the only type that gives a token away.
pub struct ProvenToken {
    token: InstallationToken,
    expires_at: String,
    repository: Repository,
    repository_id: RepositoryId,
    permissions: Permissions,
}

impl ProvenToken {
    /// GitHub's number for the repository.
    pub fn repository_id(&self) -> RepositoryId {
        self.repository_id
    }

    /// What the response says of the repository: the configured owner and name.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

impl Serialize for ProvenToken {
    /// The response of the function.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut response = serializer.serialize_struct("Response", 4)?;
        response.serialize_field("token", self.token.secret().expose_secret())?;
        response.serialize_field("expires_at", &self.expires_at)?;
        response.serialize_field("repositories", &[self.repository.to_string()])?;
        response.serialize_field("permissions", &self.permissions)?;
        response.end()
    }
}

/// A token under examination: what its own answer says has been looked at.
pub struct Examination {
    granted: GrantedToken,
    differences: Vec<Difference>,
    /// The one repository that the token is for, once GitHub has said all that proves it.
    repository: Option<RepositoryId>,
}

impl Examination {
    /// Holds what the answer to the mint says against the configuration. `now` stands in where the answer has no `Date`.
    pub fn begin(granted: GrantedToken, config: &Config, now: SystemTime) -> Self {
        let grant = granted.grant();
        let answered = granted.answered_at().unwrap_or(now);
        let mut differences = Vec::new();
        differences.extend(compare_expiry(grant.expires_at.as_deref(), answered));
        match &grant.permissions {
            Some(permissions) => {
                differences.extend(compare_permissions(&config.permissions, permissions));
            }
            None => differences.push(Difference::PermissionsUnknown),
        }
        // Each is held by itself: what one of them says counts, though the other was left out.
        let selected = grant.repository_selection.as_deref().map(compare_selection);
        let repository = grant
            .repositories
            .as_deref()
            .map(|found| compare_repositories(config, found, found.len() as u64));
        let proven = match (&selected, &repository) {
            (Some(Ok(())), Some(Ok(id))) => Some(*id),
            _ => None,
        };
        differences.extend(selected.and_then(Result::err));
        differences.extend(repository.and_then(Result::err));
        Self {
            granted,
            differences,
            repository: proven,
        }
    }

    /// Whether GitHub has to be asked which repositories the token is for. No need where the token is refused anyhow.
    pub fn needs_reach(&self) -> bool {
        self.repository.is_none() && self.differences.is_empty()
    }

    /// The token, to ask GitHub of it or to revoke it.
    pub fn token(&self) -> &InstallationToken {
        self.granted.token()
    }

    /// Takes GitHub's answer to the question of [`Self::needs_reach`].
    #[must_use]
    pub fn with_reach(mut self, reach: &Reach, config: &Config) -> Self {
        match compare_reach(config, reach) {
            Ok(id) => self.repository = Some(id),
            Err(difference) => self.differences.push(difference),
        }
        self
    }

    /// Proven, or the token back, to be revoked, with all that differs.
    pub fn conclude(
        self,
        config: &Config,
    ) -> Result<ProvenToken, (InstallationToken, Vec<Difference>)> {
        let Self {
            granted,
            mut differences,
            repository,
        } = self;
        match (repository, granted.grant().expires_at.clone()) {
            (Some(repository_id), Some(expires_at)) if differences.is_empty() => Ok(ProvenToken {
                token: granted.into_token(),
                expires_at,
                repository: config.repository.clone(),
                repository_id,
                permissions: config.permissions.clone(),
            }),
            _ => {
                if differences.is_empty() {
                    differences.push(Difference::RepositoriesUnknown);
                }
                Err((granted.into_token(), differences))
            }
        }
    }
}

fn compare_expiry(expires_at: Option<&str>, answered: SystemTime) -> Option<Difference> {
    let Some(text) = expires_at.filter(|text| !text.is_empty()) else {
        return Some(Difference::NoExpiration);
    };
    match parse_expiry(text).map(|expires| expires.duration_since(answered)) {
        None => Some(Difference::ExpirationUnreadable),
        Some(Err(_) | Ok(Duration::ZERO)) => Some(Difference::AlreadyExpired),
        Some(Ok(life)) if life > LONGEST_LIFE => Some(Difference::LivesTooLong),
        Some(Ok(_)) => None,
    }
}

fn parse_expiry(text: &str) -> Option<SystemTime> {
    let time = DateTime::from_str(text, Format::DateTimeWithOffset).ok()?;
    SystemTime::try_from(time).ok()
}

fn compare_permissions(configured: &Permissions, granted: &Permissions) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, level) in configured.iter() {
        match granted.level(name) {
            None => differences.push(Difference::PermissionMissing(name.to_owned())),
            Some(other) if other != level => {
                differences.push(Difference::PermissionLevel(name.to_owned()));
            }
            Some(_) => {}
        }
    }
    for entry @ (name, _) in granted.iter() {
        if configured.level(name).is_none() && entry != IMPLIED {
            differences.push(Difference::PermissionAdded(name.to_owned()));
        }
    }
    differences
}

fn compare_reach(config: &Config, reach: &Reach) -> Result<RepositoryId, Difference> {
    let selection = reach.repository_selection.as_deref();
    compare_selection(selection.ok_or(Difference::RepositoriesUnknown)?)?;
    compare_repositories(config, &reach.repositories, reach.total_count)
}

fn compare_selection(selection: &str) -> Result<(), Difference> {
    if selection == "selected" {
        Ok(())
    } else {
        Err(Difference::AllRepositories)
    }
}

/// The ID of the one repository that the token is for. `found` may be the first page of `total`.
fn compare_repositories(
    config: &Config,
    found: &[GrantedRepository],
    total: u64,
) -> Result<RepositoryId, Difference> {
    let [repository] = found else {
        return Err(Difference::RepositoryCount(total.max(found.len() as u64)));
    };
    if total != 1 {
        return Err(Difference::RepositoryCount(total));
    }
    if !repository
        .full_name
        .eq_ignore_ascii_case(&config.repository.to_string())
    {
        return Err(Difference::OtherRepository);
    }
    match config.repository_id {
        Some(pinned) if pinned.0 != repository.id => Err(Difference::OtherRepositoryId),
        _ => Ok(RepositoryId(repository.id)),
    }
}

#[cfg(test)]
mod tests;
