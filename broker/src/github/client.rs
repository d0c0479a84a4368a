//! The calls to GitHub: confirm the installation, mint a token, ask what it reaches, revoke it.
//!
//! In: a signed JWT or a token of our own. Out: GitHub's answers as types that only this file can make, so that a
//! token cannot be minted before its installation is confirmed. It decides nothing about scope ([`crate::proof`]) and
//! never shows text of GitHub's ([`crate::refusal`]).

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use crate::{
    app::credentials::InstallationId,
    app::jwt::AppJwt,
    config::{Config, Repository},
    failure::{AnswerDefect, Broken, Call, Failure, Result},
    github::error::{self, Refusal},
    github::request::{Answer, Ask},
    http::client::{BodyDefect, Upstream, whole},
    proof::{Grant, Reach},
    retry::{ATTEMPT_LIMIT, wait_before_next},
    telemetry::record::Trace,
};

/// GitHub's REST API, for one invocation.
pub struct GitHub<'a> {
    config: &'a Config,
    upstream: &'a Upstream,
    /// When the work of this invocation has to be done.
    until: Instant,
}

/// An installation that GitHub says is the repository's, and that is the configured one.
pub struct ConfirmedInstallation(InstallationId);

/// An installation token: opaque, of any length.
pub struct InstallationToken(SecretString);

impl InstallationToken {
    /// The text of the token: for the `Authorization` header, the response and the hash.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// A token that GitHub minted, with all that GitHub said of it. Nothing is proven yet.
pub struct GrantedToken {
    token: InstallationToken,
    grant: Grant,
    answered_at: Option<SystemTime>,
}

impl GrantedToken {
    #[cfg(test)]
    pub(crate) fn for_tests(grant: Grant, answered_at: SystemTime) -> Self {
        Self {
            token: InstallationToken(SecretString::from("ghs_test")),
            grant,
            answered_at: Some(answered_at),
        }
    }

    /// The token, to ask GitHub of it or to revoke it.
    pub(crate) fn token(&self) -> &InstallationToken {
        &self.token
    }

    pub(crate) fn into_token(self) -> InstallationToken {
        self.token
    }

    /// What GitHub said of it.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The time of the answer, by GitHub's clock.
    pub(crate) fn answered_at(&self) -> Option<SystemTime> {
        self.answered_at
    }
}

#[derive(Deserialize)]
struct Installation {
    id: Option<u64>,
    account: Option<Account>,
    suspended_at: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Account {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Minted {
    token: Option<SecretString>,
}

impl<'a> GitHub<'a> {
    /// The API of the configured base URL.
    pub fn new(config: &'a Config, upstream: &'a Arc<Upstream>, until: Instant) -> Self {
        Self {
            config,
            upstream,
            until,
        }
    }

    /// Looks up the repository's installation and holds it against the configured one.
    pub async fn confirm(
        &self,
        jwt: &AppJwt,
        configured: InstallationId,
        trace: &mut Trace,
    ) -> Result<ConfirmedInstallation> {
        let call = Call::RepositoryInstallation;
        let Repository { owner, name } = &self.config.repository;
        let ask = self.ask(
            Method::GET,
            &format!("/repos/{owner}/{name}/installation"),
            jwt.secret(),
            None,
        )?;
        let answer = self.send(call, &ask, trace).await?;
        let installation: Installation = answer.parse(call)?;
        let found = match installation.id {
            Some(id) if id > 0 => InstallationId(id),
            _ => {
                return Err(Failure::UnexpectedAnswer(
                    call,
                    AnswerDefect::NoInstallationId,
                ));
            }
        };
        if found != configured {
            return Err(Failure::InstallationMismatch { found, configured });
        }
        if installation.suspended_at.is_some() {
            return Err(Failure::InstallationSuspended(found));
        }
        match installation.account.and_then(|account| account.login) {
            // One that is not named is caught later: the token's repository is proven by its full name.
            Some(login) if !login.eq_ignore_ascii_case(owner) => {
                Err(Failure::AccountMismatch(self.config.repository.clone()))
            }
            _ => Ok(ConfirmedInstallation(found)),
        }
    }

    /// Asks for a token for the one repository with the configured permissions.
    pub async fn mint(
        &self,
        jwt: &AppJwt,
        installation: &ConfirmedInstallation,
        trace: &mut Trace,
    ) -> Result<GrantedToken> {
        let call = Call::InstallationToken;
        let permissions = &self.config.permissions;
        // A request that leaves out the repository or the permissions would be granted everything.
        let scope = match self.config.repository_id {
            Some(id) => serde_json::json!({ "repository_ids": [id], "permissions": permissions }),
            None => {
                serde_json::json!({ "repositories": [self.config.repository.name], "permissions": permissions })
            }
        };
        let path = format!("/app/installations/{}/access_tokens", installation.0);
        let ask = self.ask(
            Method::POST,
            &path,
            jwt.secret(),
            Some(scope.to_string().into()),
        )?;
        // Lets a connection that GitHub closed behind its last answer be seen as closed: a mint that is lost on one has to be
        // reported as a token that may exist.
        yield_now().await;
        let answer = self.send(call, &ask, trace).await?;
        let token = match answer.parse::<Minted>(call).map(|minted| minted.token) {
            Ok(Some(token)) if is_usable(&token) => InstallationToken(token),
            outcome => {
                trace.unseen_token();
                return Err(outcome
                    .err()
                    .unwrap_or(Failure::UnexpectedAnswer(call, AnswerDefect::NoToken)));
            }
        };
        // Parsed apart from the token: where the rest cannot be read, there is still a token to revoke.
        let grant = answer.parse(call).unwrap_or_default();
        Ok(GrantedToken {
            token,
            grant,
            answered_at: error::date(&answer.headers),
        })
    }

    /// Asks GitHub, with the token itself, for the repositories that it reaches. Two are enough to know of too many.
    pub async fn reach(&self, token: &InstallationToken, trace: &mut Trace) -> Result<Reach> {
        let call = Call::InstallationRepositories;
        let ask = self.ask(
            Method::GET,
            "/installation/repositories?per_page=2",
            token.secret(),
            None,
        )?;
        self.send(call, &ask, trace).await?.parse(call)
    }

    /// Makes a token worthless, at once and for good.
    pub async fn revoke(&self, token: &InstallationToken, trace: &mut Trace) -> Result<()> {
        let ask = self.ask(Method::DELETE, "/installation/token", token.secret(), None)?;
        self.send(Call::TokenRevocation, &ask, trace)
            .await
            .map(drop)
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        bearer: &SecretString,
        body: Option<Bytes>,
    ) -> Result<Ask> {
        Ask::new(&self.config.api_base, method, path, bearer, body)
    }

    /// Sends a request, again where that is of use, until an answer says success or the failure is final.
    async fn send(&self, call: Call, ask: &Ask, trace: &mut Trace) -> Result<Answer> {
        for attempt in 1.. {
            trace.attempt(call);
            let failure = match timeout(ATTEMPT_LIMIT, self.attempt(call, ask, trace)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::GitHubUnreachable(call, Broken::TimedOut),
            };
            if call == Call::InstallationToken && may_have_minted(&failure) {
                trace.unseen_token();
            }
            let left = self.until.saturating_duration_since(Instant::now());
            let Some(wait) = wait_before_next(&failure, attempt, fastrand::f64(), left) else {
                return Err(failure);
            };
            sleep(wait).await;
        }
        Err(Failure::Internal)
    }

    async fn attempt(&self, call: Call, ask: &Ask, trace: &mut Trace) -> Result<Answer> {
        let exchanged = self
            .upstream
            .exchange(|| ask.request(), whole)
            .await
            .map_err(|broken| Failure::GitHubUnreachable(call, broken))?;
        if call == Call::InstallationToken && exchanged.sent_before {
            trace.unseen_token();
        }
        let (head, body) = exchanged.answer;
        trace.github_request(call, &head.headers);
        let body = match body {
            Ok(body) => body,
            // What matters of a refusal is in its status; that its body is absurd or cut changes nothing.
            Err(_) if !head.status.is_success() => Bytes::new(),
            Err(BodyDefect::Interrupted) => {
                return Err(Failure::GitHubUnreachable(call, Broken::Interrupted));
            }
            Err(BodyDefect::TooLong) => {
                return Err(Failure::UnexpectedAnswer(call, AnswerDefect::TooLong));
            }
        };
        match (head.status, call) {
            (StatusCode::OK, Call::RepositoryInstallation | Call::InstallationRepositories)
            | (StatusCode::CREATED, Call::InstallationToken)
            | (StatusCode::NO_CONTENT, Call::TokenRevocation) => Ok(Answer {
                headers: head.headers,
                body,
            }),
            (status, _) => {
                let refusal =
                    Refusal::classify(call, status, &head.headers, &body, SystemTime::now());
                Err(Failure::GitHubRefused(call, status.as_u16(), refusal))
            }
        }
    }
}

/// Whether a text can be a token: one that no header can carry could be neither proven nor revoked, nor used.
fn is_usable(token: &SecretString) -> bool {
    let token = token.expose_secret();
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether GitHub may have minted a token that never arrived; such a token expires within the hour.
const fn may_have_minted(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::GitHubUnreachable(_, Broken::Interrupted | Broken::TimedOut)
            | Failure::GitHubRefused(_, 200..=299, _)
            | Failure::GitHubRefused(_, _, Refusal::Unavailable)
            | Failure::UnexpectedAnswer(..)
    )
}
