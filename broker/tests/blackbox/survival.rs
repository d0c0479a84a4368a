//! The deadline, connections that die unseen, proxies, and what a caller can put beside the payload.

use std::time::Duration;

use sandbox::{Answer, Call, Fault, Scenario, Schedule};

#[tokio::test]
async fn the_caller_is_told_before_lambda_kills() {
    for call in [Call::Ssm, Call::Lookup, Call::Mint] {
        let slow = Scenario::default().timeout(Duration::from_secs(2)).faults(
            call,
            Schedule::Always(Fault::Delay(Duration::from_secs(30))),
        );
        let outcome = slow.run().await;
        assert!(
            matches!(outcome.answer, Answer::FunctionError(_)),
            "{:?}",
            outcome.answer
        );
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "DeadlineNear", "{message}");
    }
}

#[tokio::test]
async fn a_connection_that_died_while_frozen_is_replaced_unseen() {
    for call in [Call::Ssm, Call::Lookup, Call::Mint] {
        let mut running = Scenario::default().start().await;
        running.invoke("null").await.token();
        running.faults(call, Schedule::First(Fault::CutWhileFrozen));
        let outcome = running.invoke("null").await;
        outcome.token();
        assert_eq!(
            outcome.lines("error").len() + outcome.lines("warn").len(),
            0
        );
        running.finish().await;
    }
}

/// A start on demand leaves GitHub's handshake running, and a freeze can come in the middle of it.
#[tokio::test]
async fn a_handshake_that_a_freeze_interrupts_is_made_anew() {
    let far = Duration::from_millis(300);
    let running = Scenario::default().tls().round_trips(Duration::ZERO, far);
    let mut running = running
        .fault(Call::Lookup, Fault::CutWhileFrozen)
        .start()
        .await;
    assert!(running.frozen());
    let outcome = running.invoke("null").await;
    outcome.token();
    assert_eq!(
        outcome.lines("error").len() + outcome.lines("warn").len(),
        0
    );
    assert_eq!(outcome.requests.len(), 3);
    let lookup = outcome.requests_of(Call::Lookup).next().unwrap();
    assert_eq!(lookup.connection, 2, "the first was cut");
    running.finish().await;
}

/// A host that takes a connection and says nothing costs each attempt its time, and the caller is told in time which it is.
#[tokio::test]
async fn a_handshake_that_hangs_is_told_before_the_deadline() {
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
async fn three_calls_go_over_two_connections_that_are_kept() {
    let mut running = Scenario::default().tls().start().await;
    let mut connections = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let outcome = running.invoke("null").await;
        assert_eq!(outcome.requests.len(), 3);
        connections.extend(
            outcome
                .requests
                .iter()
                .map(|request| (request.call == Call::Ssm, request.connection)),
        );
    }
    assert_eq!(connections.len(), 2, "{connections:?}");
    running.finish().await;
}

#[tokio::test]
async fn one_process_serves_whatever_is_sent() {
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
async fn two_faults_in_a_row_are_survived() {
    for call in [Call::Ssm, Call::Lookup, Call::Mint] {
        let faulty = Scenario::default().faults(call, Schedule::Times(2, Fault::Status(503)));
        let outcome = faulty.run().await;
        outcome.token();
        assert_eq!(outcome.calls(call), 3);
    }
}

/// A wait is begun only if a mint after it would still be in time to be revoked: the caller learns how long to wait.
#[tokio::test]
async fn a_wait_that_does_not_fit_is_told_and_not_begun() {
    let limited = Fault::answer(429).header("retry-after", 9).message("");
    let outcome = Scenario::default().fault(Call::Mint, limited).run().await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "GitHubRateLimited");
    assert!(message.contains("rate limited for 9 seconds"), "{message}");
    assert_eq!(outcome.calls(Call::Mint), 1);
    assert!(
        outcome.lines("error")[0]
            .get("unseen_token_possible")
            .is_none()
    );
}

/// What a refusal means is in its status: a body that never ends does not bring the call a second time.
#[tokio::test]
async fn a_refusal_with_an_endless_body_is_still_a_refusal() {
    let outcome = Scenario::default()
        .github(|github| github.installations.clear())
        .faults(
            Call::Lookup,
            Schedule::Always(Fault::TricklingBody(Duration::from_millis(200))),
        )
        .run()
        .await;
    assert_eq!(outcome.error().0, "AppNotInstalled");
    assert_eq!(outcome.calls(Call::Lookup), 1);
}

/// The status of a refusal says enough: it is not asked for again because its body was cut.
#[tokio::test]
async fn a_refusal_whose_body_is_cut_is_still_a_refusal() {
    let running = Scenario::default().github(|github| github.installations.clear());
    let outcome = running
        .faults(Call::Lookup, Schedule::Always(Fault::ResetMidAnswer))
        .run()
        .await;
    assert_eq!(outcome.error().0, "AppNotInstalled");
    assert_eq!(outcome.calls(Call::Lookup), 1);
}

/// The reason of SSM's refusals is in their bodies: without one it is asked again.
#[tokio::test]
async fn a_refusal_of_ssms_whose_body_is_cut_is_no_answer() {
    for fault in [
        Fault::ResetMidAnswer,
        Fault::TricklingBody(Duration::from_millis(200)),
    ] {
        let outcome = Scenario::default()
            .ssm(|ssm| ssm.kms_denied = true)
            .faults(Call::Ssm, Schedule::Always(fault))
            .run()
            .await;
        assert_eq!(outcome.error().0, "ParametersUnreachable");
        assert_eq!(outcome.calls(Call::Ssm), 3);
    }
}

/// A mint that GitHub said yes to, and that gave no token, may have made one all the same.
#[tokio::test]
async fn a_mint_without_a_readable_answer_may_have_left_a_token() {
    for fault in [
        Fault::Html,
        Fault::EndlessBody,
        Fault::Json("[]".into()),
        Fault::ResetMidAnswer,
    ] {
        let outcome = Scenario::default()
            .faults(Call::Mint, Schedule::Always(fault))
            .run()
            .await;
        let line = outcome.lines("error")[0].clone();
        assert_eq!(line["unseen_token_possible"], true, "{line}");
    }
}
