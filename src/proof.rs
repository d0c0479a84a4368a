//! What GitHub granted, held against what was configured. Pure.
//!
//! In: a token fresh from GitHub with all that GitHub says of it. Out: a [`ProvenToken`], the only thing that can be
//! returned to a caller; or what differs; or that GitHub has to be asked. It never gives the benefit of a doubt: what
//! an answer leaves out is asked for, and what cannot be asked for fails the proof.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};
use secrecy::ExposeSecret;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct,
};
use serde_json::value::RawValue;

use crate::{
    config::{Config, Repository, RepositoryId},
    github::{GrantedToken, InstallationToken},
    permissions::Permissions,
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
    /// The expiry, as GitHub wrote it.
    pub fn expires_at(&self) -> &str {
        &self.expires_at
    }

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

/// How a token differs from the configuration. Each is a sentence's part that repeats nothing of GitHub's but a
/// permission's name, and that only if it looks like one.
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

/// A token under examination: what its own answer says has been looked at.
pub struct Examination {
    granted: GrantedToken,
    differences: Vec<Difference>,
    reach: Option<Reach>,
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
        let reach = grant
            .repositories
            .as_ref()
            .zip(grant.repository_selection.as_ref())
            .map(|(repositories, selection)| Reach {
                total_count: repositories.len() as u64,
                repository_selection: Some(selection.clone()),
                repositories: repositories.clone(),
            });
        Self {
            granted,
            differences,
            reach,
        }
    }

    /// Whether GitHub has to be asked which repositories the token is for. No need where the token is refused anyhow.
    pub fn needs_reach(&self) -> bool {
        self.reach.is_none() && self.differences.is_empty()
    }

    /// The token, to ask GitHub of it or to revoke it.
    pub fn token(&self) -> &InstallationToken {
        self.granted.token()
    }

    /// Takes GitHub's answer to the question of [`Self::needs_reach`].
    #[must_use]
    pub fn with_reach(self, reach: Reach) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }

    /// Proven, or the token back, to be revoked, with all that differs.
    pub fn conclude(
        self,
        config: &Config,
    ) -> Result<ProvenToken, (InstallationToken, Vec<Difference>)> {
        let Self {
            granted,
            mut differences,
            reach,
        } = self;
        let repository = compare_reach(config, reach.as_ref());
        match (repository, granted.grant().expires_at.clone()) {
            (Ok(repository_id), Some(expires_at)) if differences.is_empty() => Ok(ProvenToken {
                token: granted.into_token(),
                expires_at,
                repository: config.repository.clone(),
                repository_id,
                permissions: config.permissions.clone(),
            }),
            (repository, _) => {
                differences.extend(repository.err());
                Err((granted.into_token(), differences))
            }
        }
    }
}

fn compare_expiry(expires_at: Option<&str>, answered: SystemTime) -> Option<Difference> {
    let Some(text) = expires_at.filter(|text| !text.is_empty()) else {
        return Some(Difference::NoExpiration);
    };
    let expires = DateTime::from_str(text, Format::DateTimeWithOffset)
        .ok()
        .and_then(|time| SystemTime::try_from(time).ok());
    match expires.map(|expires| expires.duration_since(answered)) {
        None => Some(Difference::ExpirationUnreadable),
        Some(Err(_) | Ok(Duration::ZERO)) => Some(Difference::AlreadyExpired),
        Some(Ok(life)) if life > LONGEST_LIFE => Some(Difference::LivesTooLong),
        Some(Ok(_)) => None,
    }
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

/// The ID of the one repository that the token is for.
fn compare_reach(config: &Config, reach: Option<&Reach>) -> Result<RepositoryId, Difference> {
    let reach = reach.ok_or(Difference::RepositoriesUnknown)?;
    match reach.repository_selection.as_deref() {
        Some("selected") => {}
        Some(_) => return Err(Difference::AllRepositories),
        None => return Err(Difference::RepositoriesUnknown),
    }
    let [repository] = reach.repositories.as_slice() else {
        return Err(Difference::RepositoryCount(
            reach.total_count.max(reach.repositories.len() as u64),
        ));
    };
    if reach.total_count != 1 {
        return Err(Difference::RepositoryCount(reach.total_count));
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
