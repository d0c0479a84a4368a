//! The four calls: confirm the installation, mint a token, list what it can access, revoke it.
//!
//! Input: a signed JWT, or a token. Output: GitHub's response as a type, or a [`GitHubError`], and a [`CallRecord`].

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use secrecy::SecretString;
use tokio::{task::yield_now, time::timeout};

use super::{
    Call,
    error::{GitHubError, Rejection, ResponseError},
    request::{ApiRequest, ApiResponse},
    responses::{AccessibleRepositories, Installation},
    token::{ConfirmedInstallation, GrantedToken, InstallationToken},
};
use crate::{
    app::{InstallationId, jwt::AppJwt},
    http::{
        HttpError,
        client::{BodyError, HostClient, read_body},
    },
    retry::{ATTEMPT_LIMIT, Attempts, Retry, TimeWindow},
    scope::TokenScope,
    telemetry::record::CallRecord,
};

/// GitHub's REST API, in a part of an invocation.
#[derive(Clone, Copy)]
pub struct GitHub<'a> {
    api_base: &'a Uri,
    host: &'a HostClient,
    window: TimeWindow,
}

type Outcome<T> = (CallRecord, Result<T, GitHubError>);

impl<'a> GitHub<'a> {
    /// The API at `api_base`, over the connection of `host`. All calls must be over at the end of `window`.
    pub fn new(api_base: &'a Uri, host: &'a HostClient, window: TimeWindow) -> Self {
        Self {
            api_base,
            host,
            window,
        }
    }

    /// Looks up the installation of the repository and compares it with the configured one.
    pub async fn confirm(
        &self,
        jwt: &AppJwt,
        scope: &TokenScope,
        configured: InstallationId,
    ) -> Outcome<ConfirmedInstallation> {
        let repository = &scope.repository;
        let path = format!(
            "/repos/{}/{}/installation",
            repository.owner(),
            repository.name()
        );
        let (record, response) = self
            .send(Call::Confirm, Method::GET, &path, jwt.secret(), None)
            .await;
        let confirmed = response.and_then(|response| {
            let installation: Installation = response.parse()?;
            let found = installation
                .id
                .and_then(InstallationId::from_number)
                .ok_or(GitHubError::Unexpected(ResponseError::NoInstallationId))?;
            if found != configured {
                return Err(GitHubError::InstallationMismatch { found, configured });
            }
            if installation.suspended_at.is_some() {
                return Err(GitHubError::InstallationSuspended(found));
            }
            match installation.account.and_then(|account| account.login) {
                Some(login) if !login.eq_ignore_ascii_case(repository.owner()) => {
                    Err(GitHubError::AccountMismatch)
                }
                // A missing account is caught later: the token's repository is proven by its full name.
                _ => Ok(ConfirmedInstallation {
                    id: found,
                    permissions: installation.permissions,
                }),
            }
        });
        (record, confirmed)
    }

    /// Requests a token for the configured repository and permissions.
    pub async fn mint(
        &self,
        jwt: &AppJwt,
        installation: &ConfirmedInstallation,
        scope: &TokenScope,
    ) -> Outcome<GrantedToken> {
        let permissions = &scope.permissions;
        // A request without repositories or permissions would be granted everything that the installation has.
        let body = match scope.repository_id {
            Some(id) => serde_json::json!({ "repository_ids": [id], "permissions": permissions }),
            None => {
                serde_json::json!({ "repositories": [scope.repository.name()], "permissions": permissions })
            }
        };
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        // Gives the event loop a turn, so that a connection that GitHub closed after its last response is seen as closed:
        // a mint that is lost on such a connection would have to be reported as a possible orphaned token.
        yield_now().await;
        let body = Some(body.to_string().into());
        let (mut record, response) = self
            .send(Call::Mint, Method::POST, &path, jwt.secret(), body)
            .await;
        let granted = response.and_then(|response| {
            let granted = GrantedToken::parse(&response);
            granted.inspect_err(|_| record.orphaned_token_possible = true)
        });
        let granted = granted.map_err(|error| match error {
            GitHubError::Rejected {
                status,
                rejection: Rejection::PermissionNotGranted(_),
            } => GitHubError::Rejected {
                status,
                rejection: Rejection::permission_not_granted(
                    permissions,
                    installation.permissions.as_ref(),
                ),
            },
            error => error,
        });
        (record, granted)
    }

    /// Asks GitHub, with the token itself, which repositories it can access. Two are enough to see that there are too many.
    pub async fn list_repositories(
        &self,
        token: &InstallationToken,
    ) -> Outcome<AccessibleRepositories> {
        let path = "/installation/repositories?per_page=2";
        let call = Call::ListRepositories;
        let (record, response) = self
            .send(call, Method::GET, path, token.secret(), None)
            .await;
        (record, response.and_then(|response| response.parse()))
    }

    /// Revokes a token, at once and for good.
    pub async fn revoke(&self, token: &InstallationToken) -> Outcome<()> {
        let path = "/installation/token";
        let (record, response) = self
            .send(Call::Revoke, Method::DELETE, path, token.secret(), None)
            .await;
        (record, response.map(drop))
    }

    /// Sends a request until GitHub reports success, the failure is final, or the time is over.
    async fn send(
        &self,
        call: Call,
        method: Method,
        path: &str,
        bearer: &SecretString,
        body: Option<Bytes>,
    ) -> Outcome<ApiResponse> {
        let mut record = CallRecord::default();
        let Some(request) = ApiRequest::new(self.api_base, method, path, bearer, body) else {
            return (record, Err(GitHubError::Internal));
        };
        let mut attempts = Attempts::new(self.window.until);
        let mut may_be_revoked = false;
        let result = loop {
            let limit = attempts.start(attempt_limit(call));
            let attempt = timeout(limit, self.attempt(call, &request, &mut record)).await;
            let result = match attempt {
                Ok(result) => result,
                Err(_) if attempts.left().is_zero() => Err(GitHubError::OutOfTime),
                Err(_) => Err(GitHubError::Unreachable(HttpError::TimedOut)),
            };
            let error = match result {
                Ok(response) => break Ok(response),
                Err(error) => error,
            };
            if call == Call::Revoke && may_be_revoked && error.is_unknown_token() {
                // The request whose response was lost has revoked the token.
                break Ok(ApiResponse::default());
            }
            may_be_revoked |= error.may_have_been_processed();
            if call == Call::Mint && error.may_have_been_processed() {
                record.orphaned_token_possible = true;
            }
            if !attempts.wait(retry(call, &error)).await {
                break Err(error);
            }
        };
        record.attempts = attempts.started();
        (record, result)
    }

    async fn attempt(
        &self,
        call: Call,
        request: &ApiRequest,
        record: &mut CallRecord,
    ) -> Result<ApiResponse, GitHubError> {
        let exchange = self
            .host
            .send(|| request.build(), read_body, self.window.began)
            .await
            .map_err(GitHubError::Unreachable)?;
        if call == Call::Mint && exchange.sent_before {
            record.orphaned_token_possible = true;
        }
        let (head, body) = exchange.response;
        record.github_response(&head.headers);
        if call == Call::Revoke && exchange.sent_before && head.status == StatusCode::UNAUTHORIZED {
            return Ok(ApiResponse::default()); // the request whose response was lost has revoked the token
        }
        let body = match body {
            Ok(body) => body,
            // The status of an error says the most important part, so a body that is too long or cut changes nothing.
            Err(_) if !head.status.is_success() => Bytes::new(),
            Err(BodyError::Interrupted) => {
                return Err(GitHubError::Unreachable(HttpError::Interrupted));
            }
            Err(BodyError::TooLong) => {
                return Err(GitHubError::Unexpected(ResponseError::TooLong));
            }
        };
        match (head.status, call) {
            (StatusCode::OK, Call::Confirm | Call::ListRepositories)
            | (StatusCode::CREATED, Call::Mint)
            | (StatusCode::NO_CONTENT, Call::Revoke) => Ok(ApiResponse {
                headers: head.headers,
                body,
            }),
            (status, _) => Err(GitHubError::Rejected {
                status: status.as_u16(),
                rejection: Rejection::classify(
                    call,
                    status,
                    &head.headers,
                    &body,
                    self.api_base,
                    SystemTime::now(),
                ),
            }),
        }
    }
}

/// A mint cannot be repeated safely, so its only attempt may take all the time that is left.
const fn attempt_limit(call: Call) -> Duration {
    match call {
        Call::Mint => Duration::MAX,
        Call::Confirm | Call::ListRepositories | Call::Revoke => ATTEMPT_LIMIT,
    }
}

fn retry(call: Call, error: &GitHubError) -> Retry {
    match error {
        GitHubError::Unreachable(HttpError::TimedOut) if call == Call::Mint => Retry::Never,
        error => error.retry(),
    }
}
