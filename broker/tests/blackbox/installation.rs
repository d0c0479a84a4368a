//! What the lookup says is believed before anything is minted; what GitHub refuses is told by what it means.

use sandbox::{Call, Fault, GitHub, Outcome, PARAMETERS, Parameter, PrivateKey, Scenario};

/// Runs it, and checks the error and that GitHub was asked just this often.
async fn failed(
    scenario: Scenario,
    error_type: &str,
    message: &str,
    lookups: usize,
    mints: usize,
) -> Outcome {
    let outcome = scenario.run().await;
    let (found_type, found) = outcome.error();
    assert_eq!(found_type, error_type, "{found}");
    assert!(found.starts_with(message), "{found}");
    assert_eq!(
        (outcome.calls(Call::Lookup), outcome.calls(Call::Mint)),
        (lookups, mints),
        "{found}"
    );
    assert_eq!(outcome.lines("error").len(), 1, "{}", outcome.stdout);
    outcome
}

fn on(change: impl FnOnce(&mut GitHub) + Send + 'static) -> Scenario {
    Scenario::default().github(change)
}

#[tokio::test]
async fn another_installation_is_never_minted_for() {
    let configured = Scenario::default().parameter(PARAMETERS[1], Parameter::string("999"));
    let message =
        "GitHub repository installation 12345678 does not match configured installation 999";
    failed(configured, "InstallationMismatch", message, 1, 0).await;
}

#[tokio::test]
async fn a_suspended_installation_is_not_minted_for() {
    let message = "GitHub App installation 12345678 is suspended";
    failed(
        on(|github| github.installation_mut().suspended = true),
        "InstallationSuspended",
        message,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn an_installation_of_another_account_is_not_minted_for() {
    let other = Scenario::default().tamper(Call::Lookup, |body| {
        body["account"]["login"] = "someone-else".into();
    });
    failed(
        other,
        "AccountMismatch",
        "GitHub repository octo-org/octo-repo",
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told() {
    let message = "GitHub repository-installation request failed with status 404";
    failed(
        on(|github| github.installations.clear()),
        "AppNotInstalled",
        message,
        1,
        0,
    )
    .await;
    let unknown =
        Scenario::default().variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "no-such-repo");
    failed(unknown, "AppNotInstalled", message, 1, 0).await;
}

#[tokio::test]
async fn a_key_that_github_does_not_know_is_told() {
    let message = "GitHub repository-installation request failed with status 401";
    let stranger = PrivateKey::fresh(2048).pem();
    let scenario = Scenario::default().parameter(PARAMETERS[2], Parameter::secure_string(stranger));
    failed(scenario, "AppCredentialsRejected", message, 1, 0).await;
    let scenario =
        Scenario::default().parameter(PARAMETERS[0], Parameter::string("Iv23liSomeoneElse"));
    failed(scenario, "AppCredentialsRejected", message, 1, 0).await;
}

#[tokio::test]
async fn a_renamed_repository_is_not_followed() {
    let renamed = on(|github| github.rename("octo-org/octo-repo", "octo-org/renamed"));
    let message = "GitHub repository-installation request failed with status 301";
    let outcome = failed(renamed, "RepositoryMoved", message, 1, 0).await;
    assert!(
        outcome
            .error()
            .1
            .contains("GITHUB_TOKEN_BROKER_REPOSITORY_NAME")
    );
    for status in [302, 307, 308] {
        let redirected = Scenario::default().fault(Call::Lookup, Fault::Redirect(status));
        let message = format!("GitHub repository-installation request failed with status {status}");
        failed(redirected, "RepositoryMoved", &message, 1, 0).await;
    }
}

#[tokio::test]
async fn a_permission_that_the_app_does_not_have_is_told() {
    let greedy = Scenario::default().permissions(&[("administration", "write")]);
    let message = "GitHub installation-token request failed with status 422";
    failed(greedy, "PermissionNotGranted", message, 1, 1).await;
}

#[tokio::test]
async fn a_repository_that_is_not_covered_is_told() {
    let uncovered = Fault::answer(422).message(
        "There is at least one repository that does not exist or is not accessible to the parent installation.",
    );
    let message = "GitHub installation-token request failed with status 422";
    failed(
        Scenario::default().fault(Call::Mint, uncovered),
        "RepositoryNotCovered",
        message,
        1,
        1,
    )
    .await;
    let recreated = Scenario::default().variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", "42");
    failed(recreated, "RepositoryNotCovered", message, 1, 1).await;
}

#[tokio::test]
async fn an_ip_allow_list_is_told() {
    let message = "GitHub repository-installation request failed with status 403";
    failed(
        on(|github| github.installation_mut().ip_allow_list = true),
        "IpNotAllowed",
        message,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn an_answer_without_an_installation_id_is_told() {
    let message = "GitHub repository-installation response did not include an installation ID";
    for nothing in [serde_json::Value::Null, 0.into()] {
        let scenario =
            Scenario::default().tamper(Call::Lookup, move |body| body["id"] = nothing.clone());
        failed(scenario, "UnexpectedAnswer", message, 1, 0).await;
    }
}

#[tokio::test]
async fn a_long_rate_limit_is_told_with_its_wait() {
    let limited = Fault::answer(403)
        .header("retry-after", 120)
        .message("You have exceeded a secondary rate limit.");
    let scenario = Scenario::default().fault(Call::Lookup, limited);
    let message = "GitHub repository-installation request failed with status 403: rate limited for 120 seconds";
    failed(scenario, "GitHubRateLimited", message, 1, 0).await;
}

#[tokio::test]
async fn an_hourly_limit_that_is_used_up_is_told() {
    let message =
        "GitHub repository-installation request failed with status 403: rate limited for ";
    let used_up = on(|github| github.rate_limited_until = Some(github.clock.now() + 1800));
    failed(used_up, "GitHubRateLimited", message, 1, 0).await;
}
