//! GitHub as plain data: Apps, installations, repositories, tokens, and the rules for them.
//!
//! Input: a credential and a request. Output: what GitHub returns for it, or a [`GitHubError`]. `routes` serves it over HTTP.

pub(crate) mod error;
pub(crate) mod git;
pub(crate) mod jwt;
pub(crate) mod model;
pub(crate) mod private_key;
pub(crate) mod responses;
pub(crate) mod routes;
pub(crate) mod token;

use std::collections::BTreeMap;

use self::error::GitHubError;
use self::model::{App, Installation, Repository, rank};
use self::token::{Token, TokenFormat};
use crate::clock::Clock;

/// The requests per hour of a small installation.
const HOURLY_LIMIT: u32 = 5000;

/// The state of GitHub. A test may change every field.
#[derive(Debug, Clone, Default)]
pub struct GitHub {
    /// The registered Apps.
    pub apps: Vec<App>,
    /// Their installations.
    pub installations: Vec<Installation>,
    /// All repositories.
    pub repositories: Vec<Repository>,
    /// Every token that was issued.
    pub tokens: Vec<Token>,
    /// The format of new tokens.
    pub token_format: TokenFormat,
    /// The number of calls that reject a new token before it has propagated.
    pub propagation_calls: u32,
    /// The number of API requests in this hour.
    pub requests_this_hour: u32,
    /// The epoch second until which the hourly rate limit is used up.
    pub rate_limited_until: Option<i64>,
    /// The `retry-after` of the secondary rate limit that every call gets.
    pub secondary_rate_limit: Option<u32>,
    /// GitHub's clock.
    pub clock: Clock,
}

/// The scope that a token request names. A field that it omits means everything that the installation has.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(crate) struct TokenRequest {
    pub(crate) repositories: Option<Vec<String>>,
    pub(crate) repository_ids: Option<Vec<u64>>,
    pub(crate) permissions: Option<BTreeMap<String, String>>,
}

impl GitHub {
    /// GitHub's time in epoch seconds.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The hourly rate limit: the limit, the remaining requests, and the epoch second of the reset.
    pub(crate) fn rate_limit(&self) -> (u32, u32, i64) {
        let now = self.now();
        match self.rate_limited_until {
            Some(reset) if reset > now => (HOURLY_LIMIT, 0, reset),
            _ => {
                let remaining = HOURLY_LIMIT.saturating_sub(self.requests_this_hour);
                (HOURLY_LIMIT, remaining, now + 3600)
            }
        }
    }

    /// The first App.
    pub fn app_mut(&mut self) -> &mut App {
        self.apps.first_mut().expect("the sandbox has an App")
    }

    /// The first installation.
    pub fn installation_mut(&mut self) -> &mut Installation {
        self.installations
            .first_mut()
            .expect("the sandbox has an installation")
    }

    /// The repository of this `owner/name`.
    pub fn repository_mut(&mut self, full_name: &str) -> &mut Repository {
        let found = self
            .repositories
            .iter_mut()
            .find(|repository| repository.is_named(full_name));
        found.unwrap_or_else(|| panic!("the sandbox has no repository {full_name}"))
    }

    /// Renames a repository, its ID and its former name kept.
    pub fn rename(&mut self, from: &str, to: &str) {
        let (owner, name) = to.split_once('/').expect("a full name has a slash");
        let repository = self.repository_mut(from);
        repository.former_names.push(from.to_owned());
        (repository.owner, repository.name) = (owner.to_owned(), name.to_owned());
    }

    /// Returns the App that signed this JWT.
    pub(crate) fn authenticate(&self, jwt: &str) -> Result<&App, GitHubError> {
        if let Some(seconds) = self.secondary_rate_limit {
            return Err(GitHubError::SecondaryRateLimit(seconds));
        }
        let app = jwt::verify(jwt, &self.apps, self.now())?;
        match self.rate_limited_until {
            Some(reset) if reset > self.now() => Err(GitHubError::RateLimited(reset)),
            _ => Ok(app),
        }
    }

    /// The App's installation on a repository.
    pub(crate) fn installation_on(
        &self,
        app: &App,
        full_name: &str,
    ) -> Result<&Installation, GitHubError> {
        let covers = |repository: &Repository| {
            let mine = self
                .installations
                .iter()
                .filter(|installation| installation.app_id == app.id);
            mine.into_iter()
                .find(|installation| installation.covers(repository))
        };
        if let Some(repository) = self
            .repositories
            .iter()
            .find(|repository| repository.is_named(full_name))
        {
            let installation = covers(repository).ok_or(GitHubError::NotFound)?;
            return installation.check_ip_allow_list().map(|()| installation);
        }
        let moved = self
            .repositories
            .iter()
            .find(|repository| repository.was_named(full_name));
        Err(moved.map_or(GitHubError::NotFound, |repository| {
            GitHubError::Moved(repository.id)
        }))
    }

    /// The installation with this ID, if it is one of the App.
    pub(crate) fn installation(&self, app: &App, id: u64) -> Result<&Installation, GitHubError> {
        let mut installations = self.installations.iter();
        installations
            .find(|installation| installation.id == id && installation.app_id == app.id)
            .ok_or(GitHubError::NotFound)
    }

    /// The App whose installation a token belongs to.
    pub(crate) fn app_of(&self, token: &Token) -> Option<&App> {
        let mut installations = self.installations.iter();
        let installation =
            installations.find(|installation| installation.id == token.installation_id)?;
        self.apps.iter().find(|app| app.id == installation.app_id)
    }

    /// Issues a token.
    pub(crate) fn mint(
        &mut self,
        app_id: u64,
        id: u64,
        request: TokenRequest,
    ) -> Result<Token, GitHubError> {
        let found = self
            .installations
            .iter()
            .find(|installation| installation.id == id && installation.app_id == app_id);
        let installation = found.ok_or(GitHubError::NotFound)?;
        if installation.suspended {
            return Err(GitHubError::Suspended);
        }
        installation.check_ip_allow_list()?;
        let repository_ids = self.requested_repositories(installation, &request)?;
        let mut permissions = request
            .permissions
            .unwrap_or_else(|| installation.permissions.clone());
        if !permissions
            .iter()
            .all(|(name, level)| installation.grants(name, level))
        {
            return Err(GitHubError::PermissionsNotGranted);
        }
        permissions
            .entry("metadata".into())
            .or_insert_with(|| "read".into());
        let token = Token {
            value: self.token_format.generate(app_id),
            installation_id: id,
            repository_ids,
            permissions,
            expires_at: self.now() + 3600,
            revoked: false,
            rejections_left: self.propagation_calls,
        };
        self.tokens.push(token.clone());
        Ok(token)
    }

    /// The repositories that a token request names, or `None` if it names none.
    fn requested_repositories(
        &self,
        installation: &Installation,
        request: &TokenRequest,
    ) -> Result<Option<Vec<u64>>, GitHubError> {
        let covered = || {
            self.repositories
                .iter()
                .filter(|repository| installation.covers(repository))
        };
        let mut ids = Vec::new();
        for name in request.repositories.iter().flatten() {
            let found = covered().find(|repository| repository.name.eq_ignore_ascii_case(name));
            ids.push(found.ok_or(GitHubError::RepositoryNotAccessible)?.id);
        }
        for id in request.repository_ids.iter().flatten() {
            let found = covered().find(|repository| repository.id == *id);
            ids.push(found.ok_or(GitHubError::RepositoryNotAccessible)?.id);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok((!ids.is_empty()).then_some(ids))
    }

    /// Returns the token, if it is valid. Counts as one of the calls that reject a token that has not propagated yet.
    pub(crate) fn use_token(&mut self, value: &str) -> Result<Token, GitHubError> {
        let now = self.now();
        let found = self.tokens.iter_mut().find(|token| token.value == value);
        let token = found
            .filter(|token| !token.revoked && token.expires_at > now)
            .ok_or(GitHubError::BadCredentials)?;
        if token.rejections_left > 0 {
            token.rejections_left -= 1;
            // Servers that do not know the token yet alternate between 401 and 404.
            return Err(if token.rejections_left % 2 == 0 {
                GitHubError::BadCredentials
            } else {
                GitHubError::NotFound
            });
        }
        Ok(token.clone())
    }

    /// Revokes a token.
    pub(crate) fn revoke(&mut self, value: &str) -> Result<(), GitHubError> {
        self.use_token(value)?;
        self.tokens
            .iter_mut()
            .filter(|token| token.value == value)
            .for_each(|token| token.revoked = true);
        Ok(())
    }

    /// The repositories that a token covers.
    pub(crate) fn accessible(&self, token: &Token) -> Vec<&Repository> {
        let installation = self
            .installations
            .iter()
            .find(|installation| installation.id == token.installation_id);
        let covered = |repository: &&Repository| {
            installation.is_some_and(|installation| installation.covers(repository))
                && token
                    .repository_ids
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&repository.id))
        };
        self.repositories.iter().filter(covered).collect()
    }

    /// Returns a repository, if the token (or an anonymous caller) may read it.
    pub(crate) fn read(
        &self,
        token: Option<&Token>,
        full_name: &str,
    ) -> Result<&Repository, GitHubError> {
        let Some(repository) = self
            .repositories
            .iter()
            .find(|repository| repository.is_named(full_name))
        else {
            let moved = self
                .repositories
                .iter()
                .find(|repository| repository.was_named(full_name));
            return Err(moved.map_or(GitHubError::NotFound, |repository| {
                GitHubError::Moved(repository.id)
            }));
        };
        let covers = |token| {
            self.accessible(token)
                .iter()
                .any(|accessible| accessible.id == repository.id)
        };
        if repository.private && !token.is_some_and(covers) {
            return Err(GitHubError::NotFound);
        }
        Ok(repository)
    }

    /// Returns a repository, if the token may write its contents.
    pub(crate) fn write(&self, token: &Token, full_name: &str) -> Result<&Repository, GitHubError> {
        let repository = self.read(Some(token), full_name)?;
        let level = token
            .permissions
            .get("contents")
            .map_or(0, |level| rank(level));
        let covered = self
            .accessible(token)
            .iter()
            .any(|accessible| accessible.id == repository.id);
        if covered && level >= rank("write") {
            Ok(repository)
        } else {
            Err(GitHubError::NotAccessible)
        }
    }
}

#[cfg(test)]
mod tests;
