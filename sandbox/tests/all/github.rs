//! GitHub's API for the client: what `revoke`, `whoami` and `check --as-app` call.
#![expect(clippy::expect_used, clippy::panic, reason = "a panic fails the test")]

use crate::scripted;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use sandbox::{Call, Running, Scenario};
use serde_json::{Value, json};

async fn start() -> (Running, String, String) {
    let scenario = Scenario::default().binary(scripted::binary());
    let mut running = scenario.start().await;
    let outcome = running.invoke(r#""mint""#).await;
    let mut confirms = outcome.requests_of(Call::Confirm);
    let jwt = confirms.next().and_then(|request| request.credential());
    let jwt = jwt.expect("a JWT").to_owned();
    (running, outcome.token(), jwt)
}

/// The client takes a loopback host for GitHub Enterprise Server: its API is below `/api/v3`.
async fn call(
    running: &Running,
    method: Method,
    path: &str,
    credential: &str,
    body: &Value,
) -> (StatusCode, Value, Response<Bytes>) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", running.github_host()))
        .header("accept", "application/vnd.github+json")
        .header("authorization", format!("Bearer {credential}"))
        .header("content-type", "application/json")
        .header("user-agent", "github-token-broker")
        .header("x-github-api-version", "2022-11-28")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let response = sandbox::send(request).await.expect("GitHub responds");
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status(), body, response)
}

#[tokio::test]
async fn token_names_its_bot_until_it_is_revoked() {
    let (running, token, _) = start().await;
    let query = json!({ "query": "query { viewer { login } }" });
    let viewer = async || call(&running, Method::POST, "/api/graphql", &token, &query).await;
    let (status, body, _) = viewer().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["data"]["viewer"]["login"], "sandbox-app[bot]");
    let revoke = "/api/v3/installation/token";
    let (status, ..) = call(&running, Method::DELETE, revoke, &token, &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(viewer().await.0, StatusCode::UNAUTHORIZED);
    running.finish().await;
}

#[tokio::test]
async fn app_and_its_installation_are_described_to_the_app() {
    let (running, token, jwt) = start().await;
    running
        .github()
        .app_mut()
        .permissions
        .insert("checks".to_owned(), "write".to_owned());
    let get = async |path: &str, credential: &str| {
        call(&running, Method::GET, path, credential, &Value::Null).await
    };
    let (status, app, _) = get("/api/v3/app", &jwt).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(app["slug"], "sandbox-app");
    assert_eq!(app["permissions"]["checks"], "write", "requested");
    let path = format!("/api/v3/app/installations/{}", sandbox::INSTALLATION_ID);
    let (status, installation, _) = get(&path, &jwt).await;
    assert_eq!(status, StatusCode::OK);
    assert!(installation["permissions"]["checks"].is_null(), "accepted");
    assert_eq!(get("/api/v3/app", &token).await.0, StatusCode::UNAUTHORIZED);
    let unknown = get("/api/v3/app/installations/1", &jwt).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
    running.finish().await;
}

#[tokio::test]
async fn rate_limit_is_in_every_response_and_counts_down() {
    let (running, token, _) = start().await;
    let path = "/api/v3/installation/repositories";
    let remaining = async || {
        let (.., response) = call(&running, Method::GET, path, &token, &Value::Null).await;
        let header = response.headers()["x-ratelimit-remaining"].to_str();
        header.expect("printable").parse::<u32>().expect("a number")
    };
    let first = remaining().await;
    assert_eq!(remaining().await, first - 1);
    let limit = "/api/v3/rate_limit";
    let (status, body, _) = call(&running, Method::GET, limit, &token, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["rate"]["limit"], 5000);
    running.finish().await;
}
