//! What went wrong on the way to the function: one sentence why, one sentence what to do.
//!
//! AWS's own error messages are classified here and dropped: `--verbose` shows their code, never their text.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::endpoint::Service;
use crate::{function::Function, http::HttpError};

/// Why AWS did not answer as expected.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No thread or file descriptor for the asynchronous runtime.
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(std::io::Error),
    /// No source of credentials has any.
    #[error(
        "no AWS credentials found. Sign in (`aws sso login`, `aws configure`), or choose a profile with --profile or AWS_PROFILE"
    )]
    NoCredentials,
    /// IAM Identity Center requires a new login.
    #[error("the AWS SSO session has expired. Run `aws sso login{}`", profile_flag(.profile.as_deref()))]
    SsoExpired {
        /// The requested profile.
        profile: Option<String>,
    },
    /// The profile does not exist, or is not complete.
    #[error(
        "the AWS credentials{} cannot be loaded: {why}. Check ~/.aws/config and ~/.aws/credentials, or choose another profile \
         with --profile", of_profile(.profile.as_deref())
    )]
    CredentialsInvalid {
        /// The requested profile.
        profile: Option<String>,
        /// The SDK's reason.
        why: String,
    },
    /// A copied line break, for example.
    #[error(
        "the AWS access key ID or session token contains a control character. Copy it again, without line breaks"
    )]
    ControlCharacterInCredentials,
    /// The source of credentials failed.
    #[error("the AWS credentials cannot be loaded: {why}. Sign in again, and check the network")]
    CredentialsFailed {
        /// The SDK's reason.
        why: String,
    },
    /// No region.
    #[error("no AWS region is configured. Pass --region or the function's ARN, or set AWS_REGION")]
    NoRegion,
    /// The region cannot be part of a host name.
    #[error(
        "{region} is not the name of an AWS region. Check --region, AWS_REGION and the profile"
    )]
    InvalidRegion {
        /// What is configured.
        region: String,
    },
    /// An endpoint is not the URL of a server. It can have a password in it, so it is not repeated.
    #[error(
        "{setting} is not a valid endpoint. Set it to an http or https URL without user name and password, with a port from 1 to \
         65535 or none"
    )]
    InvalidEndpoint {
        /// The variable, or the setting in the AWS configuration.
        setting: String,
    },
    /// STS refuses the role.
    #[error(
        "AWS STS does not allow this identity to assume {role}: {code}. Check the role's trust policy"
    )]
    RoleRefused {
        /// The role's ARN.
        role: String,
        /// STS's error code.
        code: String,
    },
    /// STS does not accept GitHub's OIDC token for the role.
    #[error(
        "AWS STS rejected the OIDC token of this GitHub Actions job for {role}: {code}. Check that the role's trust policy \
         names this repository's subject, the audience sts.amazonaws.com, and the provider token.actions.githubusercontent.com"
    )]
    OidcRefused {
        /// The role's ARN.
        role: String,
        /// STS's error code.
        code: String,
    },
    /// GitHub Actions does not issue an OIDC token.
    #[error(
        "GitHub Actions issued no OIDC token: {why}. Check that the job has `permissions: id-token: write`"
    )]
    NoOidcToken {
        /// Why.
        why: String,
    },
    /// The identity is not allowed to invoke the function.
    #[error(
        "AWS denied lambda:InvokeFunction on {function} in {region}. Allow it in your identity's policy or in the function's \
         resource policy (Terraform input `invoker_role_arns`), and check that you use the right account"
    )]
    InvokeDenied {
        /// The function.
        function: Function,
        /// Its region.
        region: String,
    },
    /// No such function.
    #[error(
        "Lambda has no function {function} in {region}. Check --function, the region (--region) and the account (--profile)"
    )]
    NoFunction {
        /// The function.
        function: Function,
        /// The region.
        region: String,
    },
    /// The function, or the account, is at its concurrency limit.
    #[error(
        "Lambda throttled the invocation of {function} {attempts} times. Retry later, or raise the function's concurrency"
    )]
    Throttled {
        /// The function.
        function: Function,
        /// How many requests were sent.
        attempts: u32,
    },
    /// The credentials expired.
    #[error("the AWS credentials have expired. Sign in again")]
    ExpiredCredentials,
    /// AWS does not know the access key, or the signature is wrong.
    #[error(
        "AWS does not accept the credentials: {code}. Check the access key, the secret key and this machine's clock"
    )]
    InvalidCredentials {
        /// AWS's error code.
        code: String,
    },
    /// Lambda cannot run the function.
    #[error(
        "Lambda cannot run {function}: {code} (HTTP {status}). Check the function's state in the AWS console"
    )]
    Refused {
        /// The function.
        function: Function,
        /// Lambda's error code.
        code: String,
        /// The status.
        status: StatusCode,
    },
    /// The response is not Lambda's.
    #[error(
        "the endpoint {host} returned HTTP {status} without an AWS error code. Check AWS_ENDPOINT_URL and the proxy"
    )]
    NotAws {
        /// The endpoint's host and port.
        host: String,
        /// The status.
        status: StatusCode,
    },
    /// The request cannot be signed.
    #[error("the request to {} cannot be signed. Check the AWS credentials for unusual characters", .service.name())]
    Signing {
        /// The service.
        service: Service,
    },
    /// No response.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No response to an `Invoke` within `--timeout`.
    #[error(
        "no response from {host} within {} s. The function might still be running: the token that it mints expires within an \
         hour. Raise --timeout if that is too short", .after.as_secs()
    )]
    InvokeTimedOut {
        /// Host and port.
        host: String,
        /// How long the client waited.
        after: Duration,
    },
}

impl AwsError {
    /// Sorts the SDK's failures to load credentials.
    pub fn from_credentials(error: &CredentialsError, profile: Option<&str>) -> Self {
        let texts = chain(error);
        let is = |text: &str| texts.iter().any(|of_chain| of_chain.contains(text));
        if is("SSO token") || is("sso session") || is("UnauthorizedException") {
            return Self::SsoExpired {
                profile: profile.map(str::to_owned),
            };
        }
        let why = crate::output::escape(&texts.last().cloned().unwrap_or_default()).into_owned();
        let profile = profile.map(str::to_owned);
        match error {
            CredentialsError::CredentialsNotLoaded(_) if profile.is_none() => Self::NoCredentials,
            CredentialsError::CredentialsNotLoaded(_)
            | CredentialsError::InvalidConfiguration(_) => {
                Self::CredentialsInvalid { profile, why }
            }
            _ => Self::CredentialsFailed { why },
        }
    }

    /// Sorts Lambda's refusals to invoke.
    pub fn from_invoke(
        status: StatusCode,
        code: Option<&str>,
        function: &Function,
        region: &str,
        host: String,
    ) -> Self {
        let Some(code) = code else {
            return Self::NotAws { host, status };
        };
        match code {
            "ResourceNotFoundException" => Self::NoFunction {
                function: function.clone(),
                region: region.to_owned(),
            },
            "AccessDeniedException" | "AccessDenied" => Self::InvokeDenied {
                function: function.clone(),
                region: region.to_owned(),
            },
            "ExpiredTokenException" | "ExpiredToken" => Self::ExpiredCredentials,
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException" => Self::InvalidCredentials {
                code: code.to_owned(),
            },
            code => Self::Refused {
                function: function.clone(),
                code: code.to_owned(),
                status,
            },
        }
    }
}

/// The code of an AWS error response, if it is one.
pub fn code(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let in_header = headers
        .get("x-amzn-errortype")
        .and_then(|code| code.to_str().ok());
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let in_body = ["__type", "code", "Code"]
        .into_iter()
        .find_map(|name| body[name].as_str());
    let code = in_header.or(in_body)?;
    // `namespace#Code:http://...`: only the code is always there.
    let code = code.split(':').next().unwrap_or_default();
    plain(code.rsplit('#').next().unwrap_or_default())
}

/// A text that has the form of an AWS error code. Any other text is never repeated.
pub fn plain(code: &str) -> Option<String> {
    let plain = !code.is_empty()
        && code.len() <= 80
        && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    plain.then(|| code.to_owned())
}

/// The messages of an error and of everything below it.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    texts
}

fn of_profile(profile: Option<&str>) -> String {
    profile
        .map(|profile| format!(" of the profile {profile}"))
        .unwrap_or_default()
}

fn profile_flag(profile: Option<&str>) -> String {
    profile
        .map(|profile| format!(" --profile {profile}"))
        .unwrap_or_default()
}
