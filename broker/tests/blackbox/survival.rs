//! Deadlines, broken connections, and responses that end too early.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
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

#[tokio::test]
async fn lost_mint_is_counted_as_often_as_it_was_sent() {
    let mut running = Scenario::default()
        .faults(Call::Mint, Schedule::Always(Fault::ResetBeforeResponse))
        .start()
        .await;
    for _ in 0..2 {
        let outcome = running.invoke("null").await;
        assert_eq!(outcome.error().0, "GitHubUnreachable");
        assert_eq!(outcome.calls(Call::Mint), 3);
        let line = outcome.lines("error")[0];
        assert_eq!(line["attempts"]["mint"], 3);
        assert_eq!(line["orphaned_token_possible"], true);
    }
    running.finish().await;
}

/// SSM's connection is from before the invocation, so the first request may be lost without counting.
#[tokio::test]
async fn lost_response_on_a_new_connection_counts() {
    for (call, name) in [
        (Call::GetParameters, "get_parameters"),
        (Call::Confirm, "confirm"),
    ] {
        for fault in [
            Fault::ResetMidResponse,
            Fault::TruncatedBody,
            Fault::Status(503),
        ] {
            let outcome = Scenario::default()
                .faults(call, Schedule::Times(2, fault))
                .run()
                .await;
            outcome.token();
            assert_eq!(outcome.calls(call), 3);
            assert_eq!(outcome.lines("info")[0]["attempts"][name], 3);
        }
    }
}

/// A mint cannot be repeated safely, so its only request may use the time that is left.
#[tokio::test]
async fn slow_mint_is_awaited_and_never_sent_again() {
    for (timeout, delay) in [(20_000, 3200), (20_000, 6000), (4000, 3200)] {
        let outcome = Scenario::default()
            .timeout(Duration::from_millis(timeout))
            .faults(
                Call::Mint,
                Schedule::Always(Fault::Delay(Duration::from_millis(delay))),
            )
            .run()
            .await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Mint), 1);
    }
    let outcome = Scenario::default()
        .timeout(Duration::from_secs(5))
        .faults(
            Call::Mint,
            Schedule::Always(Fault::Delay(Duration::from_secs(30))),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "DeadlineNear");
    assert_eq!(outcome.calls(Call::Mint), 1);
    assert_eq!(outcome.lines("error")[0]["orphaned_token_possible"], true);
}

#[tokio::test]
async fn short_timeout_suffices_for_slow_calls() {
    for (timeout, delay) in [(3000, 1000), (5000, 1800), (8000, 2600)] {
        let slow = || Schedule::Always(Fault::Delay(Duration::from_millis(delay)));
        let outcome = Scenario::default()
            .timeout(Duration::from_millis(timeout))
            .faults(Call::Confirm, slow())
            .faults(Call::Mint, slow())
            .run()
            .await;
        outcome.token();
    }
}

/// A token that could no longer be revoked is not requested.
#[tokio::test]
async fn mint_is_not_sent_if_too_little_time_is_left() {
    let outcome = Scenario::default()
        .timeout(Duration::from_secs(3))
        .faults(
            Call::Confirm,
            Schedule::Always(Fault::Delay(Duration::from_millis(2500))),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "DeadlineNear");
    assert_eq!(outcome.calls(Call::Mint), 0);
    assert!(
        outcome.lines("error")[0]
            .get("orphaned_token_possible")
            .is_none()
    );
}

#[tokio::test]
async fn stated_wait_is_kept_or_reported_at_once() {
    let date = |seconds: u64| {
        let at = SystemTime::now() + Duration::from_secs(seconds);
        DateTime::from(at).fmt(Format::HttpDate).unwrap()
    };
    let limited = |wait: &str| Fault::response(429).header("retry-after", wait).message("");
    let scenario = Scenario::default().timeout(Duration::from_mins(1));
    let long = scenario.fault(Call::Confirm, limited("15"));
    let outcome = long.run().await;
    assert_eq!(outcome.error().0, "GitHubRateLimited");
    assert!(
        outcome.error().1.contains("15 seconds"),
        "{}",
        outcome.error().1
    );
    assert_eq!(outcome.calls(Call::Confirm), 1);
    for wait in [date(30), date(3000), "18446744073709551615".to_owned()] {
        for call in [Call::Confirm, Call::Mint] {
            let scenario = Scenario::default().timeout(Duration::from_mins(1));
            let outcome = scenario.fault(call, limited(&wait)).run().await;
            assert_eq!(outcome.error().0, "GitHubRateLimited", "{wait}");
            assert_eq!(outcome.calls(call), 1, "{wait}");
        }
    }
    for wait in [
        date(2),
        "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
        "1".to_owned(),
    ] {
        let outcome = Scenario::default()
            .fault(Call::Mint, limited(&wait))
            .run()
            .await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Mint), 2, "{wait}");
    }
}

/// Reading a server that sends without end never waits, so no timeout fires. The matrix has the same over plain HTTP.
#[tokio::test]
async fn endless_response_over_tls_ends_before_the_deadline() {
    for (start, repeated) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
            "x",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "x: y\r\n",
        ),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nx: ", "y"),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        ("HTTP/1.1 ", "2"),
        ("", "\r\n"),
    ] {
        for call in [Call::GetParameters, Call::Confirm, Call::Mint] {
            let endless = Schedule::Always(Fault::EndlessBytes(start, repeated));
            let outcome = Scenario::default().tls().faults(call, endless).run().await;
            let kind = outcome.error().0;
            assert!(
                kind.ends_with("Unreachable"),
                "{start:?} {repeated:?}: {kind}"
            );
        }
    }
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
