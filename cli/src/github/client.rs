//! The calls that the client makes to GitHub with a token: `revoke`, and the login of the bot.
//!
//! A body that GitHub sent is never repeated in an error.

use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use http::{HeaderValue, Method, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::host::Host;
use crate::{
    http::{HttpClient, HttpError, Response},
    output::Diagnostics,
};

/// GitHub answers within 10 s or not at all: that is its own limit for an API request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Why a request to GitHub failed.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// No response.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The token has characters that no header can have.
    #[error(
        "the token contains characters that no GitHub token has. Pass one token, and nothing else"
    )]
    NotAToken,
    /// GitHub does not know the token any more.
    #[error(
        "GitHub no longer accepts the token: it was revoked, or it expired. Run `github-token-broker revoke` to forget it"
    )]
    TokenRejected,
    /// Any other status.
    #[error("GitHub ({host}) refused to {action}: HTTP {status}{}. Check --github-host, and retry", in_parentheses(.request_id.as_deref()))]
    Refused {
        /// The server.
        host: String,
        /// The action that it refused.
        action: &'static str,
        /// The status.
        status: StatusCode,
        /// `x-github-request-id`.
        request_id: Option<String>,
    },
    /// The response is not GitHub's.
    #[error("{host} did not answer as GitHub does. Check --github-host and the proxy")]
    Unexpected {
        /// The server.
        host: String,
    },
}

/// GitHub, with the rights of a token.
pub struct GitHub<'a> {
    http: HttpClient,
    api: String,
    host: &'a Host,
    token: &'a SecretString,
    diagnostics: Diagnostics,
}

impl<'a> GitHub<'a> {
    /// Nothing is sent yet.
    pub fn new(host: &'a Host, token: &'a SecretString, diagnostics: Diagnostics) -> Self {
        Self::at(&host.api(), host, token, diagnostics)
    }

    /// GitHub, with its REST API at this URL.
    pub fn at(
        api: &str,
        host: &'a Host,
        token: &'a SecretString,
        diagnostics: Diagnostics,
    ) -> Self {
        let api = api.trim_end_matches('/').to_owned();
        Self {
            http: HttpClient::new(TIMEOUT),
            api,
            host,
            token,
            diagnostics,
        }
    }

    /// Revokes the token. A token that GitHub does not accept is revoked already.
    ///
    /// # Errors
    /// There is no answer, or one that does not say that the token is gone.
    pub async fn revoke(&self) -> Result<(), GitHubError> {
        let url = format!("{}/installation/token", self.api);
        let response = self.send(Method::DELETE, &url, Vec::new()).await?;
        match response.status {
            StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED => Ok(()),
            _ => Err(self.refused("revoke the token", &response)),
        }
    }

    /// The login under which the token acts, such as `my-app[bot]`.
    ///
    /// # Errors
    /// There is no answer, or not this one.
    pub async fn login(&self) -> Result<String, GitHubError> {
        let query = br#"{"query":"query { viewer { login } }"}"#;
        let response = self
            .send(Method::POST, &self.host.graphql(), query.to_vec())
            .await?;
        match response.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(GitHubError::TokenRejected),
            _ => return Err(self.refused("name the bot", &response)),
        }
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let login = body["data"]["viewer"]["login"].as_str();
        let login = login.filter(|login| is_login(login));
        login
            .map(str::to_owned)
            .ok_or_else(|| GitHubError::Unexpected {
                host: self.host.name().to_owned(),
            })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Vec<u8>,
    ) -> Result<Response, GitHubError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose_secret()))
            .map_err(|_| GitHubError::NotAToken)?;
        bearer.set_sensitive(true);
        self.diagnostics.detail(format!("{method} {url}"));
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::AUTHORIZATION, bearer)
            .header(header::USER_AGENT, "github-token-broker")
            .header("x-github-api-version", "2022-11-28");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body).map_err(|_| HttpError::InvalidUrl)?;
        let response = self.http.send(request).await?;
        self.diagnostics.detail(format!(
            "{} returned HTTP {}",
            self.host.name(),
            response.status
        ));
        Ok(response)
    }

    fn refused(&self, action: &'static str, response: &Response) -> GitHubError {
        let id = response
            .headers
            .get("x-github-request-id")
            .and_then(|id| id.to_str().ok());
        let plain =
            |id: &&str| id.len() <= 80 && id.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
        GitHubError::Refused {
            host: self.host.name().to_owned(),
            action,
            status: response.status,
            request_id: id.filter(plain).map(str::to_owned),
        }
    }
}

/// The name of a token in GitHub's audit log: `hashed_token`.
pub fn token_hash(token: &SecretString) -> String {
    let hash =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose_secret().as_bytes());
    Base64::encode_string(hash.as_ref())
}

fn is_login(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_[]".contains(c);
    (1..=100).contains(&text.len()) && text.chars().all(allowed)
}

fn in_parentheses(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_hash_is_the_audit_logs() {
        // printf %s ghs_example | openssl dgst -sha256 -binary | base64
        assert_eq!(
            token_hash(&SecretString::from("ghs_example")),
            "UMaRjVoedd29MJgtcZ6b6jIFPLlG7OzD84ZhFi+79Cc="
        );
    }
}
