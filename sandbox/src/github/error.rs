//! GitHub's refusals, with GitHub's statuses and words.

use http::StatusCode;

/// Every way in which the sandbox's GitHub says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The JWT is not one, or is signed with a key that the App does not have.
    JwtUndecodable,
    /// The JWT names no issuer.
    JwtIssuer,
    /// `iat` lies in the future.
    JwtIssuedAt,
    /// `exp` lies in the past.
    JwtExpired,
    /// `exp` lies more than ten minutes ahead.
    JwtTooLong,
    /// The token is unknown, expired or revoked.
    BadCredentials,
    /// No credential came with the request.
    RequiresAuthentication,
    /// It is not there, or must not be seen.
    NotFound,
    /// The token may not do this.
    NotAccessible,
    /// The installation is suspended.
    Suspended,
    /// The account (named) admits only known IP addresses.
    IpNotAllowed(String),
    /// More permissions were asked for than the installation has.
    PermissionsNotGranted,
    /// A repository was asked for that the installation does not cover.
    RepositoryNotAccessible,
    /// The repository (its ID) has another name now.
    Moved(u64),
    /// The body is not JSON.
    ProblemsParsingJson,
    /// The body is JSON of another shape.
    InvalidRequest,
    /// A header that GitHub insists on is wrong: status and message.
    Header(StatusCode, &'static str),
    /// The hourly limit is used up until this epoch second.
    RateLimited(i64),
    /// Too much at once: `retry-after` in seconds.
    SecondaryRateLimit(u32),
}

impl Refusal {
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
            Self::NotFound => StatusCode::NOT_FOUND,
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
    pub(crate) fn message(&self) -> String {
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
            Self::NotAccessible => "Resource not accessible by integration",
            Self::Suspended => "This installation has been suspended",
            Self::IpNotAllowed(account) => {
                return format!(
                    "Although you appear to have the correct authorization credentials, the `{account}` organization has an IP \
                     allow list enabled, and your IP address is not permitted to access this resource."
                );
            }
            Self::PermissionsNotGranted => "The permissions requested are not granted to this installation.",
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
