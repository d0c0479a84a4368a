//! Why a call to GitHub failed: GitHub's status, headers and text become one [`GitHubError`]. Pure.
//!
//! Invariant: GitHub's text is compared with the list here and goes no further, because it might repeat what was sent. The
//! list is what GitHub sends today. A text that is not on it falls back to what the status says.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;

use super::Call;
use crate::{app::InstallationId, http::HttpError, retry::Retry, scope::Permissions};

/// Why a call to GitHub failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitHubError {
    /// No complete response arrived.
    Unreachable(HttpError),
    /// The invocation's time was over before the call was.
    OutOfTime,
    /// GitHub responded with a status that is not success.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What it means.
        rejection: Rejection,
    },
    /// GitHub reported success in a way that its documentation does not describe.
    Unexpected(ResponseError),
    /// The App is installed on the repository, but as a different installation.
    InstallationMismatch {
        /// The installation that GitHub returned for the repository.
        found: InstallationId,
        /// The configured installation.
        configured: InstallationId,
    },
    /// The lookup says that the installation is suspended.
    InstallationSuspended(InstallationId),
    /// The installation belongs to a different account than the configured owner.
    AccountMismatch,
    /// The request could not be made, which only a defect of ours can cause.
    Internal,
}

/// What is wrong with a successful response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum ResponseError {
    /// The content type is not JSON.
    NotJson,
    /// The JSON does not match GitHub's documented schema.
    UnknownSchema,
    /// Longer than any response that GitHub documents.
    TooLong,
    /// The lookup returned no installation ID.
    NoInstallationId,
    /// The mint returned no token.
    NoToken,
}

/// A permission that a mint requests and the installation does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPermission {
    /// The name, from our own configuration.
    pub name: String,
    /// The requested level.
    pub requested: String,
    /// The level that the installation has, if it has the permission at all.
    pub installed: Option<String>,
}

/// What GitHub means by a response that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// 401: GitHub does not accept the JWT's signature for this issuer.
    AppCredentials,
    /// 401: this server accepts only the numeric App ID as the issuer.
    NumericAppIdRequired,
    /// 401: the App has no key at GitHub.
    NoPublicKey,
    /// 404: GitHub does not know the issuer.
    UnknownClientId,
    /// 401: the JWT's times do not fit GitHub's clock.
    ClockSkew {
        /// GitHub's time, from the `Date` header.
        github_time: Option<SystemTime>,
    },
    /// 404: the App is not installed there, or the repository or the installation does not exist.
    AppNotInstalled,
    /// 403: the account suspended the installation.
    InstallationSuspended,
    /// 403: the account has an IP allow list without the function's address.
    IpNotAllowed,
    /// 403: GitHub or a policy of the account denies the App this call.
    Forbidden,
    /// 451: GitHub has blocked the repository.
    Blocked,
    /// 422: the installation lacks a requested permission.
    PermissionNotGranted(Vec<MissingPermission>),
    /// 422: the installation does not cover the repository.
    RepositoryNotCovered,
    /// A redirect within the API: the repository was renamed or transferred.
    RepositoryMoved,
    /// A redirect out of the API, such as to a login page.
    WebPage,
    /// 403 or 429: too many requests.
    RateLimited {
        /// How long GitHub asks to wait.
        wait: Duration,
    },
    /// 5xx.
    Unavailable,
    /// 401, 403 or 404 on a call with a new token: not all of GitHub's servers know it yet.
    TokenNotPropagated,
    /// Anything else.
    Unknown,
}

/// GitHub's [best practices](https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately):
/// without a stated wait, wait at least one minute.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

impl GitHubError {
    /// Whether the same call might succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable(HttpError::ProxyAuthentication) => Retry::Never,
            Self::Unreachable(_)
            | Self::Rejected {
                rejection: Rejection::Unavailable,
                ..
            } => Retry::Backoff,
            Self::Rejected {
                rejection: Rejection::RateLimited { wait },
                ..
            } => Retry::After(*wait),
            Self::Rejected {
                rejection: Rejection::TokenNotPropagated,
                ..
            } => Retry::UntilPropagated,
            _ => Retry::Never,
        }
    }

    /// Whether GitHub may have done what the call requested, although its response did not arrive or says nothing.
    pub(super) fn may_have_been_processed(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(HttpError::Interrupted | HttpError::TimedOut)
                | Self::OutOfTime
                | Self::Unexpected(_)
                | Self::Rejected {
                    status: 200..=299,
                    ..
                }
                | Self::Rejected {
                    rejection: Rejection::Unavailable,
                    ..
                }
        )
    }

    /// Whether GitHub does not know the token of the call.
    pub(super) fn is_unknown_token(&self) -> bool {
        matches!(
            self,
            Self::Rejected {
                status: 401,
                rejection: Rejection::TokenNotPropagated,
            }
        )
    }
}

impl Rejection {
    /// Classifies a response. `now` replaces a missing `Date`.
    pub fn classify(
        call: Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        api_base: &Uri,
        now: SystemTime,
    ) -> Self {
        let message = message(body);
        let says = |text: &str| message.contains(text);
        match status.as_u16() {
            301 | 302 | 303 | 307 | 308 => redirect(call, status, headers, api_base),
            401 | 404 if !call.uses_jwt() => Self::TokenNotPropagated,
            401 if says("claim ('exp')") || says("claim ('iat')") => Self::ClockSkew {
                github_time: date(headers),
            },
            401 if says("claim ('iss') must be an Integer") => Self::NumericAppIdRequired,
            401 if says("must generate a public key") => Self::NoPublicKey,
            401 => Self::AppCredentials,
            403 if says("installation has been suspended") => Self::InstallationSuspended,
            403 if says("Although you appear to have the correct authorization credentials") => {
                Self::IpNotAllowed
            }
            // The text decides before the headers: these responses also count against the rate limit.
            403 if says("Resource not accessible by integration") => {
                if call.uses_jwt() {
                    Self::Forbidden
                } else {
                    Self::TokenNotPropagated
                }
            }
            403 | 429 if let Some(wait) = rate_limit(status, headers, &message, now) => {
                Self::RateLimited { wait }
            }
            403 if !call.uses_jwt() => Self::TokenNotPropagated,
            403 => Self::Forbidden,
            404 if says("Integration not found") => Self::UnknownClientId,
            404 => Self::AppNotInstalled,
            422 if says("permissions requested are not granted") => {
                Self::PermissionNotGranted(Vec::new())
            }
            422 if says("at least one repository that does not exist or is not accessible") => {
                Self::RepositoryNotCovered
            }
            451 => Self::Blocked,
            500.. => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The rejection of a mint whose permissions the installation lacks, with what it has instead, if that is known.
    pub(super) fn permission_not_granted(
        requested: &Permissions,
        installed: Option<&Permissions>,
    ) -> Self {
        let missing = requested.iter().filter_map(|(name, level)| {
            let has = installed.and_then(|installed| installed.level(name));
            let is_enough = has.is_some_and(|has| has == level || includes(has, level));
            (!is_enough).then(|| MissingPermission {
                name: name.to_owned(),
                requested: level.to_owned(),
                installed: has.map(str::to_owned),
            })
        });
        Self::PermissionNotGranted(missing.collect())
    }
}

/// Whether a permission's level includes a different one. It does not know levels that GitHub may add.
fn includes(level: &str, other: &str) -> bool {
    matches!(
        (level, other),
        ("admin", "write" | "read") | ("write", "read")
    )
}

/// GitHub redirects a request for a renamed or transferred repository to `/repositories/ID`. A login page (SSO, or a GitHub
/// Enterprise Server without `/api/v3` in the base URL) and a proxy's page redirect to elsewhere.
fn redirect(call: Call, status: StatusCode, headers: &HeaderMap, api_base: &Uri) -> Rejection {
    let Some(location) = headers.get(header::LOCATION) else {
        return match status.as_u16() {
            301 | 307 | 308 if call == Call::Confirm => Rejection::RepositoryMoved,
            _ => Rejection::WebPage,
        };
    };
    let location: Option<Uri> = location.to_str().ok().and_then(|text| text.parse().ok());
    let within_api = location.is_some_and(|location| {
        let same_host = location
            .host()
            .is_none_or(|host| api_base.host() == Some(host));
        let path = location.path();
        let below = path.strip_prefix(api_base.path().trim_end_matches('/'));
        let below = below.unwrap_or_default();
        same_host && (below.starts_with("/repositories/") || below.starts_with("/repos/"))
    });
    if within_api && call == Call::Confirm {
        Rejection::RepositoryMoved
    } else {
        Rejection::WebPage
    }
}

/// The time of a response, from its `Date` header.
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    http_date(text)
}

fn http_date(text: &str) -> Option<SystemTime> {
    DateTime::from_str(text, Format::HttpDate)
        .ok()?
        .try_into()
        .ok()
}

#[derive(Deserialize)]
struct Body {
    message: String,
}

/// The message of an error body, or nothing if the body is not from GitHub.
fn message(body: &[u8]) -> String {
    serde_json::from_slice(body)
        .map(|Body { message }| message)
        .unwrap_or_default()
}

/// GitHub's ways to report too many requests, from [Rate limits for the REST
/// API](https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api). `None` if it did not report that.
fn rate_limit(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: SystemTime,
) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let answered = date(headers).unwrap_or(now);
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if let Some(at) = text("retry-after").and_then(http_date) {
        return Some(at.duration_since(answered).unwrap_or_default());
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset")
            .and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        return Some(reset.map_or(DEFAULT_WAIT, |at| {
            at.duration_since(answered).unwrap_or_default()
        }));
    }
    let message = message.to_ascii_lowercase();
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS
        || message.contains("rate limit")
        || message.contains("maximum number of login attempts exceeded");
    is_limit.then_some(DEFAULT_WAIT)
}

impl fmt::Display for ResponseError {
    /// What follows "GitHub ... response" in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "is not JSON",
            Self::UnknownSchema => "does not match GitHub's documented schema",
            Self::TooLong => "is longer than any that GitHub documents",
            Self::NoInstallationId => "did not include an installation ID",
            Self::NoToken => "did not include a token",
        })
    }
}

#[cfg(test)]
mod tests;
