//! `make bench`: measures the release build in the sandbox, with TLS to both hosts, and compares it with the targets.
//!
//! Input: another program to measure next to ours (`--peer`). Output: a Markdown table, `bench.json`, and with `--page` the same table with
//! a chart in the performance page. A miss is reported; it does not fail the run. It runs in the project's folder.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a command-line tool that prints what it finds, and stops if it cannot measure"
)]

mod client;
mod cpu;
mod measure;
mod program;
mod report;
mod share;
mod statistics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use sandbox::binary_under_test;

use measure::{Process, Subject};
use program::{CONDITIONS, Program};
use report::Report;
use share::Share;

#[derive(Parser)]
struct Options {
    /// Measures this program next to ours, alternately
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Checks that the bench works, with a few runs
    #[arg(long)]
    short: bool,
    /// Measures nothing: runs the function for a profiler
    #[arg(long)]
    load: Option<Load>,
    /// Writes the table and the chart into the performance page
    #[arg(long)]
    page: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Load {
    /// 20,000 invocations of one process
    Warm,
    /// 400 starts, each with its first invocation
    Starts,
}

/// The invocations that share one measurement of F, so that both see the same CPU speed.
pub(crate) const ROUND: usize = 4;

/// The starts in each condition, and the processes for the warm invocations, each with as many rounds: two processes of the same
/// program can differ by 3 %, because their memory lies differently.
const RUNS: usize = 25;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads");
    // `block_on` runs the bench on this thread, so that a process that it starts begins in this thread's control group.
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> ExitCode {
    let binary = binary_under_test();
    if let Some(load) = options.load {
        let number = if load == Load::Starts { 400 } else { 20_000 };
        let subject = Subject { binary, kms: false };
        measure::load(&subject, load == Load::Starts, number).await;
        return ExitCode::SUCCESS;
    }
    let runs = if options.short { 1 } else { RUNS };
    let share = Share::create().map(Arc::new);
    let how = match &share {
        Ok(share) => share.to_string(),
        Err(error) => {
            format!("not measured, because this machine allows no control group ({error})")
        }
    };
    println!("128 MB's share: {how}");
    let mut programs = vec![Program::new("ours", &binary, false)];
    let peer = options.peer.iter();
    programs.extend(peer.map(|peer| Program::new("peer", peer, false)));
    programs.push(Program::new("ours, KMS", &binary, true));
    let key = measure::rsa_key();
    start(&mut programs, share.as_ref().ok(), runs, &key).await;
    invoke(&mut programs, runs, &key).await;
    // The short form uses the client that the tests use; its speed does not matter.
    let profile = if options.short { "debug" } else { "release" };
    let target = binary.ancestors().nth(2).unwrap_or(&binary);
    let client = target.join(profile).join("github-token-broker");
    let client = client::measure(&client, 2 * runs).await;

    let report = Report::new(&programs, &client, &how);
    print!("\n{}", report.markdown());
    let folder = if options.short {
        target.join("bench")
    } else {
        PathBuf::new()
    };
    report.write_json(&folder).expect("the folder is writable");
    if options.page {
        report.write_page().expect("the page is writable");
    }
    if options.short {
        let (passed, failed) = report.check(share.is_ok());
        println!("{passed} passed, {failed} failed");
        return ExitCode::from(u8::from(failed > 0));
    }
    ExitCode::SUCCESS
}

async fn start(programs: &mut [Program], share: Option<&Arc<Share>>, runs: usize, key: &[u8]) {
    for number in 1..=runs {
        // The program that goes first changes each time.
        programs.rotate_left(number % programs.len());
        for (index, (far, limited)) in CONDITIONS.into_iter().enumerate() {
            if limited && share.is_none() {
                continue;
            }
            let (share, warm) = (share.filter(|_| limited), ROUND * usize::from(limited));
            for program in &mut *programs {
                let start = measure::start(&program.subject, far, share, warm).await;
                if index == 0 {
                    let signature = cpu::of_one_signature(key);
                    program.start_cpu.push(start.cpu, signature);
                }
                program.starts[index].push(start);
            }
        }
        for program in &mut *programs {
            let late = measure::long_after_init(&program.subject, measure::FAR).await;
            program.long_after_init.push(late);
        }
        println!("{number} of {runs} starts in each condition");
    }
    programs.sort_by_key(|program| (program.subject.kms, program.name != "ours"));
}

async fn invoke(programs: &mut [Program], runs: usize, key: &[u8]) {
    for number in 1..=runs {
        let mut processes = Vec::new();
        for program in &*programs {
            processes.push(Process::start(&program.subject).await);
        }
        for first in 0..runs {
            let mut round = vec![Vec::new(); programs.len()];
            for turn in 0..ROUND * programs.len() {
                let index = (first + turn) % programs.len();
                round[index].push(processes[index].invoke().await);
            }
            let signature = cpu::of_one_signature(key);
            for (program, round) in programs.iter_mut().zip(round) {
                program.add_warm(&round, signature);
            }
        }
        for process in processes {
            process.finish().await;
        }
        println!("{number} of {runs} processes with warm invocations");
    }
}
