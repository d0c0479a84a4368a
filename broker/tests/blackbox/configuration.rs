//! A faulty environment is told to the caller in our words, all faults at once, and once in the log.

use std::process::Command;

use sandbox::{Answer, Outcome, Scenario};
use serde_json::{Value, json};

fn init_error(outcome: &Outcome) -> Value {
    match &outcome.answer {
        Answer::InitError(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// Runs it, and checks what every configuration error has in common.
async fn refused(scenario: Scenario, message: &str) {
    let outcome = scenario.run().await;
    let error = init_error(&outcome);
    assert_eq!(error["errorType"], "ConfigurationInvalid");
    let found = error["errorMessage"].as_str().unwrap();
    assert!(found.starts_with(message), "{found}");
    let lines = outcome.lines("error");
    assert_eq!(lines.len(), 1, "{}", outcome.stdout);
    assert_eq!(lines[0]["errorMessage"], found);
    assert_eq!(outcome.requests.len(), 0, "nothing was asked of anyone");
}

#[tokio::test]
async fn each_rule_is_told_with_its_variable() {
    let faults = [
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
            "GITHUB_TOKEN_BROKER_LOG_LEVEL must be debug, info, warn or error",
        ),
        (
            "GITHUB_TOKEN_BROKER_REPOSITORY_ID",
            "octo-repo",
            "GITHUB_TOKEN_BROKER_REPOSITORY_ID must be the repository's numeric ID",
        ),
        (
            "GITHUB_TOKEN_BROKER_METRICS_NAMESPACE",
            "AWS/Lambda",
            "GITHUB_TOKEN_BROKER_METRICS_NAMESPACE must be a CloudWatch namespace",
        ),
        (
            "SSL_CERT_FILE",
            "/does/not/exist.pem",
            "SSL_CERT_FILE must name a readable file of PEM certificates",
        ),
        (
            "AWS_ENDPOINT_URL_SSM",
            "ssm.example.com",
            "AWS_ENDPOINT_URL_SSM must be an absolute http or https URL",
        ),
        (
            "AWS_USE_FIPS_ENDPOINT",
            "yes",
            "AWS_USE_FIPS_ENDPOINT must be true or false",
        ),
        (
            // The sandbox is an endpoint.
            "AWS_USE_DUALSTACK_ENDPOINT",
            "true",
            "AWS_USE_DUALSTACK_ENDPOINT must not be true where AWS_ENDPOINT_URL",
        ),
        (
            "HTTPS_PROXY",
            "socks5://proxy",
            "HTTPS_PROXY must be the http:// URL of a proxy",
        ),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID is required"),
        (
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            "https://user:password@api.github.com",
            "GitHub API base URL must have no user info, query or fragment",
        ),
        (
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            "/github-token-broker/app/client-id",
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM must name a parameter of its own",
        ),
    ];
    for (variable, value, message) in faults {
        refused(Scenario::default().variable(variable, value), message).await;
    }
}

#[tokio::test]
async fn all_faults_are_told_together_in_the_order_of_the_table() {
    let scenario = Scenario::default()
        .without_variable("AWS_REGION")
        .without_variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER")
        .without_variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME")
        .variable("GITHUB_TOKEN_BROKER_PERMISSIONS", "{}")
        .variable("SSL_CERT_FILE", "/does/not/exist.pem");
    let message = "AWS_REGION is required; GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required; \
         GITHUB_TOKEN_BROKER_REPOSITORY_NAME is required; GITHUB_TOKEN_BROKER_PERMISSIONS must request at least one permission; \
         SSL_CERT_FILE must name a readable file of PEM certificates";
    refused(scenario, message).await;
}

#[tokio::test]
async fn defaults_stand_for_blank_variables() {
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
async fn the_log_level_decides_which_lines_are_written() {
    let lines = async |ours: &str, platforms: &str| {
        let scenario = Scenario::default()
            .variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", ours)
            .variable("AWS_LAMBDA_LOG_LEVEL", platforms);
        scenario.run().await.log.len()
    };
    assert_eq!(lines("", "").await, 1);
    assert_eq!(lines("warn", "INFO").await, 0);
    assert_eq!(lines("", "ERROR").await, 0);
    assert_eq!(lines("info", "ERROR").await, 1);
}

#[test]
fn a_person_who_starts_it_is_told_what_it_is() {
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
        ("AWS_LAMBDA_RUNTIME_API", "no address"),
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
            "one of Lambda's variables alone is not Lambda: {stderr}"
        );
    }
}
