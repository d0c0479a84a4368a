//! Configuration errors: reported to the caller all at once, and logged once.

use std::process::Command;

use sandbox::{InvokeResult, Outcome, Scenario};
use serde_json::{Value, json};

fn init_error(outcome: &Outcome) -> Value {
    match &outcome.result {
        InvokeResult::InitError(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// Runs the scenario and checks what all configuration errors have in common.
async fn assert_rejected(scenario: Scenario, message: &str) {
    let outcome = scenario.run().await;
    let error = init_error(&outcome);
    assert_eq!(error["errorType"], "ConfigurationInvalid");
    let found = error["errorMessage"].as_str().unwrap();
    assert!(found.starts_with(message), "{found}");
    let lines = outcome.lines("error");
    assert_eq!(lines.len(), 1, "{}", outcome.stdout);
    assert_eq!(lines[0]["errorMessage"], found);
    assert_eq!(outcome.requests.len(), 0, "no request was made");
}

#[tokio::test]
async fn each_invalid_variable_is_reported_by_name() {
    let cases = [
        ("AWS_REGION", "", "AWS_REGION is required"),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
            " ",
            "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required",
        ),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
            "",
            "GITHUB_TOKEN_BROKER_REPOSITORY_NAME is required",
        ),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
            "a/b",
            "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER contains unsupported characters",
        ),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
            "..",
            "GITHUB_TOKEN_BROKER_REPOSITORY_NAME contains unsupported characters",
        ),
        (
            "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM",
            "a",
            "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM must be an absolute literal SSM parameter path",
        ),
        (
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM",
            "/a:1",
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM must be an absolute literal SSM parameter path",
        ),
        (
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            "/*",
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM must be an absolute literal SSM parameter path",
        ),
        (
            "GITHUB_TOKEN_BROKER_PERMISSIONS",
            "read",
            "GITHUB_TOKEN_BROKER_PERMISSIONS must be a JSON object of string-to-string entries",
        ),
        (
            "GITHUB_TOKEN_BROKER_PERMISSIONS",
            "{}",
            "GITHUB_TOKEN_BROKER_PERMISSIONS must request at least one permission",
        ),
        (
            "GITHUB_TOKEN_BROKER_PERMISSIONS",
            r#"{"a":""}"#,
            "GITHUB_TOKEN_BROKER_PERMISSIONS entries must have non-empty keys and values",
        ),
        (
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            "api.github.com",
            "GitHub API base URL must be absolute",
        ),
        (
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            "http://api.github.com",
            "GitHub API base URL must use https unless the host is loopback",
        ),
        (
            "GITHUB_TOKEN_BROKER_LOG_LEVEL",
            "loud",
            "GITHUB_TOKEN_BROKER_LOG_LEVEL must",
        ),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_ID",
            "octo-repo",
            "GITHUB_TOKEN_BROKER_REPOSITORY_ID must",
        ),
        (
            "GITHUB_TOKEN_BROKER_METRICS_NAMESPACE",
            "AWS/Lambda",
            "GITHUB_TOKEN_BROKER_METRICS_NAMESPACE must",
        ),
        ("SSL_CERT_FILE", "/does/not/exist.pem", "SSL_CERT_FILE must"),
        (
            "AWS_ENDPOINT_URL_SSM",
            "ssm.example.com",
            "AWS_ENDPOINT_URL_SSM must",
        ),
        ("AWS_USE_FIPS_ENDPOINT", "yes", "AWS_USE_FIPS_ENDPOINT must"),
        (
            // The sandbox sets AWS_ENDPOINT_URL, which conflicts with this.
            "AWS_USE_DUALSTACK_ENDPOINT",
            "true",
            "AWS_USE_DUALSTACK_ENDPOINT must",
        ),
        ("HTTPS_PROXY", "socks5://proxy", "HTTPS_PROXY must"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID is required"),
        (
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            "https://user:password@api.github.com",
            "GitHub API base URL must",
        ),
        (
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            "/github-token-broker/app/client-id",
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM must",
        ),
        (
            "GITHUB_TOKEN_BROKER_CLIENT_ID",
            "Iv23li/Example",
            "GITHUB_TOKEN_BROKER_CLIENT_ID contains unsupported characters",
        ),
        (
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID",
            "0",
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID must be a positive integer",
        ),
        (
            "GITHUB_TOKEN_BROKER_KMS_KEY_ID",
            "github-token-broker",
            "GITHUB_TOKEN_BROKER_KMS_KEY_ID must be a key ID, key ARN, alias/NAME or alias ARN",
        ),
        (
            "AWS_ENDPOINT_URL_KMS",
            "kms.example.com",
            "AWS_ENDPOINT_URL_KMS must",
        ),
    ];
    for (variable, value, message) in cases {
        assert_rejected(Scenario::default().variable(variable, value), message).await;
    }
}

#[tokio::test]
async fn port_that_is_not_a_port_is_rejected() {
    for port in [
        ":99999", ":65536", ":abc", ":0", ":443x", ":", ":-1", ":+443",
    ] {
        for (variable, url, message) in [
            (
                "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
                "https://api.github.com",
                "GitHub API base URL must",
            ),
            (
                "AWS_ENDPOINT_URL_SSM",
                "https://ssm.example.com",
                "AWS_ENDPOINT_URL_SSM must",
            ),
            (
                "AWS_ENDPOINT_URL_KMS",
                "http://[::1]",
                "AWS_ENDPOINT_URL_KMS must",
            ),
            (
                "HTTPS_PROXY",
                "http://proxy.example.com",
                "HTTPS_PROXY must",
            ),
        ] {
            let scenario = Scenario::default().variable(variable, format!("{url}{port}"));
            assert_rejected(scenario, message).await;
        }
    }
    let url = "https://http://api.github.com";
    let scenario = Scenario::default().variable("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", url);
    assert_rejected(scenario, "GitHub API base URL must").await;
}

#[tokio::test]
async fn certificates_that_are_not_a_file_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    assert!(
        Command::new("mkfifo")
            .arg(path("pipe"))
            .status()
            .unwrap()
            .success()
    );
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("key"), sandbox::PrivateKey::rsa(2048).pem()).unwrap();
    std::fs::write(path("long"), "x".repeat(5 * 1024 * 1024)).unwrap();
    for file in [
        path("pipe"),
        path("empty"),
        path("key"),
        path("long"),
        path("."),
        "/dev/zero".to_owned(),
    ] {
        let scenario = Scenario::default().variable("SSL_CERT_FILE", file);
        assert_rejected(scenario, "SSL_CERT_FILE must").await;
    }
}

#[tokio::test]
async fn name_with_owner_is_explained() {
    let name = "GITHUB_TOKEN_BROKER_REPOSITORY_NAME";
    for value in [
        "acme/widgets",
        "https://github.com/acme/widgets",
        "acme/widgets.git",
    ] {
        let outcome = Scenario::default().variable(name, value).run().await;
        let error = init_error(&outcome);
        let message = error["errorMessage"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("{name} contains unsupported characters")),
            "{message}"
        );
        assert!(message.contains("without the owner"), "{message}");
    }
}

#[tokio::test]
async fn client_id_that_cannot_be_one_is_rejected() {
    let characters = "GITHUB_TOKEN_BROKER_CLIENT_ID contains unsupported characters";
    let meaning = "GITHUB_TOKEN_BROKER_CLIENT_ID must be a GitHub App client ID or App ID";
    for (value, message) in [
        ("4.47597e+06", characters),
        ("\"Iv23liSandboxSandbox\"", characters),
        ("Iv23li\u{200b}Sandbox", characters),
        ("undefined", meaning),
        ("ghs_0123456789abcdefghijABCDEFGHIJ012345", meaning),
    ] {
        let scenario = Scenario::default()
            .kms_key()
            .variable("GITHUB_TOKEN_BROKER_CLIENT_ID", value);
        assert_rejected(scenario, message).await;
    }
}

#[tokio::test]
async fn proxy_that_cannot_be_read_is_rejected() {
    for value in [
        "http://user:pass#word@proxy:3128",
        "http://user:pass?word@proxy:3128",
        "http://user:pass/word@proxy:3128",
        "https://proxy:3128",
        "http://",
    ] {
        for variable in ["HTTPS_PROXY", "https_proxy"] {
            let scenario = Scenario::default().variable(variable, value);
            assert_rejected(scenario, &format!("{variable} must")).await;
        }
    }
}

#[tokio::test]
async fn all_configuration_errors_are_reported_in_table_order() {
    let scenario = Scenario::default()
        .without_variable("AWS_REGION")
        .without_variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER")
        .without_variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME")
        .variable("GITHUB_TOKEN_BROKER_PERMISSIONS", "{}")
        .variable("SSL_CERT_FILE", "/does/not/exist.pem");
    let message = "AWS_REGION is required; GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required; \
         GITHUB_TOKEN_BROKER_REPOSITORY_NAME is required; GITHUB_TOKEN_BROKER_PERMISSIONS must request at least one permission; \
         SSL_CERT_FILE must";
    assert_rejected(scenario, message).await;
}

#[tokio::test]
async fn value_and_parameter_are_mutually_exclusive() {
    let all = [
        ("CLIENT_ID", sandbox::CLIENT_ID, "CLIENT_ID_PARAM"),
        ("INSTALLATION_ID", "12345678", "INSTALLATION_ID_PARAM"),
        ("KMS_KEY_ID", sandbox::KMS_ALIAS, "PRIVATE_KEY_PARAM"),
    ];
    let conflict = |variable: &str, parameter: &str| {
        format!(
            "GITHUB_TOKEN_BROKER_{variable} and GITHUB_TOKEN_BROKER_{parameter} are mutually exclusive"
        )
    };
    let set_both = |scenario: Scenario, (variable, value, parameter): (&str, &str, &str)| {
        scenario
            .variable(&format!("GITHUB_TOKEN_BROKER_{variable}"), value)
            .variable(
                &format!("GITHUB_TOKEN_BROKER_{parameter}"),
                format!("/team-a/{parameter}"),
            )
    };
    for both in all {
        let scenario = set_both(Scenario::default(), both);
        assert_rejected(scenario, &conflict(both.0, both.2)).await;
    }
    // A conflict comes after all other errors.
    let scenario = all.into_iter().fold(Scenario::default(), set_both);
    let conflicts = all.map(|(variable, _, parameter)| conflict(variable, parameter));
    let message = format!(
        "SSL_CERT_FILE must name a readable file of PEM certificates; {}",
        conflicts.join("; ")
    );
    let scenario = scenario.variable("SSL_CERT_FILE", "/does/not/exist.pem");
    assert_rejected(scenario, &message).await;
}

#[tokio::test]
async fn blank_value_does_not_exclude_its_parameter() {
    let scenario = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_CLIENT_ID", " ")
        .variable(
            "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM",
            sandbox::PARAMETERS[0],
        )
        .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", "")
        .variable(
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            sandbox::PARAMETERS[2],
        );
    scenario.run().await.token();
}

#[tokio::test]
async fn blank_variables_get_their_defaults() {
    let outcome = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_PERMISSIONS", "  ")
        .variable("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "")
        .variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", "")
        .run()
        .await;
    assert_eq!(
        outcome.response()["permissions"],
        json!({"contents": "read"})
    );
}

#[tokio::test]
async fn log_level_filters_lines() {
    let lines = async |broker_level: &str, lambda_level: &str| {
        let scenario = Scenario::default()
            .variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", broker_level)
            .variable("AWS_LAMBDA_LOG_LEVEL", lambda_level);
        scenario.run().await.log.len()
    };
    assert_eq!(lines("", "").await, 1);
    assert_eq!(lines("warn", "INFO").await, 0);
    assert_eq!(lines("", "ERROR").await, 0);
    assert_eq!(lines("info", "ERROR").await, 1);
}

#[test]
fn start_outside_lambda_prints_usage() {
    let binary = sandbox::binary_under_test();
    let run = |arguments: &[&str]| {
        let output = Command::new(&binary)
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (success, stdout, stderr) = run(&["--version"]);
    assert!(success && stderr.is_empty());
    assert!(
        stdout.starts_with(&format!(
            "github-token-broker {} (",
            env!("CARGO_PKG_VERSION")
        )),
        "{stdout}"
    );
    for arguments in [&[][..], &["--help"], &["mint"], &["--version", "now"]] {
        let (success, stdout, stderr) = run(arguments);
        assert!(!success && stdout.is_empty());
        assert!(stderr.contains("make demo"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    for (variable, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "broker"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
        ("AWS_LAMBDA_RUNTIME_API", "not an address"),
    ] {
        let output = Command::new(&binary)
            .env_clear()
            .env(variable, value)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(
            stderr.contains("make demo"),
            "a single Lambda variable does not count as Lambda: {stderr}"
        );
    }
}
