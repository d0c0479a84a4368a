//! The log: one line per invocation that connects a token with its caller and its use.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use sandbox::{Call, Fault, Outcome, PARAMETERS, Parameter, PrivateKey, Scenario};
use serde_json::{Value, json};

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// The line of metrics.
fn metrics(outcome: &Outcome) -> &Value {
    let mut lines = outcome.log.iter();
    lines.find(|line| line.get("_aws").is_some()).unwrap()
}

#[tokio::test]
async fn minted_token_can_be_traced() {
    let outcome = Scenario::default()
        .trace_id("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        .run()
        .await;
    let line = &outcome.log[0];
    assert_eq!(line["aws_request_id"], outcome.request_id);
    assert_eq!(line["requestId"], outcome.request_id);
    assert_eq!(
        line["xray_trace_id"],
        "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    );
    assert_eq!(line["repository"], "octo-org/octo-repo");
    assert_eq!(line["repository_id"], 1_296_269);
    assert_eq!(line["installation_id"], 12_345_678);
    assert_eq!(line["permissions"], json!({"contents": "read"}));
    let hash = digest(&SHA256, outcome.token().as_bytes());
    assert_eq!(line["token_hash"], Base64::encode_string(hash.as_ref()));
    assert_eq!(
        keys(&line["github_request_ids"]),
        BTreeSet::from(["confirm", "mint"])
    );
    assert_eq!(
        line["attempts"],
        json!({"get_parameters": 1, "confirm": 1, "mint": 1})
    );
    let steps = BTreeSet::from(["load", "sign", "confirm", "mint", "prove", "total"]);
    assert_eq!(keys(&line["milliseconds"]), steps);
    assert!(line["milliseconds"]["total"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn log_lines_match_lambdas_json_format() {
    let outcome = Scenario::default()
        .variable("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .run()
        .await;
    let line = &outcome.log[0];
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(
        timestamp.len() >= 20 && timestamp.contains('T') && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    assert_eq!(line["level"], "INFO");
    assert!(line["message"].is_string() && line["requestId"].is_string());
}

#[tokio::test]
async fn failure_is_logged_with_the_steps_before_it() {
    let outcome = Scenario::default()
        .faults(Call::Mint, sandbox::Schedule::Always(Fault::Status(503)))
        .run()
        .await;
    let [line] = outcome.lines("error")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["errorType"], "GitHubUnavailable");
    assert_eq!(line["errorMessage"], outcome.error().1);
    assert_eq!(line["retryable"], true);
    assert_eq!(line["aws_request_id"], outcome.request_id);
    assert_eq!(
        line["attempts"],
        json!({"get_parameters": 1, "confirm": 1, "mint": 3})
    );
    assert_eq!(line["orphaned_token_possible"], true);
    assert_eq!(line["installation_id"], 12_345_678);
    assert!(line.get("token_hash").is_none());
}

#[tokio::test]
async fn metrics_are_written_only_if_configured_and_at_any_log_level() {
    assert!(
        Scenario::default()
            .run()
            .await
            .log
            .iter()
            .all(|line| line.get("_aws").is_none())
    );
    let mut running = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Broker")
        .variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", "error")
        .start()
        .await;
    let minted = running.invoke("null").await;
    let [line] = minted.log.as_slice() else {
        panic!("{}", minted.stdout)
    };
    let [directive] = line["_aws"]["CloudWatchMetrics"]
        .as_array()
        .unwrap()
        .as_slice()
    else {
        panic!("{line}")
    };
    assert_eq!(directive["Namespace"], "Team/Broker");
    assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
    let counts = |line: &Value| {
        ["Minted", "Refused", "Failed", "Unproven"].map(|name| line[name].as_u64().unwrap())
    };
    assert_eq!(counts(line), [1, 0, 0, 0]);
    assert_eq!(line["FunctionName"], "github-token-broker");
    assert!(line["Latency"].as_f64().unwrap() > 0.0);

    let refused = running.invoke("{}").await;
    assert_eq!(
        counts(
            refused
                .log
                .iter()
                .find(|line| line.get("_aws").is_some())
                .unwrap()
        ),
        [0, 1, 0, 0]
    );

    running.faults(Call::Confirm, sandbox::Schedule::First(Fault::Status(404)));
    let failed = running.invoke("null").await;
    let line = failed
        .log
        .iter()
        .find(|line| line.get("_aws").is_some())
        .unwrap();
    assert_eq!(counts(line), [0, 0, 1, 0]);
    assert_eq!(line["ErrorType"], "AppNotInstalled");
    assert_eq!(
        line["_aws"]["CloudWatchMetrics"][1]["Dimensions"],
        json!([["FunctionName", "ErrorType"]])
    );
    let counted = |outcome: &Outcome| {
        let line = outcome
            .log
            .iter()
            .find(|line| line.get("_aws").is_some())
            .unwrap();
        counts(line)
    };
    let widened = |body: &mut Value| body["permissions"]["contents"] = "write".into();
    running.faults(Call::Mint, sandbox::Schedule::First(Fault::edit(widened)));
    assert_eq!(counted(&running.invoke("null").await), [0, 0, 1, 1]);
    running.finish().await;
}

#[tokio::test]
async fn key_age_and_rate_limit_are_logged_and_measured() {
    let pem = PrivateKey::rsa(2048).pem();
    let key = Parameter::secure_string(pem).days_old(42);
    let outcome = Scenario::default()
        .parameter(PARAMETERS[2], key)
        .variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Broker")
        .github(|github| github.requests_this_hour = 3764)
        .run()
        .await;
    let minted = outcome.lines("info")[0];
    assert_eq!(minted["private_key_age_days"], 42);
    // The mint is the second of this invocation's requests to GitHub, of 5,000 an hour.
    assert_eq!(minted["github_rate_limit_remaining"], 1234);
    let line = metrics(&outcome);
    assert_eq!(line["PrivateKeyAgeDays"], 42);
    assert_eq!(line["GitHubRateLimitRemaining"], 1234);
    let names = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
    for name in ["PrivateKeyAgeDays", "GitHubRateLimitRemaining"] {
        let metric = json!({ "Name": name, "Unit": "None" });
        assert!(names.as_array().unwrap().contains(&metric), "{names}");
    }
}

#[tokio::test]
async fn unknown_figures_are_omitted() {
    let outcome = Scenario::default()
        .kms_key()
        .variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Broker")
        .deny("kms:Sign")
        .run()
        .await;
    let failed = outcome.lines("error")[0];
    assert_eq!(failed.get("private_key_age_days"), None);
    assert_eq!(failed.get("github_rate_limit_remaining"), None);
    let line = metrics(&outcome).to_string();
    for name in ["PrivateKeyAgeDays", "GitHubRateLimitRemaining"] {
        assert!(!line.contains(name), "{line}");
    }
}

/// Lambda's log filter drops lines below its level, and treats a line without a level as INFO.
#[tokio::test]
async fn metrics_pass_lambdas_log_filter() {
    let outcome = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Broker")
        .variable("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .variable("AWS_LAMBDA_LOG_LEVEL", "WARN")
        .run()
        .await;
    let [line] = outcome.log.as_slice() else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["level"], "WARN");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line["_aws"].is_object());
}

#[tokio::test]
async fn rejected_payload_is_logged_without_calls() {
    let outcome = Scenario::default().payload("{}").run().await;
    let [line] = outcome.lines("warn")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["aws_request_id"], outcome.request_id);
    assert_eq!(line["repository"], "octo-org/octo-repo");
    assert_eq!(
        (&line["attempts"], &line["github_request_ids"]),
        (&json!({}), &json!({}))
    );
}

#[tokio::test]
async fn malformed_trace_id_is_not_logged() {
    let long = format!("Root=1-{}", "0".repeat(300));
    for (id, shown) in [
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0",
            true,
        ),
        (long.as_str(), false),
        ("Root=<script>", false),
        ("\"},\"level\":\"INFO\"", false),
        ("a caller's text", false),
    ] {
        let outcome = Scenario::default().trace_id(id).run().await;
        outcome.token();
        assert_eq!(outcome.log[0].get("xray_trace_id").is_some(), shown, "{id}");
        assert_eq!(outcome.stdout.contains(id), shown, "{id}");
    }
}

/// GitHub's request ID is logged only if it has the expected format: anything else is untrusted text.
#[tokio::test]
async fn malformed_request_id_is_not_logged() {
    for (id, shown) in [
        ("0A1B:2C3D-4", true),
        ("<script>", false),
        (&"F".repeat(65), false),
    ] {
        let error = Fault::response(404)
            .header("x-github-request-id", id)
            .message("Not Found");
        let outcome = Scenario::default().fault(Call::Confirm, error).run().await;
        let found = &outcome.lines("error")[0]["github_request_ids"];
        assert_eq!(
            found.get("confirm").is_some_and(|found| found == id),
            shown,
            "{found}"
        );
    }
}
