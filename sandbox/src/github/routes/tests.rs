//! GitHub over HTTP: headers, statuses, paths.

use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use http::header::RETRY_AFTER;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::*;
use crate::github::private_key::PrivateKey;
use crate::scenario::fixtures;

const EXPECTED: [(&str, &str); 5] = [
    ("accept", "application/vnd.github+json"),
    ("user-agent", "github-token-broker"),
    ("x-github-api-version", "2022-11-28"),
    ("content-type", "application/json"),
    ("authorization", "Bearer x"),
];

const CONFIRM_PATH: &str = "/repos/octo-org/octo-repo/installation";

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a request")
}

fn github() -> SharedGitHub {
    Arc::new(Mutex::new(fixtures::github(&PrivateKey::rsa(2048))))
}

fn served(github: &SharedGitHub, base_path: &str) -> Router {
    router(github, &Arc::new(GitRepositories::new()), base_path)
}

async fn send(github: &SharedGitHub, base_path: &str, request: Request) -> Response {
    let service = TowerToHyperService::new(served(github, base_path));
    service.call(request).await.expect("a router cannot fail")
}

#[test]
fn each_header_of_the_contract_is_checked() {
    let violations = |headers: &[_]| {
        contract_violations(Call::Mint, request("POST", "/", headers).headers()).len()
    };
    assert_eq!(violations(&EXPECTED), 0);
    let wrong = [
        "*/*",
        "github-token-broker/1.1.0",
        "2026-01-01",
        "text/plain",
        "token x",
    ];
    for (index, wrong) in wrong.into_iter().enumerate() {
        let mut changed = EXPECTED;
        changed[index].1 = wrong;
        assert_eq!(violations(&changed), 1, "{wrong}");
        let mut missing = EXPECTED.to_vec();
        let (name, _) = missing.remove(index);
        assert_eq!(violations(&missing), 1, "without {name}");
    }
}

#[tokio::test]
async fn headers_that_github_requires_are_checked() {
    let github = github();
    let agent = ("user-agent", "curl");
    for (method, headers, expected) in [
        ("GET", vec![], StatusCode::FORBIDDEN),
        ("GET", vec![agent], StatusCode::OK),
        (
            "GET",
            vec![agent, ("accept", "text/html")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "GET",
            vec![agent, ("x-github-api-version", "1999-01-01")],
            StatusCode::BAD_REQUEST,
        ),
        (
            "POST",
            vec![agent, ("content-length", "2")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        // The path has no POST; the missing content type is no reason to reject one without a body.
        ("POST", vec![agent], StatusCode::NOT_FOUND),
        (
            "GET",
            vec![agent, ("authorization", "Bearer nonsense")],
            StatusCode::UNAUTHORIZED,
        ),
        (
            "GET",
            vec![agent, ("authorization", "Digest nonsense")],
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let request = request(method, "/repos/octo-org/public-repo", &headers);
        let status = send(&github, "", request).await.status();
        assert_eq!(status, expected, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn base_path_precedes_every_path() {
    let github = github();
    let below = format!("/api/v3{CONFIRM_PATH}");
    let response = send(&github, "/api/v3", request("GET", &below, &EXPECTED)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let outside = request("GET", "/repos/octo-org/public-repo", &EXPECTED[..4]);
    let response = send(&github, "/api/v3", outside).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_call_of_the_function_is_classified_by_its_route() {
    for (method, path, expected) in [
        ("GET", CONFIRM_PATH, Call::Confirm),
        ("POST", CONFIRM_PATH, Call::Other),
        ("POST", "/app/installations/1/access_tokens", Call::Mint),
        ("DELETE", "/installation/token", Call::Revoke),
        ("GET", "/installation/repositories", Call::ListRepositories),
        ("GET", "/repos/octo-org/octo-repo", Call::Other),
        ("GET", "/nowhere", Call::Other),
    ] {
        for base_path in ["", "/api/v3"] {
            let seen = Arc::new(Mutex::new(None));
            let record = Arc::clone(&seen);
            let layered = served(&github(), base_path).layer(axum::middleware::from_fn(
                move |request: Request, next: Next| {
                    *lock(&record) = Some(classify(base_path, &request));
                    next.run(request)
                },
            ));
            let request = request(method, &format!("{base_path}{path}"), &EXPECTED);
            let service = TowerToHyperService::new(layered);
            service.call(request).await.expect("a router cannot fail");
            assert_eq!(*lock(&seen), Some(expected), "{method} {base_path}{path}");
        }
    }
}

#[tokio::test]
async fn every_response_has_githubs_time_and_a_request_id() {
    let github = github();
    lock(&github).clock.shift(-3600);
    let response = send(&github, "", request("GET", "/nowhere", &EXPECTED)).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let date = response.headers()[DATE].to_str().expect("printable");
    let date = httpdate::parse_http_date(date).expect("an HTTP date");
    let age = std::time::SystemTime::now().duration_since(date);
    assert!(age.is_ok_and(|age| (3600..3660).contains(&age.as_secs())));
    assert_eq!(response.headers()["x-github-request-id"].len(), 34);
}

#[tokio::test]
async fn redirect_and_rate_limits_have_their_headers() {
    let github = github();
    lock(&github).secondary_rate_limit = Some(7);
    let response = send(&github, "", request("GET", CONFIRM_PATH, &EXPECTED)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()[RETRY_AFTER], "7");
    let limited = GitHubError::RateLimited(99).into_response();
    assert_eq!(limited.headers()[RATE_LIMIT_REMAINING], "0");
    assert_eq!(limited.headers()[RATE_LIMIT_RESET], "99");

    lock(&github).rename("octo-org/public-repo", "octo-org/renamed");
    let path = "/api/v3/repos/octo-org/public-repo";
    let response = send(&github, "/api/v3", request("GET", path, &EXPECTED[..4])).await;
    assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(
        response.headers()[LOCATION],
        "/api/v3/repositories/1296271/installation"
    );
}
