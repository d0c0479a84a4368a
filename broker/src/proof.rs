//! Compares what GitHub granted with the configured scope. Pure.
//!
//! Input: a new token with everything that GitHub said about it.
//! Output: a [`ProvenToken`], the only thing that can be returned to a caller; or the mismatches.
//! Invariant: it fails closed. A field missing from the response is fetched, and one that cannot be fetched fails the proof.

pub mod mismatch;

use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use self::mismatch::Mismatch;
use crate::{
    app::clock::Clock,
    github::{
        responses::{AccessibleRepositories, GrantedRepository, parse_expiry},
        token::{GrantedToken, InstallationToken},
    },
    scope::{Permissions, RepositoryId, TokenScope},
};

/// GitHub's tokens are valid for an hour. The rest allows for clock skew.
const LONGEST_LIFETIME: Duration = Duration::from_mins(65);

/// Granted with every token, whether requested or not: it allows reading a repository's name and the like.
const IMPLIED: (&str, &str) = ("metadata", "read");

/// A token that is valid for exactly the configured scope and for about an hour.
///
/// Only [`ScopeCheck::finish`] makes one, and it is the only type that serializes a token.
pub struct ProvenToken {
    token: InstallationToken,
    expires_at: String,
    scope: TokenScope,
    repository_id: RepositoryId,
}

impl ProvenToken {
    /// GitHub's number for the repository.
    pub fn repository_id(&self) -> RepositoryId {
        self.repository_id
    }

    /// The token, to revoke it.
    pub fn token(&self) -> &InstallationToken {
        &self.token
    }
}

impl Serialize for ProvenToken {
    /// The response of the function.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut response = serializer.serialize_struct("Response", 4)?;
        response.serialize_field("token", self.token.secret().expose_secret())?;
        response.serialize_field("expires_at", &self.expires_at)?;
        response.serialize_field("repositories", &[self.scope.repository.to_string()])?;
        response.serialize_field("permissions", &self.scope.permissions)?;
        response.end()
    }
}

/// The check of one token against the configured scope.
pub struct ScopeCheck<'a> {
    scope: &'a TokenScope,
    granted: GrantedToken,
    mismatches: Vec<Mismatch>,
    /// The one repository that the token is for, once GitHub has said everything that proves it.
    repository: Option<RepositoryId>,
}

impl<'a> ScopeCheck<'a> {
    /// Checks what the response to the mint says. `now` is our time, and `clock` what the invocation knows about GitHub's.
    pub fn new(
        granted: GrantedToken,
        scope: &'a TokenScope,
        clock: Clock,
        now: SystemTime,
    ) -> Self {
        let grant = granted.grant();
        let granted_at = clock.response_time(now, granted.date());
        let mut mismatches = Vec::new();
        mismatches.extend(check_expiry(grant.expires_at.as_deref(), granted_at));
        match &grant.permissions {
            Some(permissions) => {
                mismatches.extend(check_permissions(&scope.permissions, permissions));
            }
            None => mismatches.push(Mismatch::PermissionsUnknown),
        }
        // Each field is checked on its own, even if the other is missing.
        let selection = grant.repository_selection.as_deref().map(check_selection);
        let repository = grant
            .repositories
            .as_deref()
            .map(|found| check_repositories(scope, found, found.len() as u64));
        let proven = match (&selection, &repository) {
            (Some(Ok(())), Some(Ok(id))) => Some(*id),
            _ => None,
        };
        mismatches.extend(selection.and_then(Result::err));
        mismatches.extend(repository.and_then(Result::err));
        Self {
            scope,
            granted,
            mismatches,
            repository: proven,
        }
    }

    /// Whether GitHub must be asked which repositories the token can access. A token that has failed already is not worth it.
    pub fn needs_repository_list(&self) -> bool {
        self.repository.is_none() && self.mismatches.is_empty()
    }

    /// The token, to ask GitHub about it.
    pub fn token(&self) -> &InstallationToken {
        self.granted.token()
    }

    /// Checks the list that [`Self::needs_repository_list`] calls for.
    #[must_use]
    pub fn with_repository_list(mut self, list: &AccessibleRepositories) -> Self {
        match check_repository_list(self.scope, list) {
            Ok(id) => self.repository = Some(id),
            Err(mismatch) => self.mismatches.push(mismatch),
        }
        self
    }

    /// The proven token.
    ///
    /// # Errors
    /// All mismatches, if there is one.
    pub fn finish(self) -> Result<ProvenToken, Vec<Mismatch>> {
        let Self {
            scope,
            granted,
            mut mismatches,
            repository,
        } = self;
        match (repository, granted.grant().expires_at.clone()) {
            (Some(repository_id), Some(expires_at)) if mismatches.is_empty() => Ok(ProvenToken {
                token: granted.into_token(),
                expires_at,
                scope: scope.clone(),
                repository_id,
            }),
            _ => {
                if mismatches.is_empty() {
                    mismatches.push(Mismatch::RepositoriesUnknown);
                }
                Err(mismatches)
            }
        }
    }
}

fn check_expiry(expires_at: Option<&str>, granted_at: SystemTime) -> Option<Mismatch> {
    let Some(text) = expires_at.filter(|text| !text.is_empty()) else {
        return Some(Mismatch::NoExpiration);
    };
    match parse_expiry(text).map(|expires| expires.duration_since(granted_at)) {
        None => Some(Mismatch::ExpirationUnreadable),
        Some(Err(_) | Ok(Duration::ZERO)) => Some(Mismatch::AlreadyExpired),
        Some(Ok(lifetime)) if lifetime > LONGEST_LIFETIME => Some(Mismatch::LifetimeTooLong),
        Some(Ok(_)) => None,
    }
}

fn check_permissions(configured: &Permissions, granted: &Permissions) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (name, level) in configured.iter() {
        match granted.level(name) {
            None => mismatches.push(Mismatch::MissingPermission(name.to_owned())),
            Some(found) if found != level => {
                mismatches.push(Mismatch::WrongLevel(name.to_owned()));
            }
            Some(_) => {}
        }
    }
    for entry @ (name, _) in granted.iter() {
        if configured.level(name).is_none() && entry != IMPLIED {
            mismatches.push(Mismatch::UnexpectedPermission(name.to_owned()));
        }
    }
    mismatches
}

fn check_repository_list(
    scope: &TokenScope,
    list: &AccessibleRepositories,
) -> Result<RepositoryId, Mismatch> {
    let selection = list.repository_selection.as_deref();
    check_selection(selection.ok_or(Mismatch::RepositoriesUnknown)?)?;
    check_repositories(scope, &list.repositories, list.total_count)
}

fn check_selection(selection: &str) -> Result<(), Mismatch> {
    if selection == "selected" {
        Ok(())
    } else {
        Err(Mismatch::AllRepositories)
    }
}

/// The ID of the one repository that the token is for. `found` may be the first page of `total`.
fn check_repositories(
    scope: &TokenScope,
    found: &[GrantedRepository],
    total: u64,
) -> Result<RepositoryId, Mismatch> {
    let [repository] = found else {
        return Err(Mismatch::WrongRepositoryCount(
            total.max(found.len() as u64),
        ));
    };
    if total != 1 {
        return Err(Mismatch::WrongRepositoryCount(total));
    }
    if !scope.repository.matches(&repository.full_name) {
        return Err(Mismatch::WrongRepository);
    }
    match scope.repository_id {
        Some(pinned) if pinned != repository.id => Err(Mismatch::WrongRepositoryId),
        _ => Ok(repository.id),
    }
}

#[cfg(test)]
mod tests;
