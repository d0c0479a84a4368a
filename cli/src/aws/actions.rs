//! AWS credentials in GitHub Actions: the job's OIDC token in exchange for a role. Neither leaves this process.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use http::{HeaderValue, Request, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

use super::{error::AwsError, session::SESSION_NAME};
use crate::{http::HttpClient, output::Diagnostics};

/// What the trust policy of the role's identity provider expects.
const AUDIENCE: &str = "sts.amazonaws.com";

/// How long the client waits for GitHub to issue an OIDC token.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a job gets its OIDC token.
pub struct TokenRequest {
    url: String,
    bearer: SecretString,
}

#[derive(Deserialize)]
struct Issued {
    value: SecretString,
}

impl TokenRequest {
    /// From the variables that GitHub Actions sets in a job with `id-token: write`.
    pub fn from_environment() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = variable("ACTIONS_ID_TOKEN_REQUEST_URL");
        let bearer = variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        url.zip(bearer).map(|(url, bearer)| Self {
            url,
            bearer: SecretString::from(bearer),
        })
    }

    async fn send(&self) -> Result<SecretString, AwsError> {
        let failed = |why: String| AwsError::NoOidcToken { why };
        let mut url = url::Url::parse(&self.url)
            .map_err(|_| failed("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL".to_owned()))?;
        url.query_pairs_mut().append_pair("audience", AUDIENCE);
        let bearer = format!("bearer {}", self.bearer.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| {
            failed(
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN has characters that no header can have".to_owned(),
            )
        })?;
        bearer.set_sensitive(true);
        let request = Request::get(url.as_str())
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "github-token-broker")
            .body(Vec::new())
            .map_err(|_| failed("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL".to_owned()))?;
        let response = HttpClient::new(TIMEOUT).send(request).await?;
        if !response.status.is_success() {
            return Err(failed(format!("HTTP {}", response.status)));
        }
        let issued: Issued = serde_json::from_slice(&response.body)
            .map_err(|_| failed("the response has no `value`".to_owned()))?;
        Ok(issued.value)
    }
}

/// Whether this is a job of GitHub Actions.
pub fn is_job() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Exchanges the job's OIDC token for credentials of the role.
///
/// # Errors
/// GitHub issues no token, or STS does not accept it.
pub async fn assume_role(
    request: &TokenRequest,
    role: &str,
    sdk: &SdkConfig,
    diagnostics: Diagnostics,
) -> Result<Credentials, AwsError> {
    let token = request.send().await?;
    diagnostics.detail("GitHub Actions issued an OIDC token");
    let sts = aws_sdk_sts::Client::new(sdk);
    let session = std::env::var("GITHUB_RUN_ID").map_or_else(
        |_| SESSION_NAME.to_owned(),
        |run| {
            format!("{SESSION_NAME}-{run}")
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                .take(64)
                .collect()
        },
    );
    let assumed = sts
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name(session)
        .web_identity_token(token.expose_secret())
        .send()
        .await;
    let output = assumed.map_err(|error| match &error {
        SdkError::ServiceError(refused) => AwsError::OidcRefused {
            role: role.to_owned(),
            code: refused.err().code().unwrap_or("no error code").to_owned(),
        },
        other => AwsError::CredentialsFailed {
            why: super::error::chain(other)
                .last()
                .cloned()
                .unwrap_or_default(),
        },
    })?;
    let issued = output
        .credentials
        .ok_or_else(|| AwsError::CredentialsFailed {
            why: "AWS STS returned no credentials".to_owned(),
        })?;
    Ok(Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        SystemTime::try_from(issued.expiration).ok(),
        "GitHubActionsOidc",
    ))
}
