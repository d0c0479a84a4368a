//! A new GitHub App, by the App manifest flow: a page on loopback posts the manifest to GitHub, GitHub redirects back with a code,
//! and the code is converted once into the App and its private key.
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
//!
//! Input: the App's name and permissions. Output: a [`NewApp`]. The secrets that the broker does not need are wiped unread.
//! Invariant: only a request to this port by its address, with the state of this page, can end the wait.

mod page;

use std::{io, time::Duration};

use http::{Request, StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    github::host::Host,
    http::{HttpClient, HttpError},
};

pub use page::{Created, Page, Registration};

/// GitHub creates the App's key during this request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no new App.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No port on loopback.
    #[error("cannot serve a page on 127.0.0.1: {0}. Free a port, and retry")]
    NoPort(io::Error),
    /// Nobody must be able to guess the state.
    #[error("the system's random number generator failed. Retry")]
    NoRandom,
    /// The user did not come back from GitHub.
    #[error("GitHub did not redirect back within {}. Retry, with a longer --patience if you need more time", humantime::format_duration(*.0))]
    TooLate(Duration),
    /// The user did not install the App.
    #[error("the App was not installed on {repository} within {}", humantime::format_duration(*.patience))]
    NotInstalled {
        /// The repository.
        repository: String,
        /// How long the client waited.
        patience: Duration,
    },
    /// Nobody knows whether the user installed the App.
    #[error(
        "cannot find out whether the App is installed on {repository}, which took longer than {}: {why}", humantime::format_duration(*.patience)
    )]
    Unconfirmed {
        /// The repository.
        repository: String,
        /// How long the client waited.
        patience: Duration,
        /// GitHub's last response, or why there is none.
        why: String,
    },
    /// GitHub does not convert the code.
    #[error(
        "GitHub refused to convert the code: HTTP {0}. Delete the App on its settings page, and retry"
    )]
    Refused(StatusCode),
    /// GitHub's response has no App.
    #[error(
        "GitHub's response to the code has no App. Delete the App on its settings page, and retry"
    )]
    Malformed,
    /// No response.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// What GitHub returns once.
#[derive(Deserialize)]
pub struct NewApp {
    /// The name in URLs.
    pub slug: String,
    /// The client ID.
    pub client_id: String,
    /// The private key: a secret.
    pub pem: SecretString,
    /// Wiped unread.
    #[expect(dead_code, reason = "it is read to be wiped")]
    client_secret: Option<SecretString>,
    /// Wiped unread.
    #[expect(dead_code, reason = "as above")]
    webhook_secret: Option<SecretString>,
}

/// Exchanges the code for the App. GitHub does this once.
///
/// # Errors
/// GitHub refuses, or does not answer.
pub async fn convert(host: &Host, code: &str) -> Result<NewApp, ManifestError> {
    let url = format!("{}/app-manifests/{code}/conversions", host.api());
    let request = Request::post(&url)
        .header(header::ACCEPT, "application/vnd.github+json")
        .header(header::USER_AGENT, "github-token-broker")
        .header("x-github-api-version", "2022-11-28")
        .body(Vec::new())
        .map_err(|_| HttpError::InvalidUrl)?;
    let response = HttpClient::new(TIMEOUT).send(request).await?;
    if response.status != StatusCode::CREATED {
        return Err(ManifestError::Refused(response.status));
    }
    let app: NewApp =
        serde_json::from_slice(&response.body).map_err(|_| ManifestError::Malformed)?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if is_plain(&app.slug) && is_plain(&app.client_id) {
        Ok(app)
    } else {
        Err(ManifestError::Malformed)
    }
}
