//! The closed set of failures of an invocation, with their messages.
//!
//! Input: the error of a folder, and where it happened. Output: the `errorType` and the `errorMessage` of the caller.
//! Invariant: a message consists of our own words, numbers and configured names, never of text from outside.

use std::{borrow::Cow, fmt, time::Duration};

use crate::{
    app::{credentials::CredentialsError, private_key::KeyErrorKind, signer::SignError},
    aws::{AwsError, Exception},
    error_type::ErrorType,
    github::{
        Call,
        error::{GitHubError, MissingPermission, Rejection},
    },
    http::HttpError,
    proof::mismatch::{self, Mismatch},
    scope::Repository,
};

/// The result of a step of an invocation.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an invocation returned no token.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The payload is not empty.
    InputRefused,
    /// The App's credentials could not be read.
    Credentials {
        /// Why.
        error: CredentialsError,
        /// Where SSM was called.
        at: AwsLocation,
    },
    /// The App's JWT could not be signed.
    Signing {
        /// Why.
        error: SignError,
        /// Where KMS was called.
        at: AwsLocation,
    },
    /// A call to GitHub failed.
    GitHub {
        /// Which.
        call: Call,
        /// Why.
        error: GitHubError,
        /// The configured repository.
        repository: Repository,
        /// GitHub's host and port.
        host: String,
    },
    /// GitHub granted a different token than configured. It was withheld, and GitHub was asked to revoke it.
    NotProven(Vec<Mismatch>),
    /// Lambda's deadline was near before the work was done.
    DeadlineNear {
        /// The step that was not finished.
        step: Step,
        /// The time until the deadline, when the invocation began.
        limit: Duration,
    },
    /// A defect of ours.
    Internal,
}

/// Where an AWS service was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsLocation {
    /// The region.
    pub region: String,
    /// Host and port.
    pub host: String,
}

/// A step of an invocation, as log lines and messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum Step {
    /// Read the App's credentials.
    Load,
    /// Sign the App's JWT.
    Sign,
    /// Look up the installation and compare it with the configured one.
    Confirm,
    /// Request the token.
    Mint,
    /// Compare the token with the configured scope.
    Prove,
}

impl Step {
    /// The name in log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Sign => "sign",
            Self::Confirm => "confirm",
            Self::Mint => "mint",
            Self::Prove => "prove",
        }
    }
}

impl Failure {
    /// The stable name of this failure.
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::InputRefused => ErrorType::InputRefused,
            Self::Credentials { error, .. } => credentials_type(error),
            Self::Signing {
                error: SignError::Kms(error),
                ..
            } => signing_type(*error),
            Self::GitHub { error, .. } => github_type(error),
            Self::NotProven(_) => ErrorType::TokenNotProven,
            Self::DeadlineNear { .. } => ErrorType::DeadlineNear,
            Self::Internal
            | Self::Signing {
                error: SignError::Internal,
                ..
            } => ErrorType::Internal,
        }
    }

    /// Whether it points to an attack or to a change of the App that nobody expects.
    pub fn is_security_event(&self) -> bool {
        matches!(self, Self::NotProven(_))
    }

    /// What to do: the remedy of the error type, or a more specific one.
    fn remedy(&self) -> Cow<'static, str> {
        let remedy = match self {
            Self::Credentials {
                error: CredentialsError::Ssm(AwsError::Unreachable(error)),
                ..
            }
            | Self::Signing {
                error: SignError::Kms(AwsError::Unreachable(error)),
                ..
            }
            | Self::GitHub {
                error: GitHubError::Unreachable(error),
                ..
            } => http_remedy(*error),
            Self::Credentials { error, .. } => credentials_remedy(error),
            Self::Signing {
                error: SignError::Kms(AwsError::Rejected(exception)),
                ..
            } => signing_remedy(*exception),
            Self::GitHub { error, .. } => github_remedy(error),
            _ => None,
        };
        remedy.unwrap_or(self.error_type().info().remedy).into()
    }

    /// The message without its remedy and its link.
    fn problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputRefused => {
                f.write_str("github-token-broker does not accept invocation input")
            }
            Self::Credentials { error, at } => credentials_problem(f, error, at),
            Self::Signing {
                error: SignError::Kms(error),
                at,
            } => {
                f.write_str("KMS Sign ")?;
                aws_problem(f, *error, at)
            }
            Self::GitHub {
                call,
                error,
                repository,
                host,
            } => github_problem(f, *call, error, repository, host),
            Self::NotProven(mismatches) => mismatch::write_all(f, mismatches),
            Self::DeadlineNear { step, limit } => write!(
                f,
                "Lambda's deadline of {:.1} s came near in the step {}",
                limit.as_secs_f64(),
                step.name()
            ),
            Self::Internal
            | Self::Signing {
                error: SignError::Internal,
                ..
            } => f.write_str("github-token-broker failed because of a defect of its own"),
        }
    }
}

impl fmt::Display for Failure {
    /// What failed and why, then what to do, then where to read more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem(f)?;
        write!(f, ". {}. {}", self.remedy(), see(self.error_type()))
    }
}

/// The sentence that points to the reference page.
pub fn see(error_type: ErrorType) -> String {
    format!(
        "See {}/blob/v{}/docs/src/reference/errors.md#{}",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION"),
        error_type.info().name.to_ascii_lowercase()
    )
}

fn credentials_type(error: &CredentialsError) -> ErrorType {
    match error {
        CredentialsError::Missing(_) => ErrorType::ParametersMissing,
        CredentialsError::Empty(_) => ErrorType::ParameterEmpty,
        CredentialsError::NotEncrypted(_) => ErrorType::PrivateKeyNotEncrypted,
        CredentialsError::ClientId { .. } => ErrorType::ClientIdInvalid,
        CredentialsError::InstallationId(_) => ErrorType::InstallationIdInvalid,
        CredentialsError::Key(_, error) => match error.kind() {
            KeyErrorKind::NotPem => ErrorType::PrivateKeyNotPem,
            KeyErrorKind::Unreadable => ErrorType::PrivateKeyUnreadable,
            KeyErrorKind::NotRsa => ErrorType::PrivateKeyNotRsa,
        },
        CredentialsError::Ssm(error) => match error {
            AwsError::Unreachable(_) | AwsError::OutOfTime => ErrorType::ParametersUnreachable,
            AwsError::Throttled => ErrorType::ParametersThrottled,
            AwsError::Unavailable | AwsError::NoCredentials => ErrorType::ParametersUnavailable,
            AwsError::Rejected(exception) => match exception {
                Exception::AccessDenied | Exception::SecretDenied => {
                    ErrorType::ParametersAccessDenied
                }
                Exception::DecryptionDenied
                | Exception::InvalidKeyId
                | Exception::KeyDisabled
                | Exception::KeyInvalidState
                | Exception::InvalidKeyUsage => ErrorType::ParametersKmsDenied,
                _ => ErrorType::ParametersRefused,
            },
        },
    }
}

fn signing_type(error: AwsError) -> ErrorType {
    match error {
        AwsError::Unreachable(_) | AwsError::OutOfTime => ErrorType::SigningUnreachable,
        AwsError::Throttled => ErrorType::SigningThrottled,
        AwsError::Unavailable | AwsError::NoCredentials => ErrorType::SigningUnavailable,
        AwsError::Rejected(exception) => match exception {
            Exception::NotFound => ErrorType::SigningKeyNotFound,
            Exception::AccessDenied => ErrorType::SigningKeyDenied,
            Exception::KeyDisabled
            | Exception::KeyInvalidState
            | Exception::InvalidKeyUsage
            | Exception::UnsupportedOperation
            | Exception::WrongSignature => ErrorType::SigningKeyUnusable,
            _ => ErrorType::SigningRefused,
        },
    }
}

fn github_type(error: &GitHubError) -> ErrorType {
    match error {
        GitHubError::Unreachable(_) | GitHubError::OutOfTime => ErrorType::GitHubUnreachable,
        GitHubError::Unexpected(_) => ErrorType::UnexpectedAnswer,
        GitHubError::InstallationMismatch { .. } => ErrorType::InstallationMismatch,
        GitHubError::InstallationSuspended(_) => ErrorType::InstallationSuspended,
        GitHubError::AccountMismatch => ErrorType::AccountMismatch,
        GitHubError::Internal => ErrorType::Internal,
        GitHubError::Rejected { rejection, .. } => match rejection {
            Rejection::AppCredentials
            | Rejection::NumericAppIdRequired
            | Rejection::NoPublicKey
            | Rejection::UnknownClientId => ErrorType::AppCredentialsRejected,
            Rejection::ClockSkew { .. } => ErrorType::ClockSkew,
            Rejection::AppNotInstalled => ErrorType::AppNotInstalled,
            Rejection::InstallationSuspended => ErrorType::InstallationSuspended,
            Rejection::IpNotAllowed => ErrorType::IpNotAllowed,
            Rejection::PermissionNotGranted(_) => ErrorType::PermissionNotGranted,
            Rejection::RepositoryNotCovered => ErrorType::RepositoryNotCovered,
            Rejection::RepositoryMoved => ErrorType::RepositoryMoved,
            Rejection::RateLimited { .. } => ErrorType::GitHubRateLimited,
            // GitHub's servers agree on a new token after a few seconds.
            Rejection::Unavailable | Rejection::TokenNotPropagated => ErrorType::GitHubUnavailable,
            Rejection::Forbidden | Rejection::Blocked | Rejection::WebPage | Rejection::Unknown => {
                ErrorType::UnexpectedAnswer
            }
        },
    }
}

fn http_remedy(error: HttpError) -> Option<&'static str> {
    match error {
        HttpError::Resolve => {
            Some("Check the host name, and the DNS settings of the function's VPC")
        }
        HttpError::Tls => Some(
            "Check that SSL_CERT_FILE contains the authority that signed the host's certificate, and that no proxy replaces that certificate",
        ),
        HttpError::ProxyAuthentication => {
            Some("Correct the user and the password in HTTPS_PROXY (Terraform input: https_proxy)")
        }
        HttpError::ProxyRefused => {
            Some("Allow the host on the proxy, or add it to NO_PROXY (Terraform input: no_proxy)")
        }
        HttpError::Connect | HttpError::Interrupted | HttpError::TimedOut => None,
    }
}

fn credentials_problem(
    f: &mut fmt::Formatter<'_>,
    error: &CredentialsError,
    at: &AwsLocation,
) -> fmt::Result {
    match error {
        CredentialsError::Ssm(error) => {
            f.write_str("SSM GetParameters ")?;
            aws_problem(f, *error, at)
        }
        CredentialsError::Missing(names) => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            write!(
                f,
                "missing GitHub App SSM parameters: [{}] in {}",
                names.join(", "),
                at.region
            )
        }
        CredentialsError::Empty(name) => {
            write!(
                f,
                "SSM parameter {name} is empty or missing in {}",
                at.region
            )
        }
        CredentialsError::NotEncrypted(name) => {
            write!(f, "SSM parameter {name} must be a SecureString")
        }
        CredentialsError::ClientId { name, .. } => write!(
            f,
            "SSM parameter {name} must be a GitHub App client ID or App ID: 1 to 64 letters, digits, dots, underscores or hyphens"
        ),
        CredentialsError::InstallationId(name) => write!(
            f,
            "SSM parameter {name} must be a GitHub App installation ID, a number"
        ),
        CredentialsError::Key(name, error) => write!(f, "{error} (SSM parameter {name})"),
    }
}

fn credentials_remedy(error: &CredentialsError) -> Option<&'static str> {
    match error {
        CredentialsError::ClientId {
            may_be_secret: true,
            ..
        } => Some(
            "A private key or a token may be stored there. If so, replace it on GitHub, because others may have read it. Then store the client ID from the App's settings page",
        ),
        CredentialsError::Ssm(AwsError::Rejected(exception)) => match exception {
            Exception::SecretDenied => Some(
                "Allow the function's role secretsmanager:GetSecretValue on the secret (Terraform input: private_key_secret_arn)",
            ),
            Exception::KeyDisabled => Some("Enable the KMS key of the private-key parameter"),
            Exception::KeyInvalidState => Some(
                "Cancel the deletion of the KMS key of the private-key parameter and enable the key, or store the private key again under a different key",
            ),
            Exception::InvalidKeyId => Some(
                "Check that the KMS key of the private-key parameter exists, and that the function's role is allowed kms:Decrypt on it",
            ),
            Exception::InvalidSignature | Exception::ExpiredToken => {
                Some("Check the function's AWS credentials and clock")
            }
            _ => None,
        },
        _ => None,
    }
}

fn signing_remedy(exception: Exception) -> Option<&'static str> {
    match exception {
        Exception::KeyDisabled => Some("Enable the KMS key"),
        Exception::KeyInvalidState => Some(
            "Import the key material if the KMS key is pending import, or cancel its deletion and enable it",
        ),
        Exception::InvalidKeyUsage
        | Exception::UnsupportedOperation
        | Exception::WrongSignature => {
            Some("Use a KMS key with the key spec RSA_2048 and the usage SIGN_VERIFY")
        }
        Exception::Validation => Some("Check the value of GITHUB_TOKEN_BROKER_KMS_KEY_ID"),
        _ => None,
    }
}

/// What follows the name of an AWS operation in a message.
fn aws_problem(f: &mut fmt::Formatter<'_>, error: AwsError, at: &AwsLocation) -> fmt::Result {
    let AwsLocation { region, host } = at;
    match error {
        AwsError::Unreachable(error) => write!(f, "request to {host} {error}"),
        AwsError::OutOfTime => write!(f, "request to {host} {}", HttpError::TimedOut),
        AwsError::Throttled => write!(f, "was throttled in {region}"),
        AwsError::Unavailable => write!(f, "failed in {region}: internal AWS error"),
        AwsError::NoCredentials => f.write_str(
            "could not be signed: AWS_CONTAINER_CREDENTIALS_FULL_URI returned no credentials",
        ),
        AwsError::Rejected(exception) => {
            let cause = match exception {
                Exception::AccessDenied => "was denied to the function's role",
                Exception::SecretDenied => {
                    "was denied: the function's role may not read the secret"
                }
                Exception::DecryptionDenied => {
                    "could not decrypt: the KMS key is denied to the function's role"
                }
                Exception::KeyDisabled => "failed: the KMS key is disabled",
                Exception::KeyInvalidState => {
                    "failed: the KMS key is pending import, pending deletion or unavailable"
                }
                Exception::InvalidKeyId => "could not decrypt: the KMS key cannot be used",
                Exception::NotFound => "failed: the KMS key does not exist",
                Exception::InvalidKeyUsage
                | Exception::UnsupportedOperation
                | Exception::WrongSignature => {
                    "failed: the KMS key is not an RSA_2048 key for signing"
                }
                other => return write!(f, "was rejected in {region}: {}", other.name()),
            };
            write!(f, "{cause} in {region}")
        }
    }
}

fn github_problem(
    f: &mut fmt::Formatter<'_>,
    call: Call,
    error: &GitHubError,
    repository: &Repository,
    host: &str,
) -> fmt::Result {
    match error {
        GitHubError::Unreachable(error) => write!(f, "GitHub {call} request to {host} {error}"),
        GitHubError::OutOfTime => {
            write!(f, "GitHub {call} request to {host} {}", HttpError::TimedOut)
        }
        GitHubError::Unexpected(error) => write!(f, "GitHub {call} response {error}"),
        GitHubError::InstallationMismatch { found, configured } => write!(
            f,
            "GitHub repository installation {found} does not match configured installation {configured}"
        ),
        GitHubError::InstallationSuspended(id) => {
            write!(f, "GitHub App installation {id} is suspended")
        }
        GitHubError::AccountMismatch => write!(
            f,
            "the installation of GitHub repository {repository} belongs to a different account"
        ),
        GitHubError::Internal => {
            f.write_str("github-token-broker failed because of a defect of its own")
        }
        GitHubError::Rejected { status, rejection } => {
            write!(f, "GitHub {call} request failed with status {status}")?;
            rejection_problem(f, rejection, repository, host)
        }
    }
}

/// What follows the status in a message.
fn rejection_problem(
    f: &mut fmt::Formatter<'_>,
    rejection: &Rejection,
    repository: &Repository,
    host: &str,
) -> fmt::Result {
    match rejection {
        Rejection::AppCredentials => {
            f.write_str(": GitHub does not accept the App's client ID and private key")
        }
        Rejection::NumericAppIdRequired => {
            write!(
                f,
                ": {host} accepts only the numeric App ID, not a client ID"
            )
        }
        Rejection::NoPublicKey => f.write_str(": the App has no key on GitHub"),
        Rejection::UnknownClientId => write!(f, ": {host} does not know this client ID"),
        Rejection::ClockSkew { .. } => {
            f.write_str(": GitHub does not accept the times in the App's JWT")
        }
        Rejection::AppNotInstalled => write!(
            f,
            ": the GitHub App is not installed on {repository}, or that name is misspelled"
        ),
        Rejection::InstallationSuspended => f.write_str(": the installation is suspended"),
        Rejection::IpNotAllowed => {
            f.write_str(": the function's address is not on the account's IP allow list")
        }
        Rejection::Forbidden => write!(f, ": GitHub denies the App access to {repository}"),
        Rejection::Blocked => write!(f, ": GitHub has blocked {repository}"),
        Rejection::PermissionNotGranted(missing) => {
            f.write_str(": the installation does not have the requested permissions")?;
            missing_permissions(f, missing)
        }
        Rejection::RepositoryNotCovered => {
            write!(f, ": the installation does not cover {repository}")
        }
        Rejection::RepositoryMoved => write!(
            f,
            ": {repository} was renamed or transferred, and redirects are not followed"
        ),
        Rejection::WebPage => write!(f, ": {host} redirected the request to a web page"),
        Rejection::RateLimited { wait } => {
            write!(f, ": rate limited for {} seconds", whole_seconds(*wait))
        }
        Rejection::TokenNotPropagated => f.write_str(": GitHub does not accept the new token yet"),
        Rejection::Unavailable | Rejection::Unknown => Ok(()),
    }
}

fn missing_permissions(f: &mut fmt::Formatter<'_>, missing: &[MissingPermission]) -> fmt::Result {
    let mut separator = " ";
    for MissingPermission {
        name,
        requested,
        installed,
    } in missing
    {
        write!(f, "{separator}{name}={requested} (it has ")?;
        match installed {
            Some(level) if crate::scope::Permissions::is_printable(level) => write!(f, "{level}")?,
            Some(_) => f.write_str("a different level")?,
            None => f.write_str("none")?,
        }
        f.write_str(")")?;
        if name.contains('-') {
            f.write_str(" (GitHub's names have underscores instead of hyphens)")?;
        }
        separator = ", ";
    }
    Ok(())
}

fn github_remedy(error: &GitHubError) -> Option<&'static str> {
    let GitHubError::Rejected { rejection, .. } = error else {
        return None;
    };
    match rejection {
        Rejection::NumericAppIdRequired => {
            Some("Store the App ID from the App's settings page instead of the client ID")
        }
        Rejection::NoPublicKey => Some("Generate a private key in the App's settings and store it"),
        Rejection::UnknownClientId => Some(
            "Correct the client ID, or the API base URL in GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL (Terraform input: github_api_base_url)",
        ),
        Rejection::Forbidden => {
            Some("Check the policies of the organization and the enterprise for GitHub Apps")
        }
        Rejection::Blocked => Some("Ask GitHub Support why the repository is blocked"),
        Rejection::WebPage => Some(
            "If it is a GitHub Enterprise Server, make sure that GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL ends with /api/v3 (Terraform input: github_api_base_url)",
        ),
        Rejection::TokenNotPropagated => Some("Try again"),
        _ => None,
    }
}

/// A wait in whole seconds, never shorter than it is.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
