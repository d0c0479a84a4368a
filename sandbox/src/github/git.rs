//! Git's smart HTTP protocol in front of real bare repositories, which `git http-backend` serves.
//!
//! Input: a request of git. Output: the response of git, or GitHub's error.
//! Invariant: a token works exactly as far as this GitHub issued it. A token with `contents: read` cannot push.

use std::path::{Path as FilePath, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::GitHub;
use super::error::GitHubError;
use super::model::rank;
use super::routes::SharedGitHub;
use crate::lock;

/// The bare repositories of one GitHub, created when they are first used.
pub(crate) struct GitRepositories {
    root: tempfile::TempDir,
    creating: tokio::sync::Mutex<()>,
}

impl GitRepositories {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("the temporary folder is writable"),
            creating: tokio::sync::Mutex::default(),
        }
    }

    /// The bare repository of the GitHub repository with this ID. It starts with one commit on `main`.
    pub(crate) async fn path(&self, id: u64, full_name: &str) -> PathBuf {
        let _only_one = self.creating.lock().await;
        let path = self.root.path().join(format!("{id}.git"));
        if path.is_dir() {
            return path;
        }
        let root = self.root.path();
        let folder = path.to_str().expect("a temporary path is text");
        git(
            root,
            &["init", "--quiet", "--bare", "--initial-branch=main", folder],
            "",
        )
        .await;
        git(&path, &["config", "http.receivepack", "true"], "").await;
        let readme = format!("# {full_name}\n");
        let blob = git(&path, &["hash-object", "-w", "--stdin"], &readme).await;
        let entry = format!("100644 blob {blob}\tREADME.md\n");
        let tree = git(&path, &["mktree"], &entry).await;
        let commit = git(&path, &["commit-tree", "-m", "Initial commit", &tree], "").await;
        git(&path, &["update-ref", "refs/heads/main", &commit], "").await;
        path
    }
}

/// A git command without the user's configuration.
fn command(folder: &FilePath, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "sandbox")
        .env("GIT_AUTHOR_EMAIL", "sandbox@example.com")
        .env("GIT_COMMITTER_NAME", "sandbox")
        .env("GIT_COMMITTER_EMAIL", "sandbox@example.com")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command with this input. Returns its output.
async fn run(mut command: Command, input: &[u8]) -> std::process::Output {
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run git: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let writing = async {
        // Git may close its input before it has read everything.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let ((), output) = tokio::join!(writing, child.wait_with_output());
    output.expect("a child can be awaited")
}

async fn git(folder: &FilePath, arguments: &[&str], input: &str) -> String {
    let output = run(command(folder, arguments), input.as_bytes()).await;
    assert!(
        output.status.success(),
        "git {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[derive(Clone)]
struct Shared {
    github: SharedGitHub,
    repositories: Arc<GitRepositories>,
}

/// The routes of git, at the root of the host.
pub(crate) fn router(github: &SharedGitHub, repositories: &Arc<GitRepositories>) -> Router {
    Router::new()
        .route("/{owner}/{repo}/info/refs", get(serve))
        .route("/{owner}/{repo}/git-upload-pack", post(serve))
        .route("/{owner}/{repo}/git-receive-pack", post(serve))
        .layer(DefaultBodyLimit::disable())
        .with_state(Shared {
            github: Arc::clone(github),
            repositories: Arc::clone(repositories),
        })
}

async fn serve(
    State(shared): State<Shared>,
    Path((owner, repo)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let full_name = format!("{owner}/{}", repo.strip_suffix(".git").unwrap_or(&repo));
    let (_, service_path) = uri
        .path()
        .split_once(&format!("/{repo}/"))
        .unwrap_or_default();
    let writes =
        service_path == "git-receive-pack" || uri.query() == Some("service=git-receive-pack");
    let access = authorize(&mut lock(&shared.github), &full_name, &headers, writes);
    let id = match access {
        Ok(id) => id,
        Err(error) => return error_response(&shared.github, &error, &uri),
    };
    let path = shared.repositories.path(id, &full_name).await;
    let root = shared.repositories.root.path();
    let mut backend = command(root, &["http-backend"]);
    backend
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}/{service_path}", file_name(&path)))
        .env("REQUEST_METHOD", method.as_str())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "x-access-token")
        .env("REMOTE_ADDR", "127.0.0.1");
    for (name, variable) in [
        (CONTENT_TYPE, "CONTENT_TYPE"),
        (CONTENT_ENCODING, "HTTP_CONTENT_ENCODING"),
        (HeaderName::from_static("git-protocol"), "GIT_PROTOCOL"),
    ] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            backend.env(variable, value);
        }
    }
    let output = run(backend, &body).await;
    parse_cgi(output.stdout).unwrap_or_else(|| {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
    })
}

fn file_name(path: &FilePath) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("the name is made of digits")
}

/// Returns the ID of the repository, if the credential may read it, or write to it.
fn authorize(
    github: &mut GitHub,
    full_name: &str,
    headers: &HeaderMap,
    writes: bool,
) -> Result<u64, GitHubError> {
    let token = match basic_password(headers)? {
        Some(value) => match github.use_token(&value) {
            Ok(token) => Some(token),
            // A token that has not propagated is a wrong password for git.
            Err(_) => return Err(GitHubError::BadCredentials),
        },
        None => None,
    };
    let Some(token) = token else {
        // GitHub asks for credentials before it says whether a private repository exists.
        return match github.read(None, full_name) {
            Ok(repository) if !writes => Ok(repository.id),
            Err(GitHubError::Moved(id)) => Err(GitHubError::Moved(id)),
            _ => Err(GitHubError::RequiresAuthentication),
        };
    };
    let repository = github.read(Some(&token), full_name)?;
    let level = token.permissions.get("contents");
    let can_read = !repository.private || level.is_some_and(|level| rank(level) >= rank("read"));
    if !can_read {
        return Err(GitHubError::NotAccessible);
    }
    if writes {
        github.write(&token, full_name)?;
    }
    Ok(repository.id)
}

/// The password of HTTP Basic authentication. GitHub ignores the user name if the password is a token.
fn basic_password(headers: &HeaderMap) -> Result<Option<String>, GitHubError> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let password = || {
        let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        Some(decoded.split_once(':')?.1.to_owned())
    };
    password().map(Some).ok_or(GitHubError::BadCredentials)
}

/// GitHub's response to git: a line of text, which git shows after `remote:`.
fn error_response(github: &SharedGitHub, error: &GitHubError, uri: &Uri) -> Response {
    let text = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
    match error {
        GitHubError::RequiresAuthentication => {
            (StatusCode::UNAUTHORIZED, challenge, "").into_response()
        }
        GitHubError::BadCredentials => {
            let message = "Invalid username or token. Password authentication is not supported for Git operations.\n";
            (StatusCode::UNAUTHORIZED, challenge, text, message).into_response()
        }
        GitHubError::NotAccessible => {
            let message = "Write access to repository not granted.\n";
            (StatusCode::FORBIDDEN, text, message).into_response()
        }
        GitHubError::Moved(id) => {
            let github = lock(github);
            let moved = github.repositories.iter().find(|moved| moved.id == *id);
            let name = moved.map(super::model::Repository::full_name);
            let rest = uri.path_and_query().map_or("", |path| path.as_str());
            let rest = rest.splitn(4, '/').nth(3).unwrap_or_default();
            let location = format!("/{}.git/{rest}", name.unwrap_or_default());
            (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)], "").into_response()
        }
        _ => (StatusCode::NOT_FOUND, text, "Repository not found.\n").into_response(),
    }
}

/// Converts the output of a CGI program: headers with an optional `Status`, an empty line, the body.
fn parse_cgi(output: Vec<u8>) -> Option<Response> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let output = Bytes::from(output);
    let mut response = output.slice(end + 4..).into_response();
    response.headers_mut().clear();
    for line in std::str::from_utf8(&output[..end]).ok()?.lines() {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next()?.parse().ok()?;
            *response.status_mut() = StatusCode::from_u16(code).ok()?;
        } else {
            let name = HeaderName::try_from(name).ok()?;
            let value = HeaderValue::try_from(value).ok()?;
            response.headers_mut().insert(name, value);
        }
    }
    Some(response)
}
