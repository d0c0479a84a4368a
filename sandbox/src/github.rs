//! GitHub as plain data: Apps, installations, repositories, tokens, and what may be done with them. Comes in: a
//! credential and a wish. Goes out: the thing, or a [`Refusal`]. No HTTP here: `github_http.rs` is the view of it.

pub(crate) mod error;
pub(crate) mod jwt;
pub(crate) mod model;
pub(crate) mod private_key;
pub(crate) mod responses;
pub(crate) mod routes;
pub(crate) mod token;

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::github::error::Refusal;
use crate::github::model::{App, Installation, Repository, rank};
use crate::github::token::{Token, TokenShape};

/// The whole of it. A test changes its fields at will.
#[derive(Debug, Clone, Default)]
pub struct GitHub {
    /// The registered Apps.
    pub apps: Vec<App>,
    /// Where they are installed.
    pub installations: Vec<Installation>,
    /// All repositories.
    pub repositories: Vec<Repository>,
    /// Every token that was ever issued.
    pub tokens: Vec<Token>,
    /// What a new token looks like.
    pub token_shape: TokenShape,
    /// To how many calls a fresh token is still unknown.
    pub spreading: u32,
    /// The hourly limit is used up until this epoch second.
    pub rate_limited_until: Option<i64>,
    /// Too much at once: the `retry-after` that every call is answered with.
    pub secondary_rate_limit: Option<u32>,
    /// GitHub's time.
    pub clock: Clock,
}

/// What a token request asks for. What it leaves out, it asks all of.
#[derive(Debug, Clone, Default)]
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
            .find(|repository| repository.is(full_name));
        found.unwrap_or_else(|| panic!("the sandbox has no repository {full_name}"))
    }

    /// Renames a repository, its ID and its former name kept.
    pub fn rename(&mut self, from: &str, to: &str) {
        let (owner, name) = to.split_once('/').expect("a full name has a slash");
        let repository = self.repository_mut(from);
        repository.former_names.push(from.to_owned());
        (repository.owner, repository.name) = (owner.to_owned(), name.to_owned());
    }

    /// The App behind a JWT.
    pub(crate) fn authenticate(&self, jwt: &str) -> Result<&App, Refusal> {
        if let Some(seconds) = self.secondary_rate_limit {
            return Err(Refusal::SecondaryRateLimit(seconds));
        }
        let app = jwt::verify(jwt, &self.apps, self.now())?;
        match self.rate_limited_until {
            Some(reset) if reset > self.now() => Err(Refusal::RateLimited(reset)),
            _ => Ok(app),
        }
    }

    /// The App's installation on a repository.
    pub(crate) fn installation_on(
        &self,
        app: &App,
        full_name: &str,
    ) -> Result<&Installation, Refusal> {
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
            .find(|repository| repository.is(full_name))
        {
            let installation = covers(repository).ok_or(Refusal::NotFound)?;
            return installation.admit().map(|()| installation);
        }
        let moved = self
            .repositories
            .iter()
            .find(|repository| repository.was(full_name));
        Err(moved.map_or(Refusal::NotFound, |repository| {
            Refusal::Moved(repository.id)
        }))
    }

    /// Issues a token.
    pub(crate) fn mint(
        &mut self,
        app_id: u64,
        id: u64,
        request: TokenRequest,
    ) -> Result<Token, Refusal> {
        let found = self
            .installations
            .iter()
            .find(|installation| installation.id == id && installation.app_id == app_id);
        let installation = found.ok_or(Refusal::NotFound)?;
        if installation.suspended {
            return Err(Refusal::Suspended);
        }
        installation.admit()?;
        let repository_ids = self.chosen(installation, &request)?;
        let mut permissions = request
            .permissions
            .unwrap_or_else(|| installation.permissions.clone());
        if !permissions
            .iter()
            .all(|(name, level)| installation.grants(name, level))
        {
            return Err(Refusal::PermissionsNotGranted);
        }
        permissions
            .entry("metadata".into())
            .or_insert_with(|| "read".into());
        let token = Token {
            value: self.token_shape.make(app_id),
            installation_id: id,
            repository_ids,
            permissions,
            expires_at: self.now() + 3600,
            revoked: false,
            unknown_for: self.spreading,
        };
        self.tokens.push(token.clone());
        Ok(token)
    }

    /// The repositories that a token request names, or nothing when it names none.
    fn chosen(
        &self,
        installation: &Installation,
        request: &TokenRequest,
    ) -> Result<Option<Vec<u64>>, Refusal> {
        let covered = || {
            self.repositories
                .iter()
                .filter(|repository| installation.covers(repository))
        };
        let mut chosen = Vec::new();
        for name in request.repositories.iter().flatten() {
            let found = covered().find(|repository| repository.name.eq_ignore_ascii_case(name));
            chosen.push(found.ok_or(Refusal::RepositoryNotAccessible)?.id);
        }
        for id in request.repository_ids.iter().flatten() {
            let found = covered().find(|repository| repository.id == *id);
            chosen.push(found.ok_or(Refusal::RepositoryNotAccessible)?.id);
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok((!chosen.is_empty()).then_some(chosen))
    }

    /// The token of this text, while it is good. Counts as one of the calls that a fresh token needs to spread.
    pub(crate) fn present(&mut self, value: &str) -> Result<Token, Refusal> {
        let now = self.now();
        let found = self.tokens.iter_mut().find(|token| token.value == value);
        let token = found
            .filter(|token| !token.revoked && token.expires_at > now)
            .ok_or(Refusal::BadCredentials)?;
        if token.unknown_for > 0 {
            token.unknown_for -= 1;
            // Half of the places that do not know it yet say 401, the other half 404.
            return Err(if token.unknown_for % 2 == 0 {
                Refusal::BadCredentials
            } else {
                Refusal::NotFound
            });
        }
        Ok(token.clone())
    }

    /// Ends a token.
    pub(crate) fn revoke(&mut self, value: &str) -> Result<(), Refusal> {
        self.present(value)?;
        self.tokens
            .iter_mut()
            .filter(|token| token.value == value)
            .for_each(|token| token.revoked = true);
        Ok(())
    }

    /// The repositories that a token can reach, in the order of their IDs.
    pub(crate) fn reachable(&self, token: &Token) -> Vec<&Repository> {
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

    /// A repository, as seen with a token or without one.
    pub(crate) fn read(
        &self,
        token: Option<&Token>,
        full_name: &str,
    ) -> Result<&Repository, Refusal> {
        let Some(repository) = self
            .repositories
            .iter()
            .find(|repository| repository.is(full_name))
        else {
            let moved = self
                .repositories
                .iter()
                .find(|repository| repository.was(full_name));
            return Err(moved.map_or(Refusal::NotFound, |repository| {
                Refusal::Moved(repository.id)
            }));
        };
        let reached = |token| {
            self.reachable(token)
                .iter()
                .any(|reachable| reachable.id == repository.id)
        };
        if repository.private && !token.is_some_and(reached) {
            return Err(Refusal::NotFound);
        }
        Ok(repository)
    }

    /// A repository whose contents a token may write.
    pub(crate) fn write(&self, token: &Token, full_name: &str) -> Result<&Repository, Refusal> {
        let repository = self.read(Some(token), full_name)?;
        let level = token
            .permissions
            .get("contents")
            .map_or(0, |level| rank(level));
        let reached = self
            .reachable(token)
            .iter()
            .any(|reachable| reachable.id == repository.id);
        if reached && level >= rank("write") {
            Ok(repository)
        } else {
            Err(Refusal::NotAccessible)
        }
    }
}

#[cfg(test)]
mod tests;
