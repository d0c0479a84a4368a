//! GitHub's server, as git and the client see it: git's smart HTTP protocol in front of a real bare repository, GraphQL's
//! `viewer`, and the sandbox's REST API behind the same port. It accepts the tokens that the sandbox's GitHub issued.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{Request, Response, Server};

/// What a token may do with the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Who decides about a token.
type Judge = Arc<dyn Fn(&str) -> Option<Access> + Send + Sync>;

pub(crate) struct GitServer {
    server: Server,
    judge: Arc<Mutex<Option<Judge>>>,
    permissions: Arc<Mutex<Option<Value>>>,
    conversion: Arc<Mutex<Option<Value>>>,
    _folder: TempDir,
    bare: PathBuf,
}

impl GitServer {
    pub(crate) fn start(api: &str, repository: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join(format!("{repository}.git"));
        create_repository(folder.path(), &bare);
        let judge = Arc::<Mutex<Option<Judge>>>::default();
        let (api, root, decide) = (api.to_owned(), folder.path().to_owned(), Arc::clone(&judge));
        let name = repository.to_ascii_lowercase();
        let permissions = Arc::<Mutex<Option<Value>>>::default();
        let of_app = Arc::clone(&permissions);
        let conversion = Arc::<Mutex<Option<Value>>>::default();
        let once = Arc::clone(&conversion);
        let server = Server::start(move |request| {
            if request.target == "/api/v3/app-manifests/c0de/conversions" {
                assert_eq!(request.method, "POST");
                // A code is good for one conversion.
                return match once.lock().unwrap().take() {
                    Some(app) => Response::new(201, app.to_string()),
                    None => Response::new(404, json!({ "message": "Not Found" }).to_string()),
                };
            }
            if request.target == "/api/v3/app" {
                return app(&api, request, of_app.lock().unwrap().clone());
            }
            if let Some(rest) = request.target.strip_prefix("/api/v3") {
                return forward(&api, rest, request);
            }
            let access = |request| {
                let judge = decide.lock().unwrap().clone();
                token(request).and_then(|token| {
                    judge.map_or_else(|| ask(&api, &token), |judge| judge(&token))
                })
            };
            if request.target == "/api/graphql" {
                return match access(request) {
                    Some(_) => Response::new(
                        200,
                        json!({"data":{"viewer":{"login":"sandbox-app[bot]"}}}).to_string(),
                    ),
                    None => Response::new(401, json!({"message":"Bad credentials"}).to_string()),
                };
            }
            serve_git(&root, &name, request, access(request))
        });
        Self {
            server,
            judge,
            permissions,
            conversion,
            _folder: folder,
            bare,
        }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// The URL that a user clones.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.server.url())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Adds a commit, so that there is something to fetch.
    pub(crate) fn commit(&self, text: &str) {
        let clone = tempfile::tempdir().unwrap();
        let folder = clone.path();
        git(folder, &["clone", "-q", self.bare.to_str().unwrap(), "."]);
        fs::write(folder.join("README.md"), text).unwrap();
        git(folder, &["commit", "-qam", text]);
        git(folder, &["push", "-q", "origin", "main"]);
    }

    /// The App's permissions, if they differ from those of the installation.
    pub(crate) fn app_permissions(&self, permissions: Value) {
        *self.permissions.lock().unwrap() = Some(permissions);
    }

    /// What the code `c0de` is converted into, once.
    pub(crate) fn conversion(&self, app: Value) {
        *self.conversion.lock().unwrap() = Some(app);
    }

    /// Decides about tokens instead of the sandbox's GitHub.
    pub(crate) fn judge(&self, judge: impl Fn(&str) -> Option<Access> + Send + Sync + 'static) {
        *self.judge.lock().unwrap() = Some(Arc::new(judge));
    }
}

fn create_repository(root: &Path, bare: &Path) {
    fs::create_dir_all(bare).unwrap();
    git(bare, &["init", "-q", "--bare", "-b", "main"]);
    git(bare, &["config", "http.receivepack", "true"]);
    let work = root.join("work");
    fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    fs::write(work.join("README.md"), "private\n").unwrap();
    git(&work, &["add", "README.md"]);
    git(&work, &["commit", "-qm", "first"]);
    git(&work, &["push", "-q", bare.to_str().unwrap(), "main"]);
}

pub(crate) fn git(folder: &Path, args: &[&str]) {
    let status = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=octo", "-c", "user.email=octo@example.com"])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", folder)
        .status();
    assert!(status.unwrap().success(), "git {args:?}");
}

/// The token behind `Basic` or `Bearer`.
fn token(request: &Request) -> Option<String> {
    let (scheme, credential) = request.header("authorization")?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credential.to_owned());
    }
    let decoded = String::from_utf8(Base64::decode_vec(credential).ok()?).ok()?;
    Some(decoded.split_once(':')?.1.to_owned())
}

/// Asks the sandbox's GitHub what a token may do, by its REST API.
fn ask(api: &str, token: &str) -> Option<Access> {
    let send = |method: &str, path: &str| {
        let request = Request {
            method: method.to_owned(),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {token}")),
                ("user-agent".to_owned(), "github-token-broker".to_owned()),
                (
                    "accept".to_owned(),
                    "application/vnd.github+json".to_owned(),
                ),
                ("x-github-api-version".to_owned(), "2022-11-28".to_owned()),
            ],
            ..Request::default()
        };
        forward(api, path, &request).status
    };
    if send("GET", &format!("/repos/{}", super::REPOSITORY)) != 200 {
        return None;
    }
    let is_writable = send("PUT", &format!("/repos/{}/contents/x", super::REPOSITORY)) == 201;
    Some(if is_writable {
        Access::Write
    } else {
        Access::Read
    })
}

/// `GET /app`. The sandbox authenticates the App where it looks for the installation.
fn app(api: &str, request: &Request, permissions: Option<Value>) -> Response {
    let found = forward(
        api,
        &format!("/repos/{}/installation", super::REPOSITORY),
        request,
    );
    let body: Value = serde_json::from_slice(&found.body).unwrap_or_default();
    if ![sandbox::CLIENT_ID, "123456"].contains(&issuer(request).unwrap_or_default().as_str()) {
        return Response::new(
            404,
            json!({ "message": "Integration not found" }).to_string(),
        );
    }
    if found.status == 401 {
        return found;
    }
    let of_installation = if found.status == 200 {
        body["permissions"].clone()
    } else {
        json!({ "metadata": "read" })
    };
    let permissions = permissions.unwrap_or(of_installation);
    let app = json!({ "id": 123_456, "slug": "sandbox-app", "owner": { "login": "octo-org" }, "permissions": permissions });
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    Response::new(200, app.to_string()).header("date", &date)
}

/// The issuer of the JWT, unverified.
fn issuer(request: &Request) -> Option<String> {
    let claims = request.header("authorization")?.split('.').nth(1)?;
    let claims: Value =
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).ok()?).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

/// Passes a request on to the sandbox.
pub(crate) fn forward(api: &str, path: &str, request: &Request) -> Response {
    let (host, base) = api
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let mut head = format!(
        "{} /{base}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n",
        request.method
    );
    for (name, value) in request
        .headers
        .iter()
        .filter(|(name, _)| !["host", "connection"].contains(&name.as_str()))
    {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(502);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let mut response = Response::new(status, body);
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if !["content-length", "connection", "transfer-encoding"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            response = response.header(name, value);
        }
    }
    response
}

/// Runs `git http-backend`, as a web server does.
fn serve_git(root: &Path, name: &str, request: &Request, access: Option<Access>) -> Response {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let Some(rest) = path
        .to_ascii_lowercase()
        .strip_prefix(&format!("/{name}"))
        .map(str::to_owned)
    else {
        return Response::new(404, "Not Found");
    };
    let rest = rest.strip_prefix(".git").unwrap_or(&rest);
    let Some(access) = access else {
        return Response::new(401, "").header("www-authenticate", "Basic realm=\"GitHub\"");
    };
    let is_push = rest == "/git-receive-pack" || query == "service=git-receive-pack";
    if is_push && access == Access::Read {
        return Response::new(403, "Write access to repository not granted.");
    }
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "octo")
        .env("PATH_INFO", format!("/{name}.git{rest}"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env(
            "CONTENT_TYPE",
            request.header("content-type").unwrap_or_default(),
        )
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            request.header("content-encoding").unwrap_or_default(),
        )
        .env(
            "GIT_PROTOCOL",
            request.header("git-protocol").unwrap_or_default(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = backend.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&request.body)
        .unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let mut response = Response::new(200, &output[end + 4..]);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            response.status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            response = response.header(name, value);
        }
    }
    response
}
