//! `make soak`: very many invocations of one process, with faults that can be survived, frozen after each. Comes out: the
//! figures, and a failure when an invocation was lost, had another's data, or the process grew.
#![expect(clippy::print_stdout, reason = "it tells a person how far it is")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sandbox::{InvokeResult, Scenario};

const INVOCATIONS: usize = 20_000;
/// By then every pool and buffer has its size.
const SETTLED: usize = 1_000;
const FAULTS_PERCENT: u64 = 5;
/// Three faults in a row, at one of three calls: less than one in a thousand at this rate.
const FAILURES_LIMIT: usize = INVOCATIONS / 1_000;
const GROWTH_LIMIT_KIB: u64 = 1024;
const TIME_LIMIT: Duration = Duration::from_mins(8);

#[tokio::main]
async fn main() -> Result<(), String> {
    let began = Instant::now();
    let mut running = Scenario::default().start().await;
    running.random_faults(1, FAULTS_PERCENT);
    let (mut minted, mut failed, mut settled, mut tokens) = (0, 0, 0, BTreeSet::new());
    let process = running.pid();
    for number in 1..=INVOCATIONS {
        let outcome = running.invoke("null").await;
        let issued = running
            .github()
            .tokens
            .last()
            .map(|token| token.value.clone());
        match &outcome.result {
            InvokeResult::Response(_) => {
                minted += 1;
                let token = outcome.token();
                if Some(&token) != issued.as_ref() {
                    return Err(format!(
                        "invocation {number} returned a token that is not the last that was minted"
                    ));
                }
                if !tokens.insert(token) {
                    return Err(format!(
                        "invocation {number} returned an earlier one's token"
                    ));
                }
            }
            // Three faults in a row are more than is survived; they are to be told.
            InvokeResult::FunctionError(_)
                if outcome.error().0.ends_with("Unavailable")
                    || outcome.error().0.ends_with("Unreachable") =>
            {
                failed += 1;
            }
            other => return Err(format!("invocation {number}: {other:?}")),
        }
        running.clear_history();
        if failed > FAILURES_LIMIT {
            return Err(format!(
                "{failed} of {number} invocations failed; the limit is {FAILURES_LIMIT}"
            ));
        }
        if began.elapsed() > TIME_LIMIT {
            return Err(format!(
                "{number} invocations took longer than {TIME_LIMIT:?}"
            ));
        }
        let memory = resident_kib(running.pid());
        if number == SETTLED {
            settled = memory;
        }
        if number % 1_000 == 0 {
            println!(
                "{number:6} invocations, {minted} minted, {failed} failed as they should, {memory} KiB, {:.0} s",
                began.elapsed().as_secs_f64()
            );
        }
    }
    let grown = resident_kib(running.pid()).saturating_sub(settled);
    let same = running.pid() == process;
    running.finish().await;
    println!(
        "{INVOCATIONS} invocations with {FAULTS_PERCENT} % faults in {:.0} s: {minted} minted, {failed} failed as they should; \
         {grown} KiB more than after {SETTLED}",
        began.elapsed().as_secs_f64()
    );
    if !same {
        return Err("the process did not survive".into());
    }
    if grown >= GROWTH_LIMIT_KIB {
        return Err(format!(
            "the process grew by {grown} KiB; the limit is {GROWTH_LIMIT_KIB}"
        ));
    }
    Ok(())
}

fn resident_kib(pid: Option<u32>) -> u64 {
    let status = pid
        .and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default()
}
