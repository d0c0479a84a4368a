//! GitHub's API for the client: what `revoke`, `whoami` and `check --as-app` call.

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
        .body(match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        })
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

/// Posts a form as a browser does. Returns the status, the body and the `Location`.
async fn post_form(url: &str, fields: &[(&str, &str)]) -> (StatusCode, String, String) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    let request = Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form.finish()))
        .expect("a request");
    let response = sandbox::send(request).await.expect("GitHub responds");
    let location = response.headers().get("location");
    let location = location.and_then(|location| location.to_str().ok());
    (
        response.status(),
        String::from_utf8_lossy(response.body()).into_owned(),
        location.unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn app_from_a_manifest_is_created_converted_once_and_installed() {
    let (running, ..) = start().await;
    let host = format!("http://{}", running.github_host());
    let manifest = json!({
        "name": "My Broker",
        "url": "https://example.com",
        "redirect_url": "http://127.0.0.1:1/callback",
        "public": false,
        "default_permissions": { "contents": "read" },
        "hook_attributes": { "url": "https://example.com", "active": false },
    });
    let manifest = manifest.to_string();
    let new = format!("{host}/organizations/octo-org/settings/apps/new?state=s");
    let (status, page, _) = post_form(&new, &[("manifest", &manifest)]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Create GitHub App for octo-org"), "{page}");
    let confirmed = [("manifest", manifest.as_str()), ("confirmed", "1")];
    let (status, _, location) = post_form(&new, &confirmed).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let redirect = url::Url::parse(&location).expect("a URL");
    let parameters: Vec<_> = redirect.query_pairs().into_owned().collect();
    assert_eq!(parameters[1], ("state".to_owned(), "s".to_owned()));
    let (_, code) = &parameters[0];
    let conversion = format!("/api/v3/app-manifests/{code}/conversions");
    let convert = async || call(&running, Method::POST, &conversion, "", &Value::Null).await;
    let (status, app, _) = convert().await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(app["slug"], "my-broker");
    let pem = app["pem"].as_str().expect("a key");
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(
        convert().await.0,
        StatusCode::NOT_FOUND,
        "the code works once"
    );

    let install = format!("{host}/apps/my-broker/installations/new");
    let chosen = [("repository", "octo-org/octo-repo")];
    let (status, page, _) = post_form(&install, &chosen).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let github = running.github();
    let installed = github.installations.last().expect("installed");
    assert_eq!(installed.app_id, app["id"].as_u64().expect("an ID"));
    assert_eq!(installed.permissions["contents"], "read");
    assert_eq!(installed.repository_ids, Some(vec![1_296_269]));
}

#[tokio::test]
async fn invalid_manifest_creates_nothing() {
    let (running, ..) = start().await;
    let new = format!("http://{}/settings/apps/new", running.github_host());
    for manifest in [
        "",
        "{}",
        r#"{"name":"x","url":"nonsense","redirect_url":"x"}"#,
    ] {
        let form = [("manifest", manifest), ("confirmed", "1")];
        let (status, ..) = post_form(&new, &form).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{manifest}");
    }
    assert_eq!(running.github().apps.len(), 1);
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
