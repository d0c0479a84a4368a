//! The sandbox's guarantees, tested with a scripted function.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scripted;
use sandbox::{Call, Fault, InvokeResult, PARAMETERS, PrivateKey, Scenario, Schedule};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

fn scripted() -> Scenario {
    Scenario::default()
        .binary(scripted::binary())
        .payload(r#""mint""#)
}

#[tokio::test]
async fn healthy_scenario_mints_in_three_requests() {
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
            (Call::GetParameters, Some(200)),
            (Call::Confirm, Some(200)),
            (Call::Mint, Some(201))
        ]
    );
    assert_eq!(outcome.log[0]["message"], "done");
}

#[tokio::test]
async fn kms_key_signs_without_a_call_to_ssm() {
    let outcome = scripted().kms_key().run().await;
    outcome.token();
    let calls: Vec<_> = outcome
        .requests
        .iter()
        .map(|request| request.call)
        .collect();
    assert_eq!(calls, [Call::Sign, Call::Confirm, Call::Mint]);
}

#[tokio::test]
async fn kms_errors_and_faults_reach_the_function() {
    let kms_key_id = "GITHUB_TOKEN_BROKER_KMS_KEY_ID";
    let disabled = scripted()
        .kms_key()
        .kms(|kms| kms.disable(sandbox::KMS_KEY_ID));
    let unknown = scripted().kms_key().variable(kms_key_id, "alias/unknown");
    let denied = scripted().kms_key().deny("kms:Sign");
    let failing = scripted().kms_key().fault(Call::Sign, Fault::Status(500));
    let throttled = scripted().kms_key().fault(Call::Sign, Fault::Status(400));
    for (scenario, expected) in [
        (disabled, "DisabledException"),
        (unknown, "NotFoundException"),
        (denied, "AccessDeniedException"),
        (failing, "KMSInternalException"),
        (throttled, "ThrottlingException"),
    ] {
        let outcome = scenario.run().await;
        assert_eq!(outcome.error(), ("Kms".to_owned(), expected.to_owned()));
        assert_eq!(outcome.calls(Call::Sign), 1);
    }
}

#[tokio::test]
async fn unknown_key_is_rejected() {
    let unknown = PrivateKey::fresh(2048);
    let outcome = scripted()
        .github(move |github| github.app_mut().keys = vec![unknown.public()])
        .run()
        .await;
    assert_eq!(outcome.error().1, "status 401");
    assert_eq!(outcome.calls(Call::Mint), 0);
}

#[tokio::test]
async fn process_is_frozen_between_invocations_and_reused() {
    let mut running = scripted().start().await;
    let pid = running.pid();
    assert!(running.is_frozen());
    for payload in [r#""mint""#, r#""hello""#] {
        let outcome = running.invoke(payload).await;
        assert!(matches!(outcome.result, InvokeResult::Response(_)));
        assert!(running.is_frozen() && running.pid() == pid);
    }
    running.rotate_key();
    running.invoke(r#""mint""#).await.token();
    running.finish().await;
}

#[tokio::test]
async fn environment_contains_only_lambdas_and_configured_variables() {
    let outcome = scripted()
        .payload(r#""environment""#)
        .without_variable("TZ")
        .variable("MINE", "1")
        .run()
        .await;
    let variables = outcome.response();
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "128");
    assert_eq!(variables["MINE"], "1");
    for absent in ["TZ", "CARGO", "HOME"] {
        assert!(variables.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn failures_have_lambdas_wording() {
    let init = scripted().variable("INIT", "error").run().await;
    assert_eq!(
        init.error(),
        ("Function.Broken".into(), "it cannot start".into())
    );
    assert!(matches!(init.result, InvokeResult::InitError(_)));
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
async fn invocation_after_a_crash_gets_a_new_environment() {
    let mut running = scripted().start().await;
    let before = running.pid();
    let outcome = running.invoke(r#""crash""#).await;
    assert!(matches!(outcome.result, InvokeResult::Crashed(_)));
    running.invoke(r#""mint""#).await.token();
    assert_ne!(running.pid(), before);
    running.finish().await;
}

#[tokio::test]
#[should_panic(expected = "a private key")]
async fn secret_on_stdout_fails_the_scenario() {
    scripted().payload(r#""leak""#).run().await;
}

#[tokio::test]
#[should_panic(expected = "not JSON")]
async fn line_that_is_not_json_fails_the_scenario() {
    scripted().payload(r#""text""#).run().await;
}

#[tokio::test]
#[should_panic(expected = "the signature is not the one that AWS computes")]
async fn wrong_aws_signature_fails_the_scenario() {
    let secret = "an access key that the role does not have";
    let mut running = scripted().start().await;
    let mut request = http::Request::post(format!("{}/", running.aws_url()))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "AmazonSSM.GetParameters")
        .body(r#"{"Names":["/a"],"WithDecryption":true}"#.into())
        .expect("a request");
    let signer = sandbox::Signer::new("ASIA", secret, None, "us-east-1");
    sandbox::sign(&mut request, &signer, "ssm");
    sandbox::send(request).await.expect("AWS responds");
    running.invoke(r#""mint""#).await;
}

#[tokio::test]
async fn faults_follow_their_schedule() {
    let status = |fault: Fault| async { scripted().fault(Call::Mint, fault).run().await.error().1 };
    assert_eq!(status(Fault::Status(503)).await, "status 503");
    let throttled = Fault::response(429)
        .header("retry-after", 1)
        .message("slow down");
    assert_eq!(status(throttled.into()).await, "status 429");
    assert_eq!(status(Fault::ResetBeforeResponse).await, "status 0");
    assert_eq!(status(Fault::ResetMidResponse).await, "status 0");
    assert_eq!(status(Fault::ConnectionRefused).await, "status 0");
    for (call, confirms) in [(Call::Mint, 1), (Call::Confirm, 0)] {
        let refused = scripted()
            .faults(call, Schedule::Always(Fault::ConnectionRefused))
            .run()
            .await;
        assert_eq!(refused.error().1, "status 0");
        assert_eq!(refused.calls(Call::Confirm), confirms);
        assert_eq!(refused.calls(Call::Mint), 0);
    }
    let edited = scripted()
        .tamper(Call::Mint, |body| body["token"] = "ghs_edited".into())
        .run()
        .await;
    assert_eq!(edited.token(), "ghs_edited");
}

#[tokio::test]
async fn one_process_takes_invocations_at_once() {
    // Long enough for all four to begin on a busy machine.
    let delay = Duration::from_secs(2);
    let mut running = scripted()
        .variable("AWS_LAMBDA_MAX_CONCURRENCY", "4")
        .faults(Call::Confirm, Schedule::Always(Fault::Delay(delay)))
        .start()
        .await;
    let pid = running.pid();
    for _ in 0..2 {
        let outcomes = running.invoke_at_once(4).await;
        let tokens: BTreeSet<_> = outcomes.iter().map(sandbox::Outcome::token).collect();
        assert_eq!(tokens.len(), 4);
        for outcome in &outcomes {
            assert_eq!(outcome.log.len(), 1, "{}", outcome.stdout);
            assert_eq!(outcome.log[0]["requestId"], outcome.request_id);
        }
        let confirms: Vec<_> = outcomes[0].requests_of(Call::Confirm).collect();
        let last_start = confirms.iter().map(|confirm| confirm.started).max();
        let first_end = confirms.iter().filter_map(|confirm| confirm.ended).min();
        assert_eq!(confirms.len(), 4);
        assert!(last_start < first_end, "all four run at once");
        assert!(running.is_frozen() && running.pid() == pid);
    }
    running.invoke(r#""mint""#).await.token();
    running.finish().await;
}

#[tokio::test]
async fn missing_parameter_is_not_returned() {
    let outcome = scripted().without_parameter(PARAMETERS[1]).run().await;
    assert!(matches!(outcome.result, InvokeResult::Crashed(_)));
}

#[tokio::test]
async fn frozen_process_ends_when_its_scenario_is_dropped() {
    let running = scripted().start().await;
    let pid = running.pid().expect("it was started");
    drop(running);
    scripted::assert_ends(pid).await;
}

#[tokio::test]
async fn process_ends_when_its_scenario_is_dropped_during_start() {
    let meeting = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = meeting.local_addr().expect("it is bound").to_string();
    let starting = scripted()
        .variable("INIT", "hang")
        .variable("MEETING", address)
        .start();
    let reported = async {
        let (mut function, _) = meeting.accept().await.expect("it connects");
        let mut id = String::new();
        // The function never closes the connection: read what one write holds.
        let mut buffer = [0; 16];
        let count = function.read(&mut buffer).await.expect("it writes");
        id.push_str(&String::from_utf8_lossy(&buffer[..count]));
        id.parse::<u32>().expect("a process ID")
    };
    let pid = tokio::select! {
        pid = reported => pid,
        _ = starting => 0,
    };
    assert_ne!(pid, 0, "the function was dropped while it started");
    scripted::assert_ends(pid).await;
}

#[tokio::test]
async fn running_invocation_ends_when_its_scenario_is_dropped() {
    let meeting = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = meeting.local_addr().expect("it is bound").to_string();
    // The test fails long before Lambda would kill the function.
    let mut running = scripted()
        .timeout(10 * scripted::GIVE_UP)
        .variable("MEETING", address)
        .start()
        .await;
    let pid = running.pid().expect("it was started");
    tokio::select! {
        _ = meeting.accept() => {}
        _ = running.invoke(r#""hang""#) => {}
    }
    drop(running);
    scripted::assert_ends(pid).await;
}
