//! `make soak`: 20,000 invocations of one process, with faults that the function survives, and a freeze after each.
//!
//! Output: the figures. It fails if an invocation is lost or returns the token of another one, or if the process grows.
#![expect(
    clippy::print_stdout,
    reason = "a command-line tool that prints its progress"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Parser;
use sandbox::{InvokeResult, Scenario};

const INVOCATIONS: usize = 20_000;
/// By then, every pool and buffer has its final size.
const SETTLED: usize = 1_000;
const FAULTS_PERCENT: u64 = 5;
/// An invocation fails after three faults in a row at the same call: less than one in a thousand at this rate.
const FAILURES_LIMIT: usize = INVOCATIONS / 1_000;
const GROWTH_LIMIT_KIB: u64 = 1024;
/// Twice what a busy machine needs: a soak that hangs must end.
const TIME_LIMIT: Duration = Duration::from_mins(20);

#[derive(Parser)]
struct Options {
    /// Signs with a KMS key
    #[arg(long)]
    kms: bool,
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let options = Options::parse();
    let began = Instant::now();
    let mut scenario = Scenario::default();
    if options.kms {
        scenario = scenario.kms_key();
    }
    let mut running = scenario.start().await;
    running.random_faults(1, FAULTS_PERCENT);
    let (mut failed, mut settled, mut tokens) = (0, 0, BTreeSet::new());
    let process = running.pid();
    for number in 1..=INVOCATIONS {
        let outcome = running.invoke("null").await;
        match &outcome.result {
            InvokeResult::Response(_) => {
                let token = outcome.token();
                let newest = running
                    .github()
                    .tokens
                    .last()
                    .map(|token| token.value.clone());
                if newest.as_ref() != Some(&token) || !tokens.insert(token) {
                    return Err(format!(
                        "invocation {number} did not return the token that was minted last"
                    ));
                }
            }
            InvokeResult::FunctionError(_) if is_survivable(&outcome.error().0) => failed += 1,
            other => return Err(format!("invocation {number}: {other:?}")),
        }
        running.clear_history();
        let memory = resident_kib(running.pid());
        if number == SETTLED {
            settled = memory;
        }
        if number % 1_000 == 0 {
            let seconds = began.elapsed().as_secs();
            println!(
                "{number:6} invocations, {failed} failed as expected, {memory} KiB, {seconds} s"
            );
        }
        if failed > FAILURES_LIMIT || began.elapsed() > TIME_LIMIT {
            return Err(format!(
                "{failed} of {number} failed after {:?}; limits: {FAILURES_LIMIT}, {TIME_LIMIT:?}",
                began.elapsed()
            ));
        }
    }
    let grown = resident_kib(running.pid()).saturating_sub(settled);
    let same = running.pid() == process;
    running.finish().await;
    let minted = tokens.len();
    println!(
        "{minted} minted, {failed} failed as expected, with {FAULTS_PERCENT} % faults; {grown} KiB more than after {SETTLED}"
    );
    if !same || grown >= GROWTH_LIMIT_KIB {
        return Err(format!(
            "the process was replaced ({}) or grew past {GROWTH_LIMIT_KIB} KiB",
            !same
        ));
    }
    Ok(())
}

/// Three faults in a row are more than the function survives. It must then return one of these error types.
fn is_survivable(error_type: &str) -> bool {
    error_type.ends_with("Unavailable") || error_type.ends_with("Unreachable")
}

fn resident_kib(pid: Option<u32>) -> u64 {
    let status = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok());
    let line = status
        .as_deref()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("VmRSS:")));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or_default()
}
