//! The log: one line per invocation that connects a token with its caller and its use.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use sandbox::{Call, Fault, Scenario};
use serde_json::{Value, json};

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
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
    let counted = |outcome: &sandbox::Outcome| {
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
