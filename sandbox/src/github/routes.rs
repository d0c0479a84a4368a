//! GitHub's REST API over HTTP.
//!
//! Input: a request. Output: GitHub's status, headers and body. It also checks the headers that the contract fixes for the
//! function's calls; a violation fails the scenario.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{FromRequestParts, MatchedPath, Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::GitHubError;
use super::git::{self, GitRepositories};
use super::manifest;
use super::responses::{self, json_response};
use super::{GitHub, TokenRequest};
use crate::net::recorder::Call;
use crate::{clock, lock};

const CONFIRM: &str = "/repos/{owner}/{repo}/installation";
const MINT: &str = "/app/installations/{id}/access_tokens";
const REVOKE: &str = "/installation/token";
const LIST_REPOSITORIES: &str = "/installation/repositories";

pub(crate) const RATE_LIMIT_REMAINING: HeaderName =
    HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// GitHub, shared by everything that serves or inspects it.
pub(crate) type SharedGitHub = Arc<Mutex<GitHub>>;

/// The path of the API on GitHub Enterprise Server. The client also uses it for every loopback host.
pub(crate) const ENTERPRISE: &str = "/api/v3";

/// GitHub: its API below the base path, which is empty or `/api/v3`, GraphQL, and git. With an empty base path, the API is
/// also below `/api/v3`.
pub(crate) fn router(
    github: &SharedGitHub,
    repositories: &Arc<GitRepositories>,
    base_path: &str,
) -> Router {
    let mut router = Router::new().nest(ENTERPRISE, api(github, ENTERPRISE));
    if base_path.is_empty() {
        router = router.merge(api(github, ""));
    }
    let common = (Arc::clone(github), String::new());
    let web = Router::new()
        .route("/graphql", post(graphql))
        .route("/api/graphql", post(graphql))
        .fallback(async || GitHubError::NotFound)
        .layer(from_fn_with_state(common, with_common_headers))
        .with_state(Arc::clone(github));
    router
        .merge(web)
        .merge(manifest::pages(github))
        .merge(git::router(github, repositories))
}

fn api(github: &SharedGitHub, base_path: &str) -> Router {
    let common = (Arc::clone(github), base_path.to_owned());
    Router::new()
        .route(CONFIRM, get(confirm))
        .route(MINT, post(mint))
        .route(REVOKE, delete(revoke))
        .route(LIST_REPOSITORIES, get(list_repositories))
        .route("/repos/{owner}/{repo}", get(get_repository))
        .route("/repos/{owner}/{repo}/contents/{*path}", put(put_contents))
        .route("/app", get(get_app))
        .route("/app/installations", get(list_installations))
        .route("/app-manifests/{code}/conversions", post(manifest::convert))
        .route("/app/installations/{id}", get(get_installation))
        .route("/rate_limit", get(rate_limit))
        .route("/meta", get(meta))
        .method_not_allowed_fallback(async || GitHubError::NotFound)
        .layer(from_fn_with_state(common, with_common_headers))
        .with_state(Arc::clone(github))
}

/// The kind of call, as far as the function makes it.
pub(crate) fn classify<B>(base_path: &str, request: &http::Request<B>) -> Call {
    let route = matched_api_path(base_path, request);
    match (request.method(), route) {
        (&Method::GET, Some(CONFIRM)) => Call::Confirm,
        (&Method::POST, Some(MINT)) => Call::Mint,
        (&Method::DELETE, Some(REVOKE)) => Call::Revoke,
        (&Method::GET, Some(LIST_REPOSITORIES)) => Call::ListRepositories,
        _ => Call::Other,
    }
}

/// The API route of a request without the base path; `None` if it is not a route of the REST API.
pub(crate) fn matched_api_path<'a, B>(
    base_path: &str,
    request: &'a http::Request<B>,
) -> Option<&'a str> {
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    let route = match route.strip_prefix(ENTERPRISE) {
        Some(route) => route,
        None if base_path.is_empty() => route,
        None => return None,
    };
    // The other routes belong to the web site and to git.
    let is_api = !["/{owner}", "/apps/", "/settings/", "/organizations/"]
        .iter()
        .any(|web| route.starts_with(web))
        && !route.ends_with("/graphql");
    is_api.then_some(route)
}

/// Everything in the headers of a call of the function that violates the contract.
pub(crate) fn contract_violations(call: Call, headers: &HeaderMap) -> Vec<String> {
    if call == Call::Other {
        return Vec::new();
    }
    let mut expected = vec![
        (ACCEPT.as_str(), "application/vnd.github+json"),
        (USER_AGENT.as_str(), "github-token-broker"),
        ("x-github-api-version", "2022-11-28"),
    ];
    if call == Call::Mint {
        expected.push((CONTENT_TYPE.as_str(), "application/json"));
    }
    let mut found = Vec::new();
    for (name, value) in expected {
        let sent: Vec<_> = headers.get_all(name).iter().collect();
        if sent != [value] {
            found.push(format!("{call:?}: {name} is {sent:?} instead of {value:?}"));
        }
    }
    if !header(headers, AUTHORIZATION.as_str()).is_some_and(|value| value.starts_with("Bearer ")) {
        found.push(format!(
            "{call:?}: authorization is not a Bearer credential"
        ));
    }
    found
}

async fn confirm(
    State(github): State<SharedGitHub>,
    Credential(jwt): Credential,
    Path((owner, repo)): Path<(String, String)>,
) -> Result<Response, GitHubError> {
    let github = lock(&github);
    let app = github.authenticate(&jwt)?;
    let installation = github.installation_on(app, &format!("{owner}/{repo}"))?;
    let body = responses::installation(&github, installation);
    Ok(json_response(StatusCode::OK, &body))
}

async fn mint(
    State(github): State<SharedGitHub>,
    Credential(jwt): Credential,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let app = github.authenticate(&jwt)?.id;
    let id = id.parse().map_err(|_| GitHubError::NotFound)?;
    let token = github.mint(app, id, token_request(&body)?)?;
    let body = responses::token(&github, &token);
    Ok(json_response(StatusCode::CREATED, &body))
}

async fn revoke(
    State(github): State<SharedGitHub>,
    Credential(token): Credential,
) -> Result<StatusCode, GitHubError> {
    lock(&github).revoke(&token)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Page {
    per_page: Option<String>,
}

async fn list_repositories(
    State(github): State<SharedGitHub>,
    Credential(token): Credential,
    Query(page): Query<Page>,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let token = github.use_token(&token)?;
    let per_page = page.per_page.and_then(|text| text.parse().ok());
    let per_page = per_page.unwrap_or(30).clamp(1, 100);
    let body = responses::repository_list(&github, &token, per_page);
    Ok(json_response(StatusCode::OK, &body))
}

async fn get_repository(
    State(github): State<SharedGitHub>,
    Path((owner, repo)): Path<(String, String)>,
    credential: Result<Credential, GitHubError>,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let token = match credential {
        Ok(Credential(token)) => Some(github.use_token(&token)?),
        Err(GitHubError::RequiresAuthentication) => None,
        Err(error) => return Err(error),
    };
    let repository = github.read(token.as_ref(), &format!("{owner}/{repo}"))?;
    let body = responses::repository(repository);
    Ok(json_response(StatusCode::OK, &body))
}

async fn put_contents(
    State(github): State<SharedGitHub>,
    Credential(token): Credential,
    Path((owner, repo, path)): Path<(String, String, String)>,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let token = github.use_token(&token)?;
    github.write(&token, &format!("{owner}/{repo}"))?;
    let body = json!({ "content": { "path": path }, "commit": {} });
    Ok(json_response(StatusCode::CREATED, &body))
}

async fn get_app(
    State(github): State<SharedGitHub>,
    Credential(jwt): Credential,
) -> Result<Response, GitHubError> {
    let github = lock(&github);
    let app = github.authenticate(&jwt)?;
    Ok(json_response(StatusCode::OK, &responses::app(&github, app)))
}

async fn list_installations(
    State(github): State<SharedGitHub>,
    Credential(jwt): Credential,
) -> Result<Response, GitHubError> {
    let github = lock(&github);
    let app = github.authenticate(&jwt)?;
    let installations = github.installations.iter();
    let body: Value = installations
        .filter(|installation| installation.app_id == app.id)
        .map(|installation| responses::installation(&github, installation))
        .collect();
    Ok(json_response(StatusCode::OK, &body))
}

async fn get_installation(
    State(github): State<SharedGitHub>,
    Credential(jwt): Credential,
    Path(id): Path<String>,
) -> Result<Response, GitHubError> {
    let github = lock(&github);
    let app = github.authenticate(&jwt)?;
    let id = id.parse().map_err(|_| GitHubError::NotFound)?;
    let installation = github.installation(app, id)?;
    let body = responses::installation(&github, installation);
    Ok(json_response(StatusCode::OK, &body))
}

async fn rate_limit(State(github): State<SharedGitHub>) -> Response {
    json_response(StatusCode::OK, &responses::rate_limit(&lock(&github)))
}

async fn meta() -> Response {
    let body = json!({ "verifiable_password_authentication": false });
    json_response(StatusCode::OK, &body)
}

/// GraphQL, as far as the client uses it: the login of a token.
async fn graphql(
    State(github): State<SharedGitHub>,
    Credential(token): Credential,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let token = github.use_token(&token)?;
    let slug = github.app_of(&token).map_or("", |app| app.slug.as_str());
    let viewer = json!({ "login": format!("{slug}[bot]") });
    let body = json!({ "data": { "viewer": viewer } });
    Ok(json_response(StatusCode::OK, &body))
}

/// The JWT or token of a request: what follows `Bearer` or `token` in `Authorization`.
struct Credential(String);

impl<S: Sync> FromRequestParts<S> for Credential {
    type Rejection = GitHubError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, GitHubError> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Err(GitHubError::RequiresAuthentication);
        }
        let (scheme, credential) = header(&parts.headers, AUTHORIZATION.as_str())
            .and_then(|text| text.split_once(' '))
            .ok_or(GitHubError::BadCredentials)?;
        if ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str()) {
            Ok(Self(credential.trim().to_owned()))
        } else {
            Err(GitHubError::BadCredentials)
        }
    }
}

/// The scope that a token request names. A field that is absent or null is not named.
fn token_request(body: &[u8]) -> Result<TokenRequest, GitHubError> {
    if body.is_empty() {
        return Ok(TokenRequest::default());
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| GitHubError::ProblemsParsingJson)?;
    serde_json::from_value(body).map_err(|_| GitHubError::InvalidRequest)
}

/// Rejects what GitHub rejects in any request, and adds what GitHub adds to any response.
async fn with_common_headers(
    State((github, base_path)): State<(SharedGitHub, String)>,
    request: Request,
    next: Next,
) -> Response {
    use axum::response::IntoResponse as _;
    let mut response = match check_headers(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    if let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
        let location = text(&format!("{base_path}{location}"));
        headers.insert(LOCATION, location);
    }
    let mut github = lock(&github);
    headers.insert(DATE, text(&clock::http_date(github.now())));
    github.requests_this_hour += 1;
    let (limit, remaining, reset) = github.rate_limit();
    headers.insert("x-ratelimit-limit", limit.into());
    headers.insert("x-ratelimit-used", (limit - remaining).into());
    headers.insert("x-ratelimit-resource", text("core"));
    for (name, value) in [
        (RATE_LIMIT_REMAINING, remaining.into()),
        (RATE_LIMIT_RESET, reset.into()),
    ] {
        headers.entry(name).or_insert(value);
    }
    let id = format!(
        "{:04X}:{:06X}:{:022X}",
        fastrand::u16(..),
        fastrand::u32(..1 << 24),
        fastrand::u128(..1 << 88)
    );
    headers.insert("x-github-request-id", text(&id));
    response
}

fn check_headers(method: &Method, headers: &HeaderMap) -> Result<(), GitHubError> {
    let rejected = |status, message| Err(GitHubError::Header(status, message));
    if header(headers, USER_AGENT.as_str()).is_none_or(str::is_empty) {
        return rejected(
            StatusCode::FORBIDDEN,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        );
    }
    if header(headers, "x-github-api-version").is_some_and(|version| version != "2022-11-28") {
        return rejected(
            StatusCode::BAD_REQUEST,
            "This is not a supported version of the REST API",
        );
    }
    // Old versions of the GitHub CLI send an empty header.
    let accepts_json =
        |accept: &str| accept.is_empty() || accept.contains("json") || accept.contains("*/*");
    if header(headers, ACCEPT.as_str()).is_some_and(|accept| !accepts_json(accept)) {
        return rejected(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported 'Accept' header",
        );
    }
    let is_json = header(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"));
    // GitHub's own example of a conversion has neither a body nor a content type.
    let has_body = header(headers, CONTENT_LENGTH.as_str()).is_some_and(|length| length != "0");
    if *method == Method::POST && has_body && !is_json {
        return rejected(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported 'Content-Type' header",
        );
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).expect("GitHub's headers are printable")
}

#[cfg(test)]
mod tests;
