//! GitHub's errors, with GitHub's statuses and messages.

use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::responses::json_response;

/// Every error that the sandbox's GitHub returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GitHubError {
    /// The JWT is malformed, or signed with a key that the App does not have.
    JwtUndecodable,
    /// No App has this client ID or App ID.
    IntegrationNotFound,
    /// The JWT has no issuer.
    JwtIssuer,
    /// `iat` is in the future.
    JwtIssuedAt,
    /// `exp` is in the past.
    JwtExpired,
    /// `exp` is more than ten minutes ahead.
    JwtTooLong,
    /// The token is unknown, expired or revoked.
    BadCredentials,
    /// The request has no credential.
    RequiresAuthentication,
    /// The resource does not exist, or the caller may not see it.
    NotFound,
    /// The token does not have the permission.
    NotAccessible,
    /// The installation is suspended.
    Suspended,
    /// This account has an IP allow list without the caller.
    IpNotAllowed(String),
    /// The request names permissions that the installation does not have.
    PermissionsNotGranted,
    /// The request names a repository that the installation does not cover.
    RepositoryNotAccessible,
    /// The repository with this ID has a different name now.
    Moved(u64),
    /// The body is not JSON.
    ProblemsParsingJson,
    /// The body does not match the schema.
    InvalidRequest,
    /// GitHub rejects a header, with this status and message.
    Header(StatusCode, &'static str),
    /// The hourly rate limit is used up until this epoch second.
    RateLimited(i64),
    /// The secondary rate limit, with this `retry-after` in seconds.
    SecondaryRateLimit(u32),
}

impl GitHubError {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::JwtUndecodable
            | Self::JwtIssuer
            | Self::JwtIssuedAt
            | Self::JwtExpired
            | Self::JwtTooLong
            | Self::BadCredentials
            | Self::RequiresAuthentication => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::IntegrationNotFound => StatusCode::NOT_FOUND,
            Self::NotAccessible
            | Self::Suspended
            | Self::IpNotAllowed(_)
            | Self::RateLimited(_)
            | Self::SecondaryRateLimit(_) => StatusCode::FORBIDDEN,
            Self::PermissionsNotGranted | Self::RepositoryNotAccessible | Self::InvalidRequest => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Moved(_) => StatusCode::MOVED_PERMANENTLY,
            Self::ProblemsParsingJson => StatusCode::BAD_REQUEST,
            Self::Header(status, _) => *status,
        }
    }

    /// The `message` of the body.
    fn message(&self) -> String {
        match self {
            Self::JwtUndecodable => "A JSON web token could not be decoded",
            Self::JwtIssuer => "Missing 'issuer' claim ('iss') in assertion",
            Self::JwtIssuedAt => {
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
            }
            Self::JwtExpired => {
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
            }
            Self::JwtTooLong => "'Expiration time' claim ('exp') is too far in the future",
            Self::BadCredentials => "Bad credentials",
            Self::RequiresAuthentication => "Requires authentication",
            Self::NotFound => "Not Found",
            Self::IntegrationNotFound => "Integration not found",
            Self::NotAccessible => "Resource not accessible by integration",
            Self::Suspended => "This installation has been suspended",
            Self::IpNotAllowed(account) => {
                return format!(
                    "Although you appear to have the correct authorization credentials, the `{account}` organization has an IP \
                     allow list enabled, and your IP address is not permitted to access this resource."
                );
            }
            Self::PermissionsNotGranted => {
                "The permissions requested are not granted to this installation."
            }
            Self::RepositoryNotAccessible => {
                "There is at least one repository that does not exist or is not accessible to the parent installation."
            }
            Self::Moved(_) => "Moved Permanently",
            Self::ProblemsParsingJson => "Problems parsing JSON",
            Self::InvalidRequest => "Invalid request.",
            Self::Header(_, message) => message,
            Self::RateLimited(_) => "API rate limit exceeded for installation.",
            Self::SecondaryRateLimit(_) => {
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            }
        }
        .to_owned()
    }
}

impl IntoResponse for GitHubError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({
            "message": self.message(),
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        });
        let mut response = json_response(status, &body);
        let mut set = |name: http::HeaderName, value: String| {
            let value = HeaderValue::try_from(value).expect("numbers and paths are printable");
            response.headers_mut().insert(name, value);
        };
        match self {
            // The middleware adds the base path.
            Self::Moved(id) => set(LOCATION, format!("/repositories/{id}/installation")),
            Self::RateLimited(reset) => {
                set(super::routes::RATE_LIMIT_REMAINING, "0".to_owned());
                set(super::routes::RATE_LIMIT_RESET, reset.to_string());
            }
            Self::SecondaryRateLimit(seconds) => set(RETRY_AFTER, seconds.to_string()),
            _ => {}
        }
        response
    }
}
