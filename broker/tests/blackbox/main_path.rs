//! The main path: from an empty payload to a valid token for exactly the configured repository and permissions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbox::{Call, Outcome, PrivateKey, RecordedRequest, Scenario, TokenFormat};
use serde_json::json;

#[tokio::test]
async fn empty_payload_returns_a_token_for_the_repository() {
    let mut running = Scenario::default().start().await;
    let outcome = running.invoke("null").await;
    let response = outcome.response();
    let issued = running.github().tokens.last().unwrap().clone();
    running.finish().await;
    assert_eq!(response["token"], issued.value);
    assert_eq!(issued.repository_ids, Some(vec![1_296_269]));
    assert_eq!(response["repositories"], json!(["octo-org/octo-repo"]));
    assert_eq!(response["permissions"], json!({"contents": "read"}));
    let mut fields: Vec<_> = response
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["expires_at", "permissions", "repositories", "token"]
    );
    let expires_at = response["expires_at"].as_str().unwrap();
    assert!(
        expires_at.ends_with('Z'),
        "as GitHub writes it: {expires_at}"
    );
    assert_exactly_three_calls(&outcome);
}

#[tokio::test]
async fn mint_requests_one_repository_and_the_configured_permissions() {
    let permissions = [("issues", "write"), ("pull_requests", "write")];
    let outcome = Scenario::default().permissions(&permissions).run().await;
    let expected = json!({"issues": "write", "pull_requests": "write"});
    assert_eq!(outcome.response()["permissions"], expected);
    let request = mint(&outcome).json();
    assert_eq!(
        request,
        json!({"repositories": ["octo-repo"], "permissions": expected})
    );
}

#[tokio::test]
async fn pinned_repository_id_is_requested_instead_of_the_name() {
    let pinned = Scenario::default().variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", "1296269");
    let outcome = pinned.run().await;
    assert_eq!(
        outcome.response()["repositories"],
        json!(["octo-org/octo-repo"])
    );
    let request = mint(&outcome).json();
    assert_eq!(
        request,
        json!({"repository_ids": [1_296_269], "permissions": {"contents": "read"}})
    );
}

#[tokio::test]
async fn every_key_format_and_size_signs() {
    for key in [
        PrivateKey::rsa(2048).pkcs1(),
        PrivateKey::rsa(2048).pkcs8(),
        PrivateKey::rsa(4096).pkcs1(),
        PrivateKey::rsa(4096).pkcs8(),
    ] {
        assert_exactly_three_calls(&Scenario::default().key(key).run().await);
    }
}

#[tokio::test]
async fn api_base_path_works_with_and_without_trailing_slash() {
    for path in ["/api/v3", "/api/v3/"] {
        let outcome = Scenario::default().base_path(path).run().await;
        let confirm = outcome.requests_of(Call::Confirm).next().unwrap();
        assert_eq!(
            confirm.path,
            "/api/v3/repos/octo-org/octo-repo/installation"
        );
        assert!(
            mint(&outcome)
                .path
                .starts_with("/api/v3/app/installations/")
        );
    }
}

#[tokio::test]
async fn both_token_formats_are_returned_unchanged() {
    for format in [TokenFormat::Short, TokenFormat::Long] {
        let scenario = Scenario::default().github(move |github| github.token_format = format);
        let mut running = scenario.start().await;
        let token = running.invoke("null").await.token();
        assert_eq!(token, running.github().tokens.last().unwrap().value);
        running.finish().await;
    }
}

#[tokio::test]
async fn token_is_minted_over_tls() {
    assert_exactly_three_calls(&Scenario::default().tls().run().await);
}

#[tokio::test]
async fn jwt_is_backdated_by_one_minute_and_valid_for_nine() {
    let before = epoch_seconds();
    let outcome = Scenario::default().run().await;
    let after = epoch_seconds();
    let claims = outcome
        .requests_of(Call::Confirm)
        .next()
        .unwrap()
        .jwt()
        .unwrap()
        .1;
    let (iat, exp) = (
        claims["iat"].as_u64().unwrap(),
        claims["exp"].as_u64().unwrap(),
    );
    assert!((before - 60..=after - 60).contains(&iat), "iat {iat}");
    assert_eq!(exp - iat, 600);
}

#[tokio::test]
async fn repository_names_ignore_case() {
    let upper_case = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", " Octo-ORG ")
        .variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "OCTO-repo");
    let outcome = upper_case.run().await;
    assert_eq!(
        outcome.response()["repositories"],
        json!(["Octo-ORG/OCTO-repo"])
    );
}

#[tokio::test]
async fn hundred_invocations_share_only_connections() {
    let mut running = Scenario::default().start().await;
    let mut tokens = std::collections::BTreeSet::new();
    let process = running.pid();
    for round in 0..100 {
        if round == 50 {
            running.rotate_key();
        }
        let outcome = running.invoke("null").await;
        assert_exactly_three_calls(&outcome);
        assert!(tokens.insert(outcome.token()), "a token was returned twice");
    }
    assert_eq!(running.pid(), process, "one process served them all");
    running.finish().await;
}

#[tokio::test]
async fn mint_writes_one_log_line() {
    let outcome = Scenario::default().run().await;
    let [line] = outcome.log.as_slice() else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "minted GitHub installation token");
    assert_eq!(line["repositories"], json!(["octo-org/octo-repo"]));
    assert_eq!(line["expires_at"], outcome.response()["expires_at"]);
}

pub(crate) fn assert_exactly_three_calls(outcome: &Outcome) {
    outcome.token();
    let calls: Vec<_> = outcome
        .requests
        .iter()
        .map(|request| request.call)
        .collect();
    assert_eq!(calls, [Call::GetParameters, Call::Confirm, Call::Mint]);
}

fn mint(outcome: &Outcome) -> &RecordedRequest {
    outcome.requests_of(Call::Mint).next().unwrap()
}

fn epoch_seconds() -> u64 {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}
