//! GitHub's status, headers and body -> the one failure that they mean. Pure.
//!
//! In: an answer that is not success. Out: a [`Refusal`]. GitHub's message is matched against the list that stands
//! here, and goes no further: it may one day repeat what was sent. The list is what GitHub answers today; a text that
//! is not on it falls back to what the status says.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::{
    error_type::ErrorType,
    failure::{Call, whole_seconds},
};

/// What GitHub means by an answer that is not success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the JWT's signature or issuer is not one that GitHub knows.
    AppCredentialsRejected,
    /// 401: the JWT's times do not fit GitHub's clock.
    ClockSkew {
        /// GitHub's time, from its `Date` header.
        github_time: Option<SystemTime>,
    },
    /// 404: the App is not installed there, or the repository or the installation does not exist.
    AppNotInstalled,
    /// 403: the account suspended the installation.
    InstallationSuspended,
    /// 403: the account has an IP allow list, and the function's address is not on it.
    IpNotAllowed,
    /// 422: a permission was asked for that the installation does not have.
    PermissionNotGranted,
    /// 422: the installation does not cover the repository.
    RepositoryNotCovered,
    /// 3xx on the lookup: the repository was renamed or transferred.
    RepositoryMoved,
    /// 403 or 429: too many requests.
    RateLimited {
        /// How long GitHub asks to wait.
        wait: Duration,
    },
    /// 5xx.
    Unavailable,
    /// 401 or 404 on a call made with a new token: it has not spread through GitHub yet.
    TokenNotYetKnown,
    /// Anything else.
    Unexpected,
}

/// "Best practices for using the REST API": without a stated wait, at least one minute.
const UNSTATED_WAIT: Duration = Duration::from_mins(1);

impl Refusal {
    /// Classifies an answer. `now` stands in where the answer has no `Date`.
    pub fn classify(
        call: Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Self {
        let message = message(body);
        let says = |text: &str| message.contains(text);
        let with_jwt = matches!(call, Call::RepositoryInstallation | Call::InstallationToken);
        match status.as_u16() {
            301 | 302 | 307 | 308 if call == Call::RepositoryInstallation => Self::RepositoryMoved,
            401 | 404 if !with_jwt => Self::TokenNotYetKnown,
            401 if says("claim ('exp')") || says("claim ('iat')") => Self::ClockSkew {
                github_time: date(headers),
            },
            401 => Self::AppCredentialsRejected,
            403 | 429 if let Some(wait) = rate_limit(status, headers, &message, now) => {
                Self::RateLimited { wait }
            }
            403 if says("installation has been suspended") => Self::InstallationSuspended,
            403 if says("Although you appear to have the correct authorization credentials") => {
                Self::IpNotAllowed
            }
            404 => Self::AppNotInstalled,
            422 if says("permissions requested are not granted") => Self::PermissionNotGranted,
            422 if says("at least one repository that does not exist or is not accessible") => {
                Self::RepositoryNotCovered
            }
            500.. => Self::Unavailable,
            _ => Self::Unexpected,
        }
    }

    /// The stable name of this refusal.
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::AppCredentialsRejected => ErrorType::AppCredentialsRejected,
            Self::ClockSkew { .. } => ErrorType::ClockSkew,
            Self::AppNotInstalled => ErrorType::AppNotInstalled,
            Self::InstallationSuspended => ErrorType::InstallationSuspended,
            Self::IpNotAllowed => ErrorType::IpNotAllowed,
            Self::PermissionNotGranted => ErrorType::PermissionNotGranted,
            Self::RepositoryNotCovered => ErrorType::RepositoryNotCovered,
            Self::RepositoryMoved => ErrorType::RepositoryMoved,
            Self::RateLimited { .. } => ErrorType::GitHubRateLimited,
            Self::Unavailable => ErrorType::GitHubUnavailable,
            Self::TokenNotYetKnown => ErrorType::TokenNotProven,
            Self::Unexpected => ErrorType::UnexpectedAnswer,
        }
    }
}

impl fmt::Display for Refusal {
    /// What follows the status in a message; most say enough by their remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimited { wait } => {
                write!(f, ": rate limited for {} seconds", whole_seconds(*wait))
            }
            Self::AppCredentialsRejected => write!(
                f,
                ": GitHub does not accept the App's client ID and private key"
            ),
            Self::ClockSkew { .. } => {
                write!(f, ": GitHub does not accept the times in the App's JWT")
            }
            Self::AppNotInstalled => write!(f, ": the GitHub App has no such installation"),
            Self::InstallationSuspended => write!(f, ": the installation is suspended"),
            Self::IpNotAllowed => write!(
                f,
                ": the function's address is not on the account's IP allow list"
            ),
            Self::PermissionNotGranted => write!(
                f,
                ": the installation does not have the permissions asked for"
            ),
            Self::RepositoryNotCovered => {
                write!(f, ": the installation does not cover the repository")
            }
            Self::RepositoryMoved => write!(
                f,
                ": GitHub points elsewhere, and redirects are not followed"
            ),
            Self::TokenNotYetKnown => write!(f, ": GitHub does not accept the new token"),
            Self::Unavailable | Self::Unexpected => Ok(()),
        }
    }
}

/// The time of an answer, from its `Date` header.
pub fn date(headers: &HeaderMap) -> Option<SystemTime> {
    use aws_smithy_types::date_time::{DateTime, Format};
    let text = headers.get(header::DATE)?.to_str().ok()?;
    DateTime::from_str(text, Format::HttpDate)
        .ok()?
        .try_into()
        .ok()
}

#[derive(Deserialize)]
struct Body {
    message: String,
}

/// The message of an error body, or nothing where it is not one of GitHub's.
fn message(body: &[u8]) -> String {
    serde_json::from_slice(body)
        .map(|Body { message }| message)
        .unwrap_or_default()
}

/// GitHub's ways to say "too many requests", from "Rate limits for the REST API"; `None` means that it did not say so.
fn rate_limit(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: SystemTime,
) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset")
            .and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        let answered = date(headers).unwrap_or(now);
        return Some(reset.map_or(UNSTATED_WAIT, |at| {
            at.duration_since(answered).unwrap_or_default()
        }));
    }
    let said = status == StatusCode::TOO_MANY_REQUESTS || message.contains("rate limit");
    said.then_some(UNSTATED_WAIT)
}

#[cfg(test)]
mod tests;
