//! A token is returned only if it is proven to match the configuration. Any other token is revoked and withheld.

use std::time::Duration;

use sandbox::{Call, Fault, Outcome, Scenario};
use serde_json::{Value, json};

/// The mint response is tampered with: the token is withheld, for this reason, and revoked.
async fn assert_unproven(change: impl Fn(&mut Value) + Send + Sync + 'static, reason: &str) {
    assert_withheld(Scenario::default().tamper(Call::Mint, change), reason).await;
}

async fn assert_withheld(scenario: Scenario, reason: &str) -> Outcome {
    let mut running = scenario.start().await;
    let outcome = running.invoke("null").await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "TokenNotProven", "{message}");
    assert!(message.contains(reason), "{message}");
    assert_eq!(outcome.calls(Call::Revoke), 1);
    assert!(running.github().tokens.iter().all(|token| token.revoked));
    let [line] = outcome.lines("error")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["security_event"], true);
    assert_eq!(line["token_revoked"], true);
    assert!(line["token_hash"].is_string());
    if !reason.contains("expir") {
        assert!(line["expires_at"].is_string(), "{line}");
    }
    running.finish().await;
    outcome
}

#[tokio::test]
async fn token_with_different_permissions_is_withheld() {
    assert_unproven(
        |body| body["permissions"]["contents"] = "write".into(),
        "contents",
    )
    .await;
    assert_unproven(
        |body| body["permissions"]["secrets"] = "read".into(),
        "secrets",
    )
    .await;
    assert_unproven(
        |body| body["permissions"]["metadata"] = "write".into(),
        "metadata",
    )
    .await;
    assert_unproven(
        |body| body["permissions"] = json!({"metadata": "read"}),
        "contents",
    )
    .await;
    assert_unproven(
        |body| body["permissions"]["<b>"] = "read".into(),
        "permission",
    )
    .await;
    assert_unproven(
        |body| drop(body.as_object_mut().unwrap().remove("permissions")),
        "permissions",
    )
    .await;
    assert_unproven(|body| body["permissions"] = "all".into(), "permissions").await;
}

#[tokio::test]
async fn token_for_different_repositories_is_withheld() {
    assert_unproven(
        |body| body["repository_selection"] = "all".into(),
        "selected repositories",
    )
    .await;
    assert_unproven(
        |body| body["repositories"][0]["full_name"] = "octo-org/other-repo".into(),
        "repository",
    )
    .await;
    assert_unproven(|body| body["repositories"] = json!([]), "0 repositories").await;
    let twice = |body: &mut Value| {
        let first = body["repositories"][0].clone();
        body["repositories"].as_array_mut().unwrap().push(first);
    };
    assert_unproven(twice, "2 repositories").await;
    let recreated = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", "1296269")
        .tamper(Call::Mint, |body| body["repositories"][0]["id"] = 7.into());
    assert_withheld(recreated, "ID").await;
}

/// Each field is checked on its own, even if the other is missing: GitHub is not asked again.
#[tokio::test]
async fn present_fields_are_not_fetched_again() {
    let cases: [Case; 3] = [
        (
            |body| {
                body["repository_selection"] = "all".into();
                drop(body.as_object_mut().unwrap().remove("repositories"));
            },
            "selected repositories",
        ),
        (
            |body| {
                body["repositories"][0]["full_name"] = "octo-org/other-repo".into();
                drop(body.as_object_mut().unwrap().remove("repository_selection"));
            },
            "repository",
        ),
        (
            |body| {
                let first = body["repositories"][0].clone();
                body["repositories"].as_array_mut().unwrap().push(first);
                drop(body.as_object_mut().unwrap().remove("repository_selection"));
            },
            "2 repositories",
        ),
    ];
    for (change, reason) in cases {
        let outcome = assert_withheld(Scenario::default().tamper(Call::Mint, change), reason).await;
        assert_eq!(outcome.calls(Call::ListRepositories), 0);
    }
}

#[tokio::test]
async fn token_with_control_characters_is_rejected() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, |body| body["token"] = "ghs_\u{0}\n".into())
        .run()
        .await;
    assert_eq!(outcome.error().0, "UnexpectedAnswer");
}

#[tokio::test]
async fn token_with_an_unexpected_expiry_is_withheld() {
    let text = "GitHub installation-token response did not include an expiration";
    assert_unproven(
        |body| drop(body.as_object_mut().unwrap().remove("expires_at")),
        text,
    )
    .await;
    assert_unproven(|body| body["expires_at"] = "soon".into(), "expir").await;
    assert_unproven(
        |body| body["expires_at"] = "2020-01-01T00:00:00Z".into(),
        "expired",
    )
    .await;
    assert_unproven(
        |body| body["expires_at"] = "2099-01-01T00:00:00Z".into(),
        "65 minutes",
    )
    .await;
}

#[tokio::test]
async fn all_mismatches_are_reported_together() {
    let changed = |body: &mut Value| {
        body["permissions"]["contents"] = "write".into();
        body["repository_selection"] = "all".into();
    };
    let outcome = assert_withheld(Scenario::default().tamper(Call::Mint, changed), "; ").await;
    let message = outcome.error().1;
    assert!(
        message.contains("contents") && message.contains("selected repositories"),
        "{message}"
    );
}

fn without(field: &'static str) -> impl Fn(&mut Value) + Send + Sync + 'static {
    move |body| drop(body.as_object_mut().unwrap().remove(field))
}

#[tokio::test]
async fn missing_fields_are_fetched_from_github() {
    for field in ["repositories", "repository_selection"] {
        let outcome = Scenario::default()
            .tamper(Call::Mint, without(field))
            .run()
            .await;
        outcome.token();
        let request = outcome.requests_of(Call::ListRepositories).next().unwrap();
        assert!(
            request
                .path
                .ends_with("/installation/repositories?per_page=2")
        );
        assert_eq!(outcome.requests.len(), 4);
    }
}

/// A change to GitHub's response, and the reason that is then reported.
type Case = (fn(&mut Value), &'static str);

#[tokio::test]
async fn fetched_fields_are_compared_with_the_configuration() {
    let incomplete = || Scenario::default().tamper(Call::Mint, without("repositories"));
    let cases: [Case; 4] = [
        (|body| body["total_count"] = 2.into(), "2 repositories"),
        (
            |body| body["repository_selection"] = "all".into(),
            "selected repositories",
        ),
        (
            |body| body["repositories"][0]["full_name"] = "a/b".into(),
            "repository",
        ),
        (|body| body["repositories"] = 1.into(), "repositories"),
    ];
    for (change, reason) in cases {
        assert_withheld(incomplete().tamper(Call::ListRepositories, change), reason).await;
    }
}

#[tokio::test]
async fn new_token_is_given_time_to_propagate() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, without("repositories"))
        .github(|github| github.propagation_calls = 2)
        .run()
        .await;
    outcome.token();
    assert_eq!(outcome.calls(Call::ListRepositories), 3);
}

#[tokio::test]
async fn token_that_never_propagates_is_revoked_without_a_security_event() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, without("repositories"))
        .github(|github| github.propagation_calls = 1000)
        .run()
        .await;
    assert_eq!(outcome.error().0, "GitHubUnavailable");
    assert!(outcome.calls(Call::Revoke) >= 1);
    assert!(outcome.lines("error")[0].get("security_event").is_none());
}

#[tokio::test]
async fn token_is_revoked_if_missing_fields_cannot_be_fetched() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, without("repositories"))
        .faults(
            Call::ListRepositories,
            sandbox::Schedule::Always(Fault::Status(503)),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "GitHubUnavailable");
    assert_eq!(outcome.calls(Call::Revoke), 1);
}

#[tokio::test]
async fn response_without_a_token_is_reported() {
    let text = "GitHub installation-token response did not include a token";
    for missing in [Value::Null, "".into()] {
        let outcome = Scenario::default()
            .tamper(Call::Mint, move |body| body["token"] = missing.clone())
            .run()
            .await;
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "UnexpectedAnswer");
        assert!(message.starts_with(text), "{message}");
    }
}

#[tokio::test]
async fn failed_proof_is_reported_even_if_revocation_hangs() {
    let outcome = Scenario::default()
        .timeout(Duration::from_secs(6))
        .tamper(Call::Mint, |body| {
            body["repository_selection"] = "all".into();
        })
        .faults(
            Call::Revoke,
            sandbox::Schedule::Always(Fault::Delay(Duration::from_secs(30))),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "TokenNotProven");
    let [line] = outcome.lines("error")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(
        (&line["security_event"], &line["token_revoked"]),
        (&true.into(), &false.into())
    );
}

#[tokio::test]
async fn thousands_of_mismatches_are_summarized() {
    let excessive = |body: &mut Value| {
        for number in 0..2000 {
            let name: String = format!("{number:04}")
                .bytes()
                .map(|digit| char::from(digit - b'0' + b'a'))
                .collect();
            body["permissions"][name] = "read".into();
        }
    };
    let outcome = Scenario::default()
        .tamper(Call::Mint, excessive)
        .run()
        .await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "TokenNotProven");
    assert!(
        message.contains("1992 more") && message.len() < 1000,
        "{message}"
    );
}

#[tokio::test]
async fn unreadable_field_is_reported_alone() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, |body| body["permissions"] = "all".into())
        .run()
        .await;
    let message = outcome.error().1;
    assert!(
        !message.contains("expiration") && !message.contains("repositories"),
        "{message}"
    );
}
