//! The page on loopback: it posts the manifest to GitHub, and takes GitHub's redirect.
//!
//! It has no script, loads nothing, and has no secret except the state, which only GitHub sends back.

use std::{io, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::ManifestError;
use crate::github::host::Host;

/// A browser sends its request at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A request of a browser to the page has a few hundred bytes.
const LARGEST_REQUEST: usize = 16 * 1024;

const STYLE: &str = include_str!("page.css");

/// The App to create.
pub struct Registration<'a> {
    /// The GitHub server.
    pub host: &'a Host,
    /// The organization that owns the App. Without one, the user does.
    pub organization: Option<&'a str>,
    /// The App's name.
    pub name: &'a str,
    /// `OWNER/REPO` that the App is for.
    pub repository: &'a str,
    /// The App's permissions.
    pub permissions: &'a [(String, String)],
}

/// The page that creates the App.
pub struct Page {
    listener: TcpListener,
    port: u16,
    state: String,
    html: String,
    policy: String,
}

/// GitHub's redirect, which waits for its response.
pub struct Created {
    /// The code that GitHub converts once.
    pub code: String,
    stream: TcpStream,
    policy: String,
}

impl Page {
    /// Opens a port on loopback.
    ///
    /// # Errors
    /// There is no port.
    pub async fn open(app: &Registration<'_>) -> Result<Self, ManifestError> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(ManifestError::NoPort)?;
        let port = listener.local_addr().map_err(ManifestError::NoPort)?.port();
        let mut state = [0; 16];
        aws_lc_rs::rand::fill(&mut state).map_err(|_| ManifestError::NoRandom)?;
        let state = hex::encode(state);
        let target = app
            .organization
            .map(|organization| format!("organizations/{organization}/"))
            .unwrap_or_default();
        let target = app
            .host
            .repository_url(&format!("{target}settings/apps/new"));
        // Chromium applies form-action to the whole chain of redirects, which a single sign-on leads through other hosts.
        let scheme = target.split("//").next().unwrap_or_default();
        Ok(Self {
            html: form(
                app,
                &format!("{target}?state={state}"),
                &manifest(app, port),
            ),
            policy: policy(&format!("form-action {scheme}")),
            listener,
            port,
            state,
        })
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Serves the page until GitHub redirects back.
    ///
    /// # Errors
    /// The user does not come back in time.
    pub async fn created(&self, patience: Duration) -> Result<Created, ManifestError> {
        let served = timeout(patience, async {
            loop {
                let (stream, _) = self
                    .listener
                    .accept()
                    .await
                    .map_err(ManifestError::NoPort)?;
                if let Ok(Ok(Some(created))) = timeout(REQUEST_TIMEOUT, self.serve(stream)).await {
                    return Ok(created);
                }
            }
        });
        served.await.map_err(|_| ManifestError::TooLate(patience))?
    }

    /// One request. Returns GitHub's redirect if it has our state.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<Option<Created>> {
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
        let policy = &self.policy;
        let Some(url) = url else {
            respond(&mut stream, 400, policy, &message("Bad request", "")).await?;
            return Ok(None);
        };
        let parameter = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        match url.path() {
            "/" => respond(&mut stream, 200, policy, &self.html).await?,
            "/created" => {
                let code = parameter("code").filter(|code| is_code(code));
                let is_ours = parameter("state").as_deref() == Some(self.state.as_str());
                if let Some(code) = code.filter(|_| is_ours) {
                    let policy = self.policy.clone();
                    return Ok(Some(Created {
                        code,
                        stream,
                        policy,
                    }));
                }
                let text = "This redirect does not belong to the page of this command.";
                respond(&mut stream, 403, policy, &message("Rejected", text)).await?;
            }
            _ => respond(&mut stream, 404, policy, &message("Not found", "")).await?,
        }
        Ok(None)
    }
}

impl Created {
    /// Shows the next step in the browser: to install the App, at this URL. A browser that left does not matter.
    pub async fn show_installation(mut self, slug: &str, repository: &str, install: &str) {
        let html = document(
            "The App exists",
            &format!(
                "<p>GitHub has created the App <strong>{}</strong>.</p>\
                 <p>Install it now: choose <strong>Only select repositories</strong>, and select <strong>{}</strong>.</p>\
                 <p><a class=\"button\" href=\"{}\">Install the App on GitHub</a></p>\
                 <p>Then return to the terminal.</p>",
                escaped(slug),
                escaped(repository),
                escaped(install)
            ),
        );
        let _ = respond(&mut self.stream, 200, &self.policy, &html).await;
    }

    /// Shows that the terminal has the error.
    pub async fn show_failure(mut self) {
        let text = "Return to the terminal: it says what exists and how to remove it.";
        let html = message("The setup did not finish", text);
        let _ = respond(&mut self.stream, 502, &self.policy, &html).await;
    }
}

/// The manifest. `hook_attributes` is omitted: the App has no webhook.
fn manifest(app: &Registration<'_>, port: u16) -> String {
    let permissions: Map<String, Value> = app
        .permissions
        .iter()
        .map(|(name, level)| (name.clone(), level.as_str().into()))
        .collect();
    json!({
        "name": app.name,
        "url": app.host.repository_url(app.repository),
        "redirect_url": format!("http://127.0.0.1:{port}/created"),
        "public": false,
        "default_permissions": permissions,
        "default_events": [],
    })
    .to_string()
}

fn form(app: &Registration<'_>, action: &str, manifest: &str) -> String {
    let permissions = app.permissions.iter();
    let permissions: Vec<_> = permissions
        .map(|(name, level)| escaped(&format!("{name}: {level}")))
        .collect();
    let owner = app.organization.unwrap_or("your own account");
    document(
        "Create a GitHub App",
        &format!(
            "<dl><dt>Name</dt><dd>{}</dd><dt>Owner</dt><dd>{}</dd><dt>Permissions</dt><dd>{}</dd>\
             <dt>Repository</dt><dd>{}</dd></dl>\
             <form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"manifest\" value=\"{}\">\
             <button autofocus>Continue on GitHub</button></form>\
             <p>On GitHub, confirm the name. GitHub then returns here.</p>",
            escaped(app.name),
            escaped(owner),
            permissions.join(", "),
            escaped(app.repository),
            escaped(action),
            escaped(manifest),
        ),
    )
}

fn message(title: &str, text: &str) -> String {
    document(title, &format!("<p>{}</p>", escaped(text)))
}

fn document(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title} - github-token-broker</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style><main><h1>{title}</h1>{content}</main></html>"
    )
}

/// The Content-Security-Policy: nothing but the page's own style, which its hash names.
fn policy(form_action: &str) -> String {
    let style = Base64::encode_string(digest(&SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; {form_action}; base-uri 'none'; frame-ancestors 'none'"
    )
}

async fn respond(stream: &mut TcpStream, status: u16, policy: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: {policy}\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\
         connection: close\r\n\r\n",
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
