//! The sandbox held against itself: a scripted function on it, by way of the API that the broker's tests use.
#![expect(clippy::expect_used, reason = "a test that cannot go on has to stop")]

use std::path::PathBuf;
use std::time::Duration;

use sandbox::{Answer, Call, Fault, PARAMETERS, PrivateKey, Scenario, Schedule};

/// Cargo builds examples beside the tests.
fn scripted() -> Scenario {
    let test = std::env::current_exe().expect("a test is a program");
    let profile: PathBuf = test
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>")
        .to_owned();
    Scenario::default()
        .binary(profile.join("examples/scripted_function"))
        .payload(r#""mint""#)
}

#[tokio::test]
async fn a_healthy_day_gives_a_token_in_three_requests() {
    let outcome = scripted().permissions(&[("contents", "write")]).run().await;
    assert!(outcome.token().starts_with("ghs_"));
    assert_eq!(
        outcome.response()["permissions"],
        serde_json::json!({ "contents": "write" })
    );
    let calls: Vec<_> = outcome
        .requests
        .iter()
        .map(|request| (request.call, request.status))
        .collect();
    assert_eq!(
        calls,
        [
            (Call::Ssm, Some(200)),
            (Call::Lookup, Some(200)),
            (Call::Mint, Some(201))
        ]
    );
    assert_eq!(outcome.log[0]["message"], "done");
}

#[tokio::test]
async fn another_key_is_refused() {
    let stranger = PrivateKey::fresh(2048);
    let outcome = scripted()
        .github(move |github| github.app_mut().keys = vec![stranger.public()])
        .run()
        .await;
    assert_eq!(outcome.error().1, "status 401");
    assert_eq!(outcome.calls(Call::Mint), 0);
}

#[tokio::test]
async fn the_process_is_frozen_between_invocations_and_keeps_its_id() {
    let mut running = scripted().start().await;
    let pid = running.pid();
    assert!(running.frozen());
    for payload in [r#""mint""#, r#""hello""#] {
        assert!(matches!(
            running.invoke(payload).await.answer,
            Answer::Response(_)
        ));
        assert!(running.frozen() && running.pid() == pid);
    }
    running.rotate_key();
    running.invoke(r#""mint""#).await.token();
    running.finish().await;
}

#[tokio::test]
async fn the_environment_is_lambdas_and_nothing_else() {
    let outcome = scripted()
        .payload(r#""environment""#)
        .without_variable("TZ")
        .variable("MINE", "1")
        .run()
        .await;
    let variables = outcome.response();
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "128");
    assert_eq!(variables["MINE"], "1");
    assert!(
        variables.get("TZ").is_none()
            && variables.get("CARGO").is_none()
            && variables.get("HOME").is_none()
    );
}

#[tokio::test]
async fn failures_are_worded_as_lambda_words_them() {
    let init = scripted().variable("INIT", "error").run().await;
    assert_eq!(
        init.error(),
        ("Function.Broken".into(), "it cannot start".into())
    );
    assert!(matches!(init.answer, Answer::InitError(_)));
    let exit = scripted().variable("INIT", "exit").run().await;
    assert!(
        exit.error()
            .1
            .ends_with("Error: Runtime exited with error: exit status 3")
    );
    let crash = scripted().payload(r#""crash""#).run().await;
    let message = format!(
        "RequestId: {} Error: Runtime exited with error: exit status 1",
        crash.request_id
    );
    assert_eq!(crash.error(), ("Runtime.ExitError".into(), message));
    let hang = scripted()
        .payload(r#""hang""#)
        .timeout(Duration::from_secs(1))
        .run()
        .await;
    let message = format!(
        "RequestId: {} Error: Task timed out after 1.00 seconds",
        hang.request_id
    );
    assert_eq!(hang.error(), ("Sandbox.Timedout".into(), message));
}

#[tokio::test]
async fn a_crash_is_followed_by_a_fresh_environment() {
    let mut running = scripted().start().await;
    let before = running.pid();
    assert!(matches!(
        running.invoke(r#""crash""#).await.answer,
        Answer::Crashed(_)
    ));
    running.invoke(r#""mint""#).await.token();
    assert_ne!(running.pid(), before);
}

#[tokio::test]
#[should_panic(expected = "a private key")]
async fn a_secret_on_stdout_fails_the_scenario() {
    scripted().payload(r#""leak""#).run().await;
}

#[tokio::test]
#[should_panic(expected = "not JSON")]
async fn a_line_that_is_not_json_fails_the_scenario() {
    scripted().payload(r#""chatter""#).run().await;
}

#[tokio::test]
async fn faults_befall_the_calls_that_they_are_scheduled_for() {
    let status = |fault: Fault| async { scripted().fault(Call::Mint, fault).run().await.error().1 };
    assert_eq!(status(Fault::Status(503)).await, "status 503");
    assert_eq!(
        status(
            Fault::answer(429)
                .header("retry-after", 1)
                .message("slow down")
                .into()
        )
        .await,
        "status 429"
    );
    assert_eq!(status(Fault::ResetBeforeAnswer).await, "status 0");
    assert_eq!(status(Fault::ResetMidAnswer).await, "status 0");
    assert_eq!(status(Fault::RefusedConnection).await, "status 0");
    let refused = scripted()
        .faults(Call::Mint, Schedule::Always(Fault::RefusedConnection))
        .run()
        .await;
    assert_eq!(
        (
            refused.error().1.as_str(),
            refused.calls(Call::Lookup),
            refused.calls(Call::Mint)
        ),
        ("status 0", 1, 0)
    );
    let refused = scripted()
        .faults(Call::Lookup, Schedule::Always(Fault::RefusedConnection))
        .run()
        .await;
    assert_eq!(
        (refused.error().1.as_str(), refused.calls(Call::Lookup)),
        ("status 0", 0)
    );
    let edited = scripted()
        .tamper(Call::Mint, |body| body["token"] = "ghs_edited".into())
        .run()
        .await;
    assert_eq!(edited.token(), "ghs_edited");
}

#[tokio::test]
async fn a_missing_parameter_is_missing() {
    let outcome = scripted().without_parameter(PARAMETERS[1]).run().await;
    assert!(matches!(outcome.answer, Answer::Crashed(_)));
}
