//! Each cause has its own message: what failed, why, and what to do. None of them sends a person the wrong way.

use sandbox::{Call, CannedResponse, Fault, Outcome, Scenario, Schedule};

/// Runs the scenario. Checks the type of the error, texts that its message has, and texts that it must not have.
async fn assert_message(
    scenario: Scenario,
    error_type: &str,
    has: &[&str],
    lacks: &[&str],
) -> Outcome {
    let outcome = scenario.run().await;
    let (found, message) = outcome.error();
    assert_eq!(found, error_type, "{message}");
    for text in has {
        assert!(message.contains(text), "{text} is missing in: {message}");
    }
    for text in lacks {
        assert!(!message.contains(text), "{text} is in: {message}");
    }
    outcome
}

fn at_confirm(response: CannedResponse) -> Scenario {
    Scenario::default().faults(Call::Confirm, Schedule::Always(response.into()))
}

fn at_mint(response: CannedResponse) -> Scenario {
    Scenario::default().faults(Call::Mint, Schedule::Always(response.into()))
}

fn error(status: u16, message: &str) -> CannedResponse {
    Fault::response(status).message(message)
}

#[tokio::test]
async fn rejected_issuer_is_explained() {
    let credentials = "AppCredentialsRejected";
    let integer = "'Issuer' claim ('iss') must be an Integer";
    let numeric = ["accepts only the numeric App ID", "Store the App ID"];
    assert_message(
        at_confirm(error(401, integer)),
        credentials,
        &numeric,
        &["private key"],
    )
    .await;
    assert_message(
        at_mint(error(401, integer)),
        credentials,
        &numeric,
        &["private key"],
    )
    .await;
    let unknown = [
        "does not know this client ID",
        "Correct the client ID",
        "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
    ];
    let not_found = error(404, "Integration not found");
    assert_message(
        at_confirm(not_found.clone()),
        credentials,
        &unknown,
        &["not installed"],
    )
    .await;
    assert_message(
        at_mint(not_found),
        credentials,
        &unknown,
        &["not installed"],
    )
    .await;
    let no_key = error(401, "Integration must generate a public key");
    assert_message(
        at_confirm(no_key),
        credentials,
        &["has no key on GitHub", "Generate a private key"],
        &[],
    )
    .await;
}

#[tokio::test]
async fn only_a_redirect_to_the_repository_is_a_rename() {
    let page = ["redirected the request to a web page", "/api/v3"];
    for (status, location) in [
        (
            302,
            "/login?return_to=%2Frepos%2Focto-org%2Focto-repo%2Finstallation",
        ),
        (302, "https://idp.example.com/sso?SAMLRequest=x"),
        (303, "/login"),
        (301, "https://github.com/octo-org/octo-repo"),
        (307, "https://ghe.example.com/login"),
        (308, "https://example.com/repositories/1296269/installation"),
    ] {
        let redirect = Fault::response(status).header("location", location);
        let outcome = assert_message(
            at_confirm(redirect),
            "UnexpectedAnswer",
            &page,
            &["renamed"],
        )
        .await;
        assert!(!outcome.error().1.contains(location));
        assert_eq!(outcome.calls(Call::Confirm), 1);
    }
    for status in [301, 307, 308] {
        let redirect =
            Fault::response(status).header("location", "/repositories/1296269/installation");
        assert_message(
            at_confirm(redirect),
            "RepositoryMoved",
            &["renamed or transferred"],
            &["/api/v3"],
        )
        .await;
    }
}

#[tokio::test]
async fn missing_permission_is_named_with_what_the_installation_has() {
    let with = |name: &'static str, level: &'static str| {
        Scenario::default().permissions(&[("contents", "read"), (name, level)])
    };
    let not_granted = "PermissionNotGranted";
    let hyphen = ["pull-requests=write (it has none)", "underscores"];
    assert_message(
        with("pull-requests", "write"),
        not_granted,
        &hyphen,
        &["contents="],
    )
    .await;
    let lacking = ["administration=write (it has none)"];
    assert_message(
        with("administration", "write"),
        not_granted,
        &lacking,
        &["contents=", "underscores"],
    )
    .await;
    let raised = with("issues", "write").github(|github| {
        github
            .installation_mut()
            .permissions
            .insert("issues".into(), "read".into());
    });
    assert_message(
        raised,
        not_granted,
        &["issues=write (it has read)"],
        &["contents="],
    )
    .await;
    let too_high = with("contents", "admin");
    assert_message(
        too_high,
        not_granted,
        &["contents=admin (it has write)"],
        &[],
    )
    .await;
}

#[tokio::test]
async fn error_that_the_base_url_cannot_cause_does_not_mention_it() {
    let base_url = ["base URL", "BASE_URL"];
    let logins = error(
        403,
        "Maximum number of login attempts exceeded. Please try again later.",
    );
    assert_message(
        at_confirm(logins),
        "GitHubRateLimited",
        &["rate limited for 60 seconds"],
        &base_url,
    )
    .await;
    let denied = error(403, "Resource not accessible by integration");
    for scenario in [at_confirm(denied.clone()), at_mint(denied)] {
        assert_message(
            scenario,
            "UnexpectedAnswer",
            &["denies the App access"],
            &base_url,
        )
        .await;
    }
    let blocked = error(451, "Repository access blocked");
    assert_message(
        at_confirm(blocked),
        "UnexpectedAnswer",
        &["has blocked octo-org/octo-repo"],
        &base_url,
    )
    .await;
}

#[tokio::test]
async fn text_decides_before_the_rate_limit_headers() {
    let exhausted = |message: &str| {
        error(403, message)
            .header("x-ratelimit-remaining", 0)
            .header("x-ratelimit-reset", 4_102_444_800_u64)
    };
    let suspended = exhausted("This installation has been suspended");
    assert_message(
        at_confirm(suspended),
        "InstallationSuspended",
        &["suspended"],
        &["rate"],
    )
    .await;
    let allow_list = exhausted(
        "Although you appear to have the correct authorization credentials, the `octo-org` organization has an IP allow list enabled",
    );
    for scenario in [at_confirm(allow_list.clone()), at_mint(allow_list)] {
        assert_message(scenario, "IpNotAllowed", &["IP allow list"], &["rate"]).await;
    }
    let denied = exhausted("Resource not accessible by integration").header("retry-after", 30);
    assert_message(
        at_mint(denied),
        "UnexpectedAnswer",
        &["denies the App access"],
        &["rate"],
    )
    .await;
    let limited = exhausted("API rate limit exceeded for installation ID 12345678.");
    assert_message(
        at_confirm(limited),
        "GitHubRateLimited",
        &["rate limited"],
        &[],
    )
    .await;
}

#[tokio::test]
async fn tls_failure_is_reported_with_its_host_and_its_causes() {
    let text = [
        "TLS handshake failed",
        "127.0.0.1:",
        "SSL_CERT_FILE",
        "proxy",
    ];
    for fault in [
        Fault::TlsFailure,
        Fault::UntrustedCertificate,
        Fault::WrongHost,
    ] {
        let always = || Schedule::Always(fault.clone());
        let ssm = Scenario::default()
            .tls()
            .faults(Call::GetParameters, always());
        assert_message(ssm, "ParametersUnreachable", &text, &["route"]).await;
        let kms = Scenario::default()
            .tls()
            .kms_key()
            .faults(Call::Sign, always());
        assert_message(kms, "SigningUnreachable", &text, &["route"]).await;
        let github = Scenario::default().tls().faults(Call::Confirm, always());
        assert_message(github, "GitHubUnreachable", &text, &["route"]).await;
    }
}

#[tokio::test]
async fn json_with_a_vendor_type_is_read() {
    let body = r#"{"id":12345678,"account":{"login":"octo-org"}}"#;
    for content_type in [
        "application/vnd.github+json",
        "application/vnd.github.v3+json; charset=utf-8",
        "application/problem+json",
        "Application/JSON",
    ] {
        let response = Fault::response(200)
            .header("content-type", content_type)
            .body(body);
        at_confirm(response).run().await.token();
    }
    for content_type in ["text/html", "text/plain", "application/jsonp"] {
        let response = Fault::response(200)
            .header("content-type", content_type)
            .body(body);
        assert_message(
            at_confirm(response),
            "UnexpectedAnswer",
            &["is not JSON"],
            &[],
        )
        .await;
    }
}
