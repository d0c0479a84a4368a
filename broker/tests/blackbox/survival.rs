//! Deadlines, broken connections, and responses that end too early.

use std::time::Duration;

use sandbox::{Call, Fault, InvokeResult, Scenario, Schedule};

#[tokio::test]
async fn timeout_is_reported_before_lambda_kills() {
    for call in [Call::GetParameters, Call::Confirm, Call::Mint] {
        let slow = Scenario::default().timeout(Duration::from_secs(2)).faults(
            call,
            Schedule::Always(Fault::Delay(Duration::from_secs(30))),
        );
        let outcome = slow.run().await;
        assert!(
            matches!(outcome.result, InvokeResult::FunctionError(_)),
            "{:?}",
            outcome.result
        );
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "DeadlineNear", "{message}");
    }
}

#[tokio::test]
async fn connection_closed_while_frozen_is_replaced_silently() {
    for call in [Call::GetParameters, Call::Confirm, Call::Mint] {
        let mut running = Scenario::default().start().await;
        running.invoke("null").await.token();
        running.faults(call, Schedule::First(Fault::ClosedWhileFrozen));
        let outcome = running.invoke("null").await;
        outcome.token();
        assert_eq!(
            outcome.lines("error").len() + outcome.lines("warn").len(),
            0
        );
        running.finish().await;
    }
}

/// On an on-demand start, GitHub's handshake is still running when init ends, so a freeze can interrupt it.
#[tokio::test]
async fn handshake_interrupted_by_a_freeze_is_repeated() {
    let far = Duration::from_millis(300);
    let running = Scenario::default().tls().round_trips(Duration::ZERO, far);
    let mut running = running
        .fault(Call::Confirm, Fault::ClosedWhileFrozen)
        .start()
        .await;
    assert!(running.is_frozen());
    let outcome = running.invoke("null").await;
    outcome.token();
    assert_eq!(
        outcome.lines("error").len() + outcome.lines("warn").len(),
        0
    );
    assert_eq!(outcome.requests.len(), 3);
    let confirm = outcome.requests_of(Call::Confirm).next().unwrap();
    assert_eq!(confirm.connection, 2, "the first was closed");
    running.finish().await;
}

/// A host that accepts connections and never responds costs each attempt its timeout; the error names the host in time.
#[tokio::test]
async fn hanging_handshake_is_reported_before_the_deadline() {
    let hanging = Duration::from_secs(5);
    let outcome = Scenario::default()
        .tls()
        .round_trips(Duration::ZERO, hanging)
        .run()
        .await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "GitHubUnreachable", "{message}");
    assert_eq!(outcome.lines("error")[0]["attempts"]["confirm"], 3);
}

#[tokio::test]
async fn three_calls_reuse_two_connections() {
    let mut running = Scenario::default().tls().start().await;
    let mut connections = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let outcome = running.invoke("null").await;
        assert_eq!(outcome.requests.len(), 3);
        connections.extend(
            outcome
                .requests
                .iter()
                .map(|request| (request.call == Call::GetParameters, request.connection)),
        );
    }
    assert_eq!(connections.len(), 2, "{connections:?}");
    running.finish().await;
}

#[tokio::test]
async fn one_process_serves_every_payload() {
    let mut running = Scenario::default().start().await;
    for payload in ["", "{}", "\"\u{0}\"", "null"] {
        running.invoke(payload).await;
    }
    let pid = running.pid();
    running.invoke("null").await.token();
    assert_eq!(running.pid(), pid, "one process served them all");
    running.finish().await;
}

#[tokio::test]
async fn two_faults_in_a_row_are_retried() {
    for call in [Call::GetParameters, Call::Confirm, Call::Mint] {
        let faulty = Scenario::default().faults(call, Schedule::Times(2, Fault::Status(503)));
        let outcome = faulty.run().await;
        outcome.token();
        assert_eq!(outcome.calls(call), 3);
    }
}

/// The broker waits only if a token minted afterwards could still be revoked in time. Otherwise it reports the wait.
#[tokio::test]
async fn rate_limit_wait_that_does_not_fit_is_reported_at_once() {
    let limited = Fault::response(429).header("retry-after", 9).message("");
    let outcome = Scenario::default().fault(Call::Mint, limited).run().await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "GitHubRateLimited");
    assert!(message.contains("9 seconds"), "{message}");
    assert_eq!(outcome.calls(Call::Mint), 1);
    assert!(
        outcome.lines("error")[0]
            .get("orphaned_token_possible")
            .is_none()
    );
}

/// The status of a GitHub error is enough: a body that never ends does not cause a retry.
#[tokio::test]
async fn error_status_with_a_slow_body_is_final() {
    let outcome = Scenario::default()
        .github(|github| github.installations.clear())
        .faults(
            Call::Confirm,
            Schedule::Always(Fault::SlowBody(Duration::from_millis(200))),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "AppNotInstalled");
    assert_eq!(outcome.calls(Call::Confirm), 1);
}

/// The status of a GitHub error is enough: a truncated body does not cause a retry.
#[tokio::test]
async fn error_status_with_a_truncated_body_is_final() {
    let running = Scenario::default().github(|github| github.installations.clear());
    let outcome = running
        .faults(Call::Confirm, Schedule::Always(Fault::ResetMidResponse))
        .run()
        .await;
    assert_eq!(outcome.error().0, "AppNotInstalled");
    assert_eq!(outcome.calls(Call::Confirm), 1);
}

/// The reason of an SSM error is in its body: without it, the broker retries.
#[tokio::test]
async fn ssm_error_with_a_truncated_body_is_retried() {
    for fault in [
        Fault::ResetMidResponse,
        Fault::SlowBody(Duration::from_millis(200)),
    ] {
        let outcome = Scenario::default()
            .ssm(|ssm| ssm.kms_denied = true)
            .faults(Call::GetParameters, Schedule::Always(fault))
            .run()
            .await;
        assert_eq!(outcome.error().0, "ParametersUnreachable");
        assert_eq!(outcome.calls(Call::GetParameters), 3);
    }
}

/// A mint with a success status and no readable token may have created a token anyway.
#[tokio::test]
async fn mint_without_a_readable_response_reports_a_possible_orphan() {
    for fault in [
        Fault::Html,
        Fault::EndlessBody,
        Fault::Json("[]".into()),
        Fault::ResetMidResponse,
    ] {
        let outcome = Scenario::default()
            .faults(Call::Mint, Schedule::Always(fault))
            .run()
            .await;
        let line = outcome.lines("error")[0].clone();
        assert_eq!(line["orphaned_token_possible"], true, "{line}");
    }
}
