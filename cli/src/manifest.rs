//! A new GitHub App, by the App manifest flow: a page on loopback posts the manifest to GitHub, GitHub redirects back with a code,
//! and the code is converted once into the App and its private key.
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
//!
//! Input: the App's name and permissions. Output: a [`NewApp`]. The secrets that the broker does not need are wiped unread.

use std::{io, time::Duration};

use http::{Request, StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    github::host::Host,
    http::{HttpClient, HttpError},
};

/// A browser sends its request at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A request of a browser to the page has a few hundred bytes.
const LARGEST_REQUEST: usize = 16 * 1024;

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
    #[error("GitHub did not come back within {} min. If the App exists, delete it on its settings page, and retry", .0.as_secs() / 60)]
    TooLate(Duration),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
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

/// The page that creates the App.
pub struct Page {
    listener: TcpListener,
    port: u16,
    state: String,
    html: String,
}

impl Page {
    /// Opens a port on loopback. `organization` owns the App; without one, the user does.
    ///
    /// # Errors
    /// There is no port.
    pub async fn open(
        host: &Host,
        organization: Option<&str>,
        name: &str,
        homepage: &str,
        permissions: &[(String, String)],
    ) -> Result<Self, ManifestError> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(ManifestError::NoPort)?;
        let port = listener.local_addr().map_err(ManifestError::NoPort)?.port();
        let mut state = [0; 16];
        aws_lc_rs::rand::fill(&mut state).map_err(|_| ManifestError::NoRandom)?;
        let state = hex::encode(state);
        let permissions: Map<String, Value> = permissions
            .iter()
            .map(|(name, level)| (name.clone(), level.as_str().into()))
            .collect();
        let manifest = json!({
            "name": name,
            "url": homepage,
            "redirect_url": format!("http://127.0.0.1:{port}/created"),
            "public": false,
            "default_permissions": permissions,
            "default_events": [],
        });
        let target = organization
            .map(|organization| format!("organizations/{organization}/"))
            .unwrap_or_default();
        let action = format!(
            "{}?state={state}",
            host.repository_url(&format!("{target}settings/apps/new"))
        );
        let html = format!(
            "<!doctype html><meta charset=utf-8><title>github-token-broker</title>\
             <form method=post action=\"{}\"><input type=hidden name=manifest value=\"{}\">\
             <p>This creates the GitHub App {}.</p><button>Continue on GitHub</button></form>\
             <script>document.forms[0].submit()</script>",
            escaped(&action),
            escaped(&manifest.to_string()),
            escaped(name)
        );
        Ok(Self {
            listener,
            port,
            state,
            html,
        })
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Serves the page until GitHub redirects back, and sends the user to `next`, which gets the App, to install it.
    ///
    /// # Errors
    /// The user does not come back in time.
    pub async fn code(&self, patience: Duration) -> Result<String, ManifestError> {
        let served = timeout(patience, async {
            loop {
                let (stream, _) = self
                    .listener
                    .accept()
                    .await
                    .map_err(ManifestError::NoPort)?;
                if let Ok(Ok(Some(code))) = timeout(REQUEST_TIMEOUT, self.serve(stream)).await {
                    return Ok(code);
                }
            }
        });
        served.await.map_err(|_| ManifestError::TooLate(patience))?
    }

    /// One request. Returns the code if it is GitHub's redirect with our state.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<Option<String>> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LARGEST_REQUEST {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let target = lines
            .next()
            .and_then(|line| line.strip_prefix("GET "))
            .and_then(|line| line.split(' ').next());
        let host = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        // A page elsewhere can make the browser connect here under a name of its own.
        let is_ours =
            host.is_some_and(|(_, host)| host.trim() == format!("127.0.0.1:{}", self.port));
        let url = target
            .filter(|_| is_ours)
            .and_then(|target| url::Url::parse(&format!("http://127.0.0.1{target}")).ok());
        let Some(url) = url else {
            respond(&mut stream, 400, "Bad request").await?;
            return Ok(None);
        };
        let parameter = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        match url.path() {
            "/" => respond(&mut stream, 200, &self.html).await?,
            "/created" => {
                let code = parameter("code").filter(|code| is_code(code));
                let code =
                    code.filter(|_| parameter("state").as_deref() == Some(self.state.as_str()));
                let (status, text) = if code.is_some() {
                    (200, "The App is created. Return to the terminal.")
                } else {
                    (403, "This is not the answer to the request of this page.")
                };
                respond(&mut stream, status, text).await?;
                return Ok(code);
            }
            _ => respond(&mut stream, 404, "Not found").await?,
        }
        Ok(None)
    }
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
        .map_err(|_| HttpError::InvalidUrl { url: url.clone() })?;
    let response = HttpClient::new(Duration::from_secs(30))
        .send(request)
        .await?;
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

async fn respond(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn is_code(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
