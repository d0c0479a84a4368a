//! The Runtime API: results that it rejects, request IDs that it invents, a log that nobody reads, a clock that is off.

use std::{fs, process::Command, time::Duration};

use sandbox::{Call, Fault, InvokeResult, Scenario, Schedule};

#[tokio::test]
async fn token_that_lambda_rejects_is_revoked_and_logged() {
    for status in [413, 400, 403, 500] {
        let mut running = Scenario::default().start().await;
        running.reject_results(status, 1);
        let outcome = running.invoke("null").await;
        assert_eq!(outcome.error().0, "Internal", "{status}");
        assert_eq!(outcome.calls(Call::Revoke), 1);
        assert_eq!(
            outcome.lines("info").len(),
            0,
            "nothing was minted for the caller"
        );
        let [line] = outcome.lines("error")[..] else {
            panic!("{}", outcome.stdout)
        };
        assert_eq!(
            line["message"],
            "could not deliver GitHub installation token"
        );
        assert!(line["token_hash"].is_string(), "{line}");
        assert_eq!(line["token_revoked"], true);
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.contains(&status.to_string()), "{reason}");
        let process = running.pid();
        running.invoke("null").await.token();
        assert_eq!(
            running.pid(),
            process,
            "the same process served the next one"
        );
        running.finish().await;
    }
}

#[tokio::test]
async fn rejected_token_counts_as_failed() {
    let scenario =
        Scenario::default().variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Broker");
    let mut running = scenario.start().await;
    running.reject_results(413, 1);
    let outcome = running.invoke("null").await;
    let metrics = outcome
        .log
        .iter()
        .find(|line| line.get("_aws").is_some())
        .unwrap();
    assert_eq!(
        (&metrics["Minted"], &metrics["Failed"]),
        (&0.into(), &1.into())
    );
    running.finish().await;
}

#[tokio::test]
async fn token_is_revoked_even_if_lambda_rejects_its_error_too() {
    let mut running = Scenario::default()
        .timeout(Duration::from_secs(3))
        .start()
        .await;
    running.reject_results(403, 2);
    let outcome = running.invoke("null").await;
    assert!(
        matches!(outcome.result, InvokeResult::TimedOut(_)),
        "{:?}",
        outcome.result
    );
    assert_eq!(outcome.lines("error")[0]["token_revoked"], true);
}

#[tokio::test]
async fn rejected_token_is_logged_before_lambda_kills() {
    let mut running = Scenario::default()
        .timeout(Duration::from_millis(1500))
        .faults(
            Call::Revoke,
            Schedule::Always(Fault::Delay(Duration::from_secs(30))),
        )
        .start()
        .await;
    running.reject_results(413, 1);
    let outcome = running.invoke("null").await;
    let [line] = outcome.lines("error")[..] else {
        panic!("{:?} {}", outcome.result, outcome.stdout)
    };
    assert_eq!(line["token_revoked"], false);
    assert!(line["token_hash"].is_string());
}

#[tokio::test]
async fn rejected_error_does_not_end_the_process() {
    let scenario = Scenario::default().timeout(Duration::from_secs(2));
    let mut running = scenario.start().await;
    running.reject_results(413, 1);
    let outcome = running.invoke("{}").await;
    assert!(
        matches!(outcome.result, InvokeResult::TimedOut(_)),
        "{:?}",
        outcome.result
    );
    let [line] = outcome.lines("error")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert_eq!(line["message"], "could not report an error to Lambda");
}

#[tokio::test]
async fn unusual_request_id_fails_only_its_invocation() {
    let mut running = Scenario::default().start().await;
    let process = running.pid();
    for id in ["a b", "é", "a/../b", "a?b#c", "%41", &"x".repeat(65)] {
        running.next_request_id(id);
        let outcome = running.invoke("null").await;
        assert!(
            matches!(outcome.result, InvokeResult::FunctionError(_)),
            "{id}: {:?}",
            outcome.result
        );
        assert_eq!(outcome.error().0, "Internal", "{id}");
        assert_eq!(outcome.requests.len(), 0, "{id}");
        assert!(!outcome.stdout.contains(id), "{}", outcome.stdout);
        running.invoke("null").await.token();
    }
    assert_eq!(running.pid(), process);
    running.finish().await;
}

/// Starts the function with a full pipe as stdout, which nobody reads.
fn with_full_stdout(pipe: &str) -> Scenario {
    let script = "exec 1<>\"$0\"; head -c 65536 /dev/zero; exec \"$1\"";
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    Scenario::default()
        .timeout(Duration::from_secs(3))
        .launcher(&["sh", "-c", script, pipe])
}

#[tokio::test]
async fn log_that_nobody_reads_does_not_delay_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = |name: &str| with_full_stdout(folder.path().join(name).to_str().unwrap());
    scenario("minted").run().await.token();
    let corrected = scenario("corrected").github(|github| github.clock.shift(600));
    corrected.run().await.token();
    let failed = scenario("failed").github(|github| github.installations.clear());
    assert_eq!(failed.run().await.error().0, "AppNotInstalled");
    let rejected = scenario("rejected").payload("{}");
    assert_eq!(rejected.run().await.error().0, "InputRefused");
    let invalid = scenario("invalid").variable("GITHUB_TOKEN_BROKER_PERMISSIONS", "{}");
    assert_eq!(invalid.run().await.error().0, "ConfigurationInvalid");
}

/// Replaces the wall clock of one process.
const CLOCK: &str = r"
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME) now->tv_sec = OFFSET;
    return result;
}
";

#[tokio::test]
async fn impossible_clock_is_reported_as_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("clock.c");
    fs::write(&source, CLOCK).unwrap();
    // The years 10000 and 33658, and one that no calendar has.
    for seconds in ["253402300800", "1000000000000", "9000000000000000000"] {
        let library = folder.path().join(format!("clock{seconds}.so"));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-w"])
            .arg(format!("-DOFFSET=({seconds}LL)"))
            .arg("-o")
            .arg(&library)
            .arg(&source)
            .status();
        assert!(compiled.unwrap().success());
        let preload = format!("LD_PRELOAD={}", library.display());
        let outcome = Scenario::default().launcher(&["env", &preload]).run().await;
        assert!(
            matches!(
                outcome.result,
                InvokeResult::InitError(_) | InvokeResult::FunctionError(_)
            ),
            "{seconds}: {:?}",
            outcome.result
        );
        assert!(!outcome.lines("error").is_empty(), "{}", outcome.stdout);
        assert_eq!(outcome.requests.len(), 0);
    }
}
