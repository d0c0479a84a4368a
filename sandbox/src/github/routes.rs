//! GitHub over HTTP: a thin view of `github.rs`. Comes in: a request. Goes out: GitHub's status, headers and body. It
//! checks the headers that the contract asks for; what is wrong with them is noted, so that the scenario fails.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::clock;
use crate::github::error::Refusal;
use crate::github::responses as github_json;
use crate::github::{GitHub, TokenRequest};
use crate::net::recorder::Call;
use crate::random;

/// Status and JSON body of a success.
type Success = (StatusCode, Value);

/// What kind of call a request is, seen from outside.
pub(crate) fn classify(base: &str, request: &Request<Bytes>) -> Call {
    let segments = segments(base, request.uri().path());
    match (request.method(), segments.as_deref()) {
        (&Method::GET, Some(["repos", _, _, "installation"])) => Call::Lookup,
        (&Method::POST, Some(["app", "installations", _, "access_tokens"])) => Call::Mint,
        (&Method::DELETE, Some(["installation", "token"])) => Call::Revoke,
        (&Method::GET, Some(["installation", "repositories"])) => Call::ListRepositories,
        _ => Call::Other,
    }
}

/// What is wrong with the headers of a call that only the broker makes.
pub(crate) fn contract_violations(call: Call, headers: &HeaderMap) -> Vec<String> {
    if call == Call::Other {
        return Vec::new();
    }
    let mut wanted = vec![
        (ACCEPT.as_str(), "application/vnd.github+json"),
        (USER_AGENT.as_str(), "github-token-broker"),
        ("x-github-api-version", "2022-11-28"),
    ];
    if call == Call::Mint {
        wanted.push((CONTENT_TYPE.as_str(), "application/json"));
    }
    let mut wrong = Vec::new();
    for (name, value) in wanted {
        let sent: Vec<_> = headers.get_all(name).iter().collect();
        if sent != [value] {
            wrong.push(format!(
                "{call:?}: the header {name} is {sent:?}, not {value:?}"
            ));
        }
    }
    let credential = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !credential.starts_with("Bearer ") {
        wrong.push(format!(
            "{call:?}: the header authorization does not say Bearer"
        ));
    }
    wrong
}

/// Answers a request.
pub(crate) fn answer(github: &mut GitHub, base: &str, request: &Request<Bytes>) -> Response<Bytes> {
    let outcome = insist_on_headers(request).and_then(|()| route(github, base, request));
    let mut response = match outcome {
        Ok((StatusCode::NO_CONTENT, _)) => with_body(StatusCode::NO_CONTENT, None),
        Ok((status, body)) => with_body(status, Some(&body)),
        Err(refusal) => refused(base, &refusal),
    };
    let headers = response.headers_mut();
    headers.insert(DATE, text(&clock::http_date(github.now())));
    let id = random::hex(&random::bytes(16)).to_uppercase();
    headers.insert(
        "x-github-request-id",
        text(&format!("{}:{}:{}", &id[..4], &id[4..10], &id[10..])),
    );
    response
}

fn route(github: &mut GitHub, base: &str, request: &Request<Bytes>) -> Result<Success, Refusal> {
    let segments = segments(base, request.uri().path()).ok_or(Refusal::NotFound)?;
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["repos", owner, name, "installation"]) => {
            let app = github.authenticate(credential(request)?)?;
            let installation = github.installation_on(app, &format!("{owner}/{name}"))?;
            Ok((
                StatusCode::OK,
                github_json::installation(github, installation),
            ))
        }
        (&Method::POST, ["app", "installations", id, "access_tokens"]) => {
            let app = github.authenticate(credential(request)?)?.id;
            let id = id.parse().map_err(|_| Refusal::NotFound)?;
            let token = github.mint(app, id, token_request(request.body())?)?;
            Ok((StatusCode::CREATED, github_json::token(github, &token)))
        }
        (&Method::DELETE, ["installation", "token"]) => github
            .revoke(credential(request)?)
            .map(|()| (StatusCode::NO_CONTENT, Value::Null)),
        (&Method::GET, ["installation", "repositories"]) => {
            let token = github.present(credential(request)?)?;
            Ok((
                StatusCode::OK,
                github_json::list(github, &token, per_page(request)),
            ))
        }
        (&Method::GET, ["repos", owner, name]) => {
            let token = request
                .headers()
                .contains_key(AUTHORIZATION)
                .then(|| github.present(credential(request)?));
            let repository =
                github.read(token.transpose()?.as_ref(), &format!("{owner}/{name}"))?;
            Ok((StatusCode::OK, github_json::repository(repository)))
        }
        (&Method::PUT, ["repos", owner, name, "contents", path @ ..]) => {
            let token = github.present(credential(request)?)?;
            github.write(&token, &format!("{owner}/{name}"))?;
            Ok((
                StatusCode::CREATED,
                json!({ "content": { "path": path.join("/") }, "commit": {} }),
            ))
        }
        (&Method::GET, ["rate_limit" | "meta"]) => Ok((StatusCode::OK, json!({}))),
        _ => Err(Refusal::NotFound),
    }
}

/// What GitHub itself refuses, whoever asks.
fn insist_on_headers(request: &Request<Bytes>) -> Result<(), Refusal> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if header(USER_AGENT.as_str()).is_none_or(str::is_empty) {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Err(Refusal::Header(StatusCode::FORBIDDEN, message));
    }
    if header("x-github-api-version").is_some_and(|version| version != "2022-11-28") {
        return Err(Refusal::Header(
            StatusCode::BAD_REQUEST,
            "This is not a supported version of the REST API",
        ));
    }
    let json = |accept: &str| ["json", "*/*"].iter().any(|kind| accept.contains(kind));
    if header(ACCEPT.as_str()).is_some_and(|accept| !json(accept)) {
        return Err(Refusal::Header(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported 'Accept' header",
        ));
    }
    if *request.method() == Method::POST
        && !header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"))
    {
        return Err(Refusal::Header(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported 'Content-Type' header",
        ));
    }
    Ok(())
}

/// The path below the base, cut at its slashes.
fn segments<'a>(base: &str, path: &'a str) -> Option<Vec<&'a str>> {
    Some(
        path.strip_prefix(base)?
            .strip_prefix('/')?
            .split('/')
            .collect(),
    )
}

fn credential(request: &Request<Bytes>) -> Result<&str, Refusal> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .ok_or(Refusal::RequiresAuthentication)?;
    let (scheme, credential) = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(Refusal::BadCredentials)?;
    let known = ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str());
    if known {
        Ok(credential.trim())
    } else {
        Err(Refusal::BadCredentials)
    }
}

fn token_request(body: &[u8]) -> Result<TokenRequest, Refusal> {
    if body.is_empty() {
        return Ok(TokenRequest::default());
    }
    let mut body: Value = serde_json::from_slice(body).map_err(|_| Refusal::ProblemsParsingJson)?;
    let mut part = |name: &str| {
        body.get_mut(name)
            .map(Value::take)
            .filter(|value| !value.is_null())
    };
    Ok(TokenRequest {
        repositories: typed(part("repositories"))?,
        repository_ids: typed(part("repository_ids"))?,
        permissions: typed(part("permissions"))?,
    })
}

fn typed<T: serde::de::DeserializeOwned>(value: Option<Value>) -> Result<Option<T>, Refusal> {
    value
        .map(serde_json::from_value)
        .transpose()
        .map_err(|_| Refusal::InvalidRequest)
}

fn per_page(request: &Request<Bytes>) -> usize {
    let query = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let asked = query
        .into_iter()
        .find(|(name, _)| name == "per_page")
        .and_then(|(_, value)| value.parse().ok());
    asked.unwrap_or(30).clamp(1, 100)
}

fn refused(base: &str, refusal: &Refusal) -> Response<Bytes> {
    let status = refusal.status();
    let page = "https://docs.github.com/rest";
    let body = json!({ "message": refusal.message(), "documentation_url": page, "status": status.as_str() });
    let mut response = with_body(status, Some(&body));
    let headers = response.headers_mut();
    match refusal {
        Refusal::Moved(id) => {
            headers.insert(
                LOCATION,
                text(&format!("{base}/repositories/{id}/installation")),
            );
        }
        Refusal::RateLimited(reset) => {
            headers.insert("x-ratelimit-remaining", text("0"));
            headers.insert("x-ratelimit-reset", text(&reset.to_string()));
        }
        Refusal::SecondaryRateLimit(seconds) => {
            headers.insert(RETRY_AFTER, text(&seconds.to_string()));
        }
        _ => {}
    }
    response
}

fn with_body(status: StatusCode, body: Option<&Value>) -> Response<Bytes> {
    let mut response = Response::new(
        body.map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default(),
    );
    *response.status_mut() = status;
    if body.is_some() {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, text("application/json; charset=utf-8"));
    }
    response
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).expect("GitHub's headers are printable")
}

#[cfg(test)]
mod tests;
