//! The installation is confirmed before a mint, and each GitHub error is reported by its meaning.

use sandbox::{Call, Fault, GitHub, Outcome, PARAMETERS, Parameter, PrivateKey, Scenario};

/// Runs the scenario and checks the error and the number of calls.
async fn assert_fails(
    scenario: Scenario,
    error_type: &str,
    message: &str,
    confirms: usize,
    mints: usize,
) -> Outcome {
    let outcome = scenario.run().await;
    let (found_type, found) = outcome.error();
    assert_eq!(found_type, error_type, "{found}");
    assert!(found.starts_with(message), "{found}");
    assert_eq!(
        (outcome.calls(Call::Confirm), outcome.calls(Call::Mint)),
        (confirms, mints),
        "{found}"
    );
    assert_eq!(outcome.lines("error").len(), 1, "{}", outcome.stdout);
    outcome
}

fn with_github(change: impl FnOnce(&mut GitHub) + Send + 'static) -> Scenario {
    Scenario::default().github(change)
}

#[tokio::test]
async fn different_installation_is_never_minted_for() {
    let configured = Scenario::default().parameter(PARAMETERS[1], Parameter::string("999"));
    let message =
        "GitHub repository installation 12345678 does not match configured installation 999";
    assert_fails(configured, "InstallationMismatch", message, 1, 0).await;
}

#[tokio::test]
async fn suspended_installation_is_not_minted_for() {
    let message = "";
    assert_fails(
        with_github(|github| github.installation_mut().suspended = true),
        "InstallationSuspended",
        message,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn installation_of_a_different_account_is_not_minted_for() {
    let different = Scenario::default().tamper(Call::Confirm, |body| {
        body["account"]["login"] = "different-org".into();
    });
    assert_fails(different, "AccountMismatch", "", 1, 0).await;
}

#[tokio::test]
async fn app_not_installed_is_reported() {
    let message = "GitHub repository-installation request failed with status 404";
    assert_fails(
        with_github(|github| github.installations.clear()),
        "AppNotInstalled",
        message,
        1,
        0,
    )
    .await;
    let unknown =
        Scenario::default().variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "no-such-repo");
    assert_fails(unknown, "AppNotInstalled", message, 1, 0).await;
}

#[tokio::test]
async fn unknown_key_or_client_id_is_reported() {
    let message = "GitHub repository-installation request failed with status 401";
    let unknown = PrivateKey::fresh(2048).pem();
    let scenario = Scenario::default().parameter(PARAMETERS[2], Parameter::secure_string(unknown));
    assert_fails(scenario, "AppCredentialsRejected", message, 1, 0).await;
    let scenario = Scenario::default().parameter(PARAMETERS[0], Parameter::string("Iv23liUnknown"));
    let message = "GitHub repository-installation request failed with status 404";
    assert_fails(scenario, "AppCredentialsRejected", message, 1, 0).await;
}

#[tokio::test]
async fn redirect_to_a_renamed_repository_is_not_followed() {
    let renamed = with_github(|github| github.rename("octo-org/octo-repo", "octo-org/renamed"));
    let message = "GitHub repository-installation request failed with status 301";
    assert_fails(renamed, "RepositoryMoved", message, 1, 0).await;
    for status in [302, 307, 308] {
        let redirected = Scenario::default().fault(Call::Confirm, Fault::Redirect(status));
        let message = format!("GitHub repository-installation request failed with status {status}");
        assert_fails(redirected, "RepositoryMoved", &message, 1, 0).await;
    }
}

#[tokio::test]
async fn permission_that_the_app_lacks_is_reported() {
    let too_much = Scenario::default().permissions(&[("administration", "write")]);
    let message = "GitHub installation-token request failed with status 422";
    assert_fails(too_much, "PermissionNotGranted", message, 1, 1).await;
}

#[tokio::test]
async fn repository_not_covered_is_reported() {
    let uncovered = Fault::response(422).message(
        "There is at least one repository that does not exist or is not accessible to the parent installation.",
    );
    let message = "GitHub installation-token request failed with status 422";
    assert_fails(
        Scenario::default().fault(Call::Mint, uncovered),
        "RepositoryNotCovered",
        message,
        1,
        1,
    )
    .await;
    let recreated = Scenario::default().variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", "42");
    assert_fails(recreated, "RepositoryNotCovered", message, 1, 1).await;
}

#[tokio::test]
async fn ip_allow_list_is_reported() {
    let message = "GitHub repository-installation request failed with status 403";
    assert_fails(
        with_github(|github| github.installation_mut().ip_allow_list = true),
        "IpNotAllowed",
        message,
        1,
        0,
    )
    .await;
}

#[tokio::test]
async fn response_without_installation_id_is_reported() {
    let message = "GitHub repository-installation response did not include an installation ID";
    for missing in [serde_json::Value::Null, 0.into()] {
        let scenario =
            Scenario::default().tamper(Call::Confirm, move |body| body["id"] = missing.clone());
        assert_fails(scenario, "UnexpectedAnswer", message, 1, 0).await;
    }
}

#[tokio::test]
async fn long_rate_limit_is_reported_with_its_wait() {
    let limited = Fault::response(403)
        .header("retry-after", 120)
        .message("You have exceeded a secondary rate limit.");
    let scenario = Scenario::default().fault(Call::Confirm, limited);
    let message = "GitHub repository-installation request failed with status 403";
    let outcome = assert_fails(scenario, "GitHubRateLimited", message, 1, 0).await;
    assert!(outcome.error().1.contains("120 seconds"));
}

#[tokio::test]
async fn exhausted_hourly_rate_limit_is_reported() {
    let message = "GitHub repository-installation request failed with status 403";
    let exhausted =
        with_github(|github| github.rate_limited_until = Some(github.clock.now() + 1800));
    assert_fails(exhausted, "GitHubRateLimited", message, 1, 0).await;
}
