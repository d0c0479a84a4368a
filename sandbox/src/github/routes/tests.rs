//! What GitHub looks like from outside: headers, statuses, paths.

use super::*;
use crate::github::private_key::PrivateKey;
use crate::scenario::fixtures;

fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}

fn github() -> GitHub {
    fixtures::github(&PrivateKey::rsa(2048))
}

const RIGHT: [(&str, &str); 5] = [
    ("accept", "application/vnd.github+json"),
    ("user-agent", "github-token-broker"),
    ("x-github-api-version", "2022-11-28"),
    ("content-type", "application/json"),
    ("authorization", "Bearer x"),
];

#[test]
fn every_header_of_the_contract_is_held_to_the_letter() {
    let path = "/app/installations/1/access_tokens";
    let violations = |headers: &[_]| {
        contract_violations(Call::Mint, request("POST", path, headers, "{}").headers())
    };
    assert_eq!(violations(&RIGHT), Vec::<String>::new());
    for (at, wrong) in [
        "*/*",
        "github-token-broker/1.1.0",
        "2026-01-01",
        "text/plain",
        "token x",
    ]
    .iter()
    .enumerate()
    {
        let mut headers = RIGHT;
        headers[at].1 = wrong;
        assert_eq!(violations(&headers).len(), 1, "{wrong}");
        let without: Vec<_> = RIGHT
            .iter()
            .filter(|(name, _)| *name != RIGHT[at].0)
            .copied()
            .collect();
        assert_eq!(violations(&without).len(), 1, "without {}", RIGHT[at].0);
    }
}

#[test]
fn github_refuses_what_it_refuses_of_everyone() {
    let mut github = github();
    let mut status = |method, headers: &[_]| {
        answer(
            &mut github,
            "",
            &request(method, "/repos/octo-org/public-repo", headers, ""),
        )
        .status()
    };
    assert_eq!(status("GET", &[]), StatusCode::FORBIDDEN, "no User-Agent");
    assert_eq!(status("GET", &[("user-agent", "curl")]), StatusCode::OK);
    assert_eq!(
        status("GET", &[("user-agent", "curl"), ("accept", "text/html")]),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        status(
            "GET",
            &[
                ("user-agent", "curl"),
                ("x-github-api-version", "1999-01-01")
            ]
        ),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        status("POST", &[("user-agent", "curl")]),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        status(
            "GET",
            &[("user-agent", "curl"), ("authorization", "Bearer nonsense")]
        ),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_base_path_stands_before_every_path() {
    let mut github = github();
    let lookup = request(
        "GET",
        "/api/v3/repos/octo-org/octo-repo/installation",
        &RIGHT,
        "",
    );
    assert_eq!(classify("/api/v3", &lookup), Call::Lookup);
    assert_eq!(classify("", &lookup), Call::Other);
    assert_eq!(
        answer(&mut github, "/api/v3", &lookup).status(),
        StatusCode::UNAUTHORIZED
    );
    let elsewhere = request("GET", "/repos/octo-org/public-repo", &RIGHT[..4], "");
    assert_eq!(
        answer(&mut github, "/api/v3", &elsewhere).status(),
        StatusCode::NOT_FOUND
    );
}

#[test]
fn every_answer_has_githubs_time_and_a_request_id() {
    let mut github = github();
    github.clock.shift(-3600);
    let response = answer(&mut github, "", &request("GET", "/nowhere", &RIGHT, ""));
    assert_eq!(
        response.headers()[DATE],
        clock::http_date(github.now()).as_str()
    );
    assert_eq!(response.headers()["x-github-request-id"].len(), 34);
}

#[test]
fn rate_limits_say_how_long() {
    let mut github = github();
    let lookup = request("GET", "/repos/octo-org/octo-repo/installation", &RIGHT, "");
    github.secondary_rate_limit = Some(7);
    let response = answer(&mut github, "", &lookup);
    assert_eq!(
        (response.status(), &response.headers()[RETRY_AFTER]),
        (StatusCode::FORBIDDEN, &text("7"))
    );
    let refused = refused("", &Refusal::RateLimited(99));
    assert_eq!(
        (
            &refused.headers()["x-ratelimit-remaining"],
            &refused.headers()["x-ratelimit-reset"]
        ),
        (&text("0"), &text("99"))
    );
}
