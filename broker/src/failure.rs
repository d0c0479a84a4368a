//! The closed set of failures of an invocation. [`crate::error_type`] has the table of what each means.
//!
//! In: what went wrong, as a value made of our own words, numbers and configured names. Out: the `errorType` and
//! `errorMessage` that Lambda hands to the caller. Never: text that came from outside. A message of GitHub's or of
//! AWS's is classified where it arrives ([`crate::refusal`], [`crate::ssm`]) and dropped there.

use std::{fmt, time::Duration};

use crate::{
    app::credentials::InstallationId,
    app::private_key::KeyDefect,
    config::{ParameterName, Repository},
    error_type::ErrorType,
    github::error::Refusal,
    proof::mismatch::{self, Difference},
};

/// A result of a step of an invocation.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an invocation returned no token. Each variant says when it happens; [`ErrorType::row`] says what to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The caller sent a payload that asks for something.
    InputRefused,
    /// SSM does not know these parameters.
    ParametersMissing(Vec<ParameterName>),
    /// SSM returned this parameter without a value.
    ParameterEmpty(ParameterName),
    /// The private key is stored as a plain `String`.
    PrivateKeyNotEncrypted(ParameterName),
    /// The installation ID is not a positive whole number.
    InstallationIdInvalid(ParameterName),
    /// SSM could not be read.
    ParametersUnreadable(SsmFault),
    /// The private key cannot sign for a GitHub App.
    PrivateKeyDefective(ParameterName, KeyDefect),
    /// No answer of GitHub's arrived.
    GitHubUnreachable(Call, Broken),
    /// GitHub answered with a status that is not success.
    GitHubRefused(Call, u16, Refusal),
    /// GitHub said yes, in a way that its documentation does not describe.
    UnexpectedAnswer(Call, AnswerDefect),
    /// The App is installed on the repository, but not as the configured installation.
    InstallationMismatch {
        /// The installation that GitHub names for the repository.
        found: InstallationId,
        /// The installation in the SSM parameter.
        configured: InstallationId,
    },
    /// The lookup says that the installation is suspended.
    InstallationSuspended(InstallationId),
    /// The installation belongs to another account than the repository's configured owner.
    AccountMismatch(Repository),
    /// GitHub granted something else than what was configured; the token's revocation was asked for.
    TokenNotProven(Vec<Difference>),
    /// Lambda's deadline was near before the work was done.
    DeadlineNear(Step),
    /// A fault of our own.
    Internal,
}

/// A call to GitHub, under the name that our messages have always given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `GET /repos/{owner}/{repo}/installation`
    RepositoryInstallation,
    /// `POST /app/installations/{installation_id}/access_tokens`
    InstallationToken,
    /// `GET /installation/repositories`
    InstallationRepositories,
    /// `DELETE /installation/token`
    TokenRevocation,
}

/// A step of an invocation, as the log and the deadline's message name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read the parameters from SSM.
    Ssm,
    /// Sign the App's JWT.
    Sign,
    /// Look up the installation and hold it against the configured one.
    Confirm,
    /// Ask for the token.
    Mint,
    /// Hold the token against the configuration.
    Prove,
}

/// Why SSM gave no parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SsmFault {
    /// The role may not call `ssm:GetParameters` on the parameters.
    AccessDenied,
    /// The role may not use the KMS key, or the key is disabled.
    KmsDenied,
    /// SSM's request rate was exceeded, also after retries.
    Throttled,
    /// No whole answer arrived.
    Unreachable,
    /// SSM answered with a server error, or with something that is no answer of SSM's.
    Unavailable,
    /// SSM refused the request for another reason, such as expired credentials.
    Refused,
}

/// How a connection to GitHub failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// No connection: name resolution, TCP or the proxy failed.
    Connect,
    /// The TLS handshake failed, or the certificate was not trusted.
    Tls,
    /// The connection ended before the answer did.
    Interrupted,
    /// A limit on time passed.
    TimedOut,
}

/// What is wrong with a successful answer of GitHub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerDefect {
    /// Not `application/json`.
    NotJson,
    /// JSON of another shape than documented.
    Malformed,
    /// Longer than anything that GitHub sends.
    TooLong,
    /// No installation ID in the lookup's answer.
    NoInstallationId,
    /// No token in the answer to the mint.
    NoToken,
}

impl Failure {
    /// The stable name of this failure.
    pub const fn error_type(&self) -> ErrorType {
        match self {
            Self::InputRefused => ErrorType::InputRefused,
            Self::ParametersMissing(_) => ErrorType::ParametersMissing,
            Self::ParameterEmpty(_) => ErrorType::ParameterEmpty,
            Self::PrivateKeyNotEncrypted(_) => ErrorType::PrivateKeyNotEncrypted,
            Self::InstallationIdInvalid(_) => ErrorType::InstallationIdInvalid,
            Self::ParametersUnreadable(fault) => match fault {
                SsmFault::AccessDenied => ErrorType::ParametersAccessDenied,
                SsmFault::KmsDenied => ErrorType::ParametersKmsDenied,
                SsmFault::Throttled => ErrorType::ParametersThrottled,
                SsmFault::Unreachable => ErrorType::ParametersUnreachable,
                SsmFault::Unavailable => ErrorType::ParametersUnavailable,
                SsmFault::Refused => ErrorType::ParametersRefused,
            },
            Self::PrivateKeyDefective(_, defect) => defect.error_type(),
            Self::GitHubUnreachable(..) => ErrorType::GitHubUnreachable,
            Self::GitHubRefused(_, _, refusal) => refusal.error_type(),
            Self::UnexpectedAnswer(..) => ErrorType::UnexpectedAnswer,
            Self::InstallationMismatch { .. } => ErrorType::InstallationMismatch,
            Self::InstallationSuspended(_) => ErrorType::InstallationSuspended,
            Self::AccountMismatch(_) => ErrorType::AccountMismatch,
            Self::TokenNotProven(_) => ErrorType::TokenNotProven,
            Self::DeadlineNear(_) => ErrorType::DeadlineNear,
            Self::Internal => ErrorType::Internal,
        }
    }
}

impl fmt::Display for Failure {
    /// What happened, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputRefused => write!(f, "github-token-broker does not accept invocation input"),
            Self::ParametersMissing(names) => {
                let names: Vec<_> = names.iter().map(ParameterName::as_str).collect();
                write!(
                    f,
                    "missing GitHub App SSM parameters: [{}]",
                    names.join(", ")
                )
            }
            Self::ParameterEmpty(name) => write!(f, "SSM parameter {name} is empty or missing"),
            Self::PrivateKeyNotEncrypted(name) => {
                write!(f, "SSM parameter {name} must be a SecureString")
            }
            Self::InstallationIdInvalid(name) => write!(
                f,
                "SSM parameter {name} must be a GitHub App installation ID, a number"
            ),
            Self::ParametersUnreadable(fault) => write!(f, "SSM GetParameters {fault}"),
            Self::PrivateKeyDefective(name, defect) => write!(f, "{defect} (SSM parameter {name})"),
            Self::GitHubUnreachable(call, broken) => write!(f, "GitHub {call} request {broken}"),
            Self::GitHubRefused(call, status, refusal) => {
                write!(
                    f,
                    "GitHub {call} request failed with status {status}{refusal}"
                )
            }
            Self::UnexpectedAnswer(call, defect) => write!(f, "GitHub {call} response {defect}"),
            Self::InstallationMismatch { found, configured } => write!(
                f,
                "GitHub repository installation {found} does not match configured installation {configured}"
            ),
            Self::InstallationSuspended(id) => {
                write!(f, "GitHub App installation {id} is suspended")
            }
            Self::AccountMismatch(repository) => {
                write!(
                    f,
                    "GitHub repository {repository} is installed for an account of another name"
                )
            }
            Self::TokenNotProven(differences) => mismatch::write_all(f, differences),
            Self::DeadlineNear(step) => {
                write!(f, "Lambda's deadline came near during the step {step}")
            }
            Self::Internal => write!(f, "github-token-broker failed by a fault of its own"),
        }?;
        write!(f, ". {}.", self.error_type().row().remedy)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RepositoryInstallation => "repository-installation",
            Self::InstallationToken => "installation-token",
            Self::InstallationRepositories => "installation-repositories",
            Self::TokenRevocation => "token-revocation",
        })
    }
}

impl Step {
    /// The step's name, as log lines spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Sign => "sign",
            Self::Confirm => "confirm",
            Self::Mint => "mint",
            Self::Prove => "prove",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for SsmFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessDenied => "was denied to the function's role",
            Self::KmsDenied => {
                "could not decrypt: the KMS key is denied to the function's role, or disabled"
            }
            Self::Throttled => "was throttled",
            Self::Unreachable => "got no answer",
            Self::Unavailable => "failed by a fault of SSM's",
            Self::Refused => "was refused",
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "could not be sent: no connection",
            Self::Tls => "could not be sent: the TLS handshake failed",
            Self::Interrupted => "was cut off before its answer was complete",
            Self::TimedOut => "got no complete answer in time",
        })
    }
}

impl fmt::Display for AnswerDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "is not JSON",
            Self::Malformed => "has another shape than GitHub documents",
            Self::TooLong => "is longer than any that GitHub documents",
            Self::NoInstallationId => "did not include an installation ID",
            Self::NoToken => "did not include a token",
        })
    }
}

/// A wait, in the whole seconds that a person can act on; never shown shorter than it is.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
