//! `make soak`: 20,000 invocations of one process, with faults that the function survives, and a freeze after each. No invocation is
//! lost or returns the token of another one, and the process does not grow.
#![expect(clippy::print_stdout, reason = "it shows its progress")]

use std::collections::BTreeSet;
use std::time::Instant;

use sandbox::{InvokeResult, Scenario};

const INVOCATIONS: usize = 20_000;
/// By then, every pool and buffer has its final size.
const SETTLED: usize = 1_000;
const FAULTS_PERCENT: u64 = 5;
/// An invocation fails after three faults in a row at the same call: less than one in a thousand at this rate.
const FAILURES_LIMIT: usize = INVOCATIONS / 1_000;
const GROWTH_LIMIT_KIB: u64 = 1024;

#[tokio::test]
#[ignore = "it takes 8 minutes: `make soak`"]
async fn ssm() {
    soak(Scenario::default()).await;
}

#[tokio::test]
#[ignore = "it takes 8 minutes: `make soak KMS=1`"]
async fn kms() {
    soak(Scenario::default().kms_key()).await;
}

async fn soak(scenario: Scenario) {
    let began = Instant::now();
    let mut running = scenario.start().await;
    running.random_faults(1, FAULTS_PERCENT);
    let (mut failed, mut settled, mut tokens) = (0, 0, BTreeSet::new());
    let process = running.pid();
    for number in 1..=INVOCATIONS {
        let outcome = running.invoke("null").await;
        match &outcome.result {
            InvokeResult::Response(_) => {
                let token = outcome.token();
                let github = running.github();
                let newest = github.tokens.last().map(|newest| &newest.value);
                assert_eq!(
                    newest,
                    Some(&token),
                    "invocation {number}: another token was minted last"
                );
                assert!(
                    tokens.insert(token),
                    "invocation {number}: an earlier one had the same token"
                );
            }
            InvokeResult::FunctionError(_) if is_survivable(&outcome.error().0) => failed += 1,
            other => panic!("invocation {number}: {other:?}"),
        }
        running.clear_history();
        if number == SETTLED {
            settled = resident_kib(process);
        }
        if number % 1_000 == 0 {
            let (memory, seconds) = (resident_kib(process), began.elapsed().as_secs());
            println!(
                "{number:6} invocations, {failed} failed as expected, {memory} KiB, {seconds} s"
            );
        }
        assert!(
            failed <= FAILURES_LIMIT,
            "{failed} of {number} failed, at most {FAILURES_LIMIT} may"
        );
    }
    assert_eq!(running.pid(), process, "the process was replaced");
    let grown = resident_kib(process).saturating_sub(settled);
    running.finish().await;
    let minted = tokens.len();
    println!(
        "{minted} minted, {failed} failed as expected, with {FAULTS_PERCENT} % faults; {grown} KiB more than after {SETTLED}"
    );
    assert!(grown < GROWTH_LIMIT_KIB, "the process grew by {grown} KiB");
}

/// Three faults in a row are more than the function survives. It must then return one of these error types.
fn is_survivable(error_type: &str) -> bool {
    error_type.ends_with("Unavailable") || error_type.ends_with("Unreachable")
}

/// The memory of a running process. It is never zero.
fn resident_kib(pid: Option<u32>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
