//! A token is returned only when it is proven to be what was configured. Any other is revoked, and nobody sees it.

use std::time::Duration;

use sandbox::{Call, Fault, Outcome, Scenario};
use serde_json::{Value, json};

/// The answer to the mint deviates: the token is refused for this reason, and worthless from then on.
async fn unproven(change: impl Fn(&mut Value) + Send + Sync + 'static, difference: &str) {
    refused(Scenario::default().tamper(Call::Mint, change), difference).await;
}

async fn refused(scenario: Scenario, difference: &str) -> Outcome {
    let mut running = scenario.start().await;
    let outcome = running.invoke("null").await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "TokenNotProven", "{message}");
    assert!(message.contains(difference), "{message}");
    assert_eq!(outcome.calls(Call::Revoke), 1);
    assert!(running.github().tokens.iter().all(|token| token.revoked));
    let [line] = outcome.lines("error")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["security_event"], true);
    assert_eq!(line["token_revoked"], true);
    assert!(line["token_hash"].is_string());
    if !difference.contains("expir") {
        assert!(line["expires_at"].is_string(), "{line}");
    }
    running.finish().await;
    outcome
}

#[tokio::test]
async fn other_permissions_are_refused() {
    unproven(
        |body| body["permissions"]["contents"] = "write".into(),
        "permission contents has another level",
    )
    .await;
    unproven(
        |body| body["permissions"]["secrets"] = "read".into(),
        "permission secrets was not asked for",
    )
    .await;
    unproven(
        |body| body["permissions"]["metadata"] = "write".into(),
        "permission metadata was not asked for",
    )
    .await;
    unproven(
        |body| body["permissions"] = json!({"metadata": "read"}),
        "permission contents is missing",
    )
    .await;
    unproven(
        |body| body["permissions"]["<b>"] = "read".into(),
        "permission of an unusual name was not asked for",
    )
    .await;
    unproven(
        |body| drop(body.as_object_mut().unwrap().remove("permissions")),
        "its permissions are unknown",
    )
    .await;
    unproven(
        |body| body["permissions"] = "all".into(),
        "its permissions are unknown",
    )
    .await;
}

#[tokio::test]
async fn other_repositories_are_refused() {
    unproven(
        |body| body["repository_selection"] = "all".into(),
        "it is not limited to selected repositories",
    )
    .await;
    unproven(
        |body| body["repositories"][0]["full_name"] = "octo-org/other-repo".into(),
        "it is for another repository",
    )
    .await;
    unproven(
        |body| body["repositories"] = json!([]),
        "it is for 0 repositories",
    )
    .await;
    let twice = |body: &mut Value| {
        let first = body["repositories"][0].clone();
        body["repositories"].as_array_mut().unwrap().push(first);
    };
    unproven(twice, "it is for 2 repositories").await;
    let recreated = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", "1296269")
        .tamper(Call::Mint, |body| body["repositories"][0]["id"] = 7.into());
    refused(recreated, "it is for a repository of another ID").await;
}

/// What one field says counts, though the other was left out: GitHub is not asked again in the hope of another answer.
#[tokio::test]
async fn what_the_answer_does_say_is_not_asked_away() {
    let cases: [Case; 3] = [
        (
            |body| {
                body["repository_selection"] = "all".into();
                drop(body.as_object_mut().unwrap().remove("repositories"));
            },
            "it is not limited to selected repositories",
        ),
        (
            |body| {
                body["repositories"][0]["full_name"] = "octo-org/other-repo".into();
                drop(body.as_object_mut().unwrap().remove("repository_selection"));
            },
            "it is for another repository",
        ),
        (
            |body| {
                let first = body["repositories"][0].clone();
                body["repositories"].as_array_mut().unwrap().push(first);
                drop(body.as_object_mut().unwrap().remove("repository_selection"));
            },
            "it is for 2 repositories",
        ),
    ];
    for (change, difference) in cases {
        let outcome = refused(Scenario::default().tamper(Call::Mint, change), difference).await;
        assert_eq!(outcome.calls(Call::ListRepositories), 0);
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_no_token() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, |body| body["token"] = "ghs_\u{0}\n".into())
        .run()
        .await;
    assert_eq!(outcome.error().0, "UnexpectedAnswer");
}

#[tokio::test]
async fn an_odd_expiry_is_refused() {
    let text = "GitHub installation-token response did not include an expiration";
    unproven(
        |body| drop(body.as_object_mut().unwrap().remove("expires_at")),
        text,
    )
    .await;
    unproven(
        |body| body["expires_at"] = "soon".into(),
        "its expiry cannot be read",
    )
    .await;
    unproven(
        |body| body["expires_at"] = "2020-01-01T00:00:00Z".into(),
        "it has expired already",
    )
    .await;
    unproven(
        |body| body["expires_at"] = "2099-01-01T00:00:00Z".into(),
        "it is valid for more than 65 minutes",
    )
    .await;
}

#[tokio::test]
async fn all_differences_are_told_at_once() {
    let changed = |body: &mut Value| {
        body["permissions"]["contents"] = "write".into();
        body["repository_selection"] = "all".into();
    };
    unproven(
        changed,
        "permission contents has another level; it is not limited to selected repositories",
    )
    .await;
}

fn leave_out(field: &'static str) -> impl Fn(&mut Value) + Send + Sync + 'static {
    move |body| drop(body.as_object_mut().unwrap().remove(field))
}

#[tokio::test]
async fn what_the_answer_leaves_out_is_asked_of_github() {
    for field in ["repositories", "repository_selection"] {
        let outcome = Scenario::default()
            .tamper(Call::Mint, leave_out(field))
            .run()
            .await;
        outcome.token();
        let asked = outcome.requests_of(Call::ListRepositories).next().unwrap();
        assert!(
            asked
                .path
                .ends_with("/installation/repositories?per_page=2")
        );
        assert_eq!(outcome.requests.len(), 4);
    }
}

/// A change to GitHub's answer, and the difference that is then told.
type Case = (fn(&mut Value), &'static str);

#[tokio::test]
async fn what_github_then_says_is_held_against_the_configuration_too() {
    let asked = || Scenario::default().tamper(Call::Mint, leave_out("repositories"));
    let cases: [Case; 4] = [
        (
            |body| body["total_count"] = 2.into(),
            "it is for 2 repositories",
        ),
        (
            |body| body["repository_selection"] = "all".into(),
            "it is not limited to selected repositories",
        ),
        (
            |body| body["repositories"][0]["full_name"] = "a/b".into(),
            "it is for another repository",
        ),
        (
            |body| body["repositories"] = 1.into(),
            "its repositories are unknown",
        ),
    ];
    for (change, difference) in cases {
        refused(asked().tamper(Call::ListRepositories, change), difference).await;
    }
}

#[tokio::test]
async fn a_fresh_token_is_given_time_to_spread() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, leave_out("repositories"))
        .github(|github| github.spreading = 2)
        .run()
        .await;
    outcome.token();
    assert_eq!(outcome.calls(Call::ListRepositories), 3);
}

#[tokio::test]
async fn a_token_that_github_never_accepts_is_not_returned() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, leave_out("repositories"))
        .github(|github| github.spreading = 1000)
        .run()
        .await;
    assert_eq!(outcome.error().0, "TokenNotProven");
}

#[tokio::test]
async fn a_token_that_cannot_be_asked_about_is_revoked() {
    let outcome = Scenario::default()
        .tamper(Call::Mint, leave_out("repositories"))
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
async fn an_answer_without_a_token_is_told() {
    let text = "GitHub installation-token response did not include a token";
    for nothing in [Value::Null, "".into()] {
        let outcome = Scenario::default()
            .tamper(Call::Mint, move |body| body["token"] = nothing.clone())
            .run()
            .await;
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "UnexpectedAnswer");
        assert!(message.starts_with(text), "{message}");
    }
}

/// A revocation that hangs does not hide why it was asked for.
#[tokio::test]
async fn a_proof_that_failed_is_told_though_its_revocation_hangs() {
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
async fn thousands_of_differences_are_told_in_a_sentence() {
    let greedy = |body: &mut Value| {
        for number in 0..2000 {
            let name: String = format!("{number:04}")
                .bytes()
                .map(|digit| char::from(digit - b'0' + b'a'))
                .collect();
            body["permissions"][name] = "read".into();
        }
    };
    let outcome = Scenario::default().tamper(Call::Mint, greedy).run().await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "TokenNotProven");
    assert!(
        message.contains("and 1992 more differences") && message.len() < 1000,
        "{message}"
    );
}

#[tokio::test]
async fn one_field_that_cannot_be_read_is_told_alone() {
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
