//! `make bench`: how fast the release build is, on the sandbox, with TLS to both hosts, and whether that is what was aimed
//! at. Comes in: how much to run, and another program to run beside ours (`--peer`). Goes out: the table, `bench.json`, a
//! picture, and the page that shows both. It judges; it never fails because something is slow.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it tells a person what it finds, and stops where it cannot measure"
)]

mod check;
mod cpu;
mod growth;
mod measure;
mod program;
mod report;
mod share;
mod statistics;
mod svg;
mod table;
mod zips;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sandbox::{PrivateKey, binary_under_test};

use growth::Growth;
use measure::{RoundTrips, Warm};
use program::{CONDITIONS, FREE, Program};
use report::Report;
use share::Share;
use table::Findings;

#[derive(Parser)]
struct Options {
    /// Runs this program beside ours, by turns.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only shows that the bench works: few runs, and nothing is written into the docs.
    #[arg(long)]
    short: bool,
    /// Holds the share by stopping and continuing, as on a machine without cgroups (v1).
    #[arg(long)]
    turns: bool,
    /// The project's folder.
    #[arg(long, default_value = ".")]
    project: PathBuf,
}

/// How often what is run.
struct Amounts {
    /// For each condition.
    colds: usize,
    /// After each start.
    warm_at_share: usize,
    /// Processes that are invoked again and again, and how often each: one can be 3 % slower than another of the same
    /// program, by where its memory happens to lie.
    processes: usize,
    warm: usize,
    /// Invocations of the one process that lives long, and how many of them, the last, take turns with a fresh one.
    long: usize,
    by_turns: usize,
}

/// F is measured after each so many warm invocations of a process: where a CPU has neighbours, it is fast or slow for a tenth
/// of a second at a time, by a half, and both have to be measured in the same state.
pub(crate) const ROUND: usize = 4;

const FULL: Amounts = Amounts {
    colds: 25,
    warm_at_share: 4,
    processes: 25,
    warm: 100,
    long: 20_000,
    by_turns: 1_000,
};
const SHORT: Amounts = Amounts {
    colds: 1,
    warm_at_share: 1,
    processes: 1,
    warm: 4,
    long: 8,
    by_turns: 4,
};

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads");
    // On this very thread: what it starts begins in the group that it is in.
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> ExitCode {
    let amounts = if options.short { SHORT } else { FULL };
    let share = if options.turns {
        Share::Turns
    } else {
        Share::of_this_machine()
    };
    println!("128 MB's share is held by {share}");
    let binary = binary_under_test();
    let mut programs = vec![Program::new("ours", &binary)];
    if let Some(peer) = &options.peer {
        programs.push(Program::new("peer", peer));
    }
    let key = PrivateKey::rsa(2048);
    start_again_and_again(&mut programs, &share, &amounts, &key).await;
    invoke_again_and_again(&mut programs, &amounts, &key).await;
    let growth = live_long(&mut programs[0], &amounts).await;
    share.end();

    let (ours, peer) = (&programs[0], programs.get(1));
    let findings = Findings {
        ours,
        peer,
        growth,
        zips: zips::in_folder(&options.project.join("dist"), &binary),
        share_is_true: matches!(share, Share::Group(_)),
    };
    let report = Report::of(&findings, &share.to_string());
    print!("\n{}", report.text());
    let folder = folder(options);
    // The page shows this project's build under the conditions that it speaks of, and nothing else.
    let for_the_page = !options.short
        && !options.turns
        && peer.is_none()
        && std::env::var_os("BROKER_UNDER_TEST").is_none();
    let written = report.write(&folder, for_the_page.then_some(&options.project));
    for path in written.expect("the project's folder can be written to") {
        println!("wrote {}", path.display());
    }
    if options.short && !check::passes(&folder, programs.len()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Where `bench.json` goes.
fn folder(options: &Options) -> PathBuf {
    if options.short {
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
        options.project.join(target).join("bench")
    } else {
        options.project.clone()
    }
}

async fn start_again_and_again(
    programs: &mut [Program],
    share: &Share,
    amounts: &Amounts,
    key: &PrivateKey,
) {
    for number in 1..=amounts.colds {
        for (index, condition) in CONDITIONS.iter().enumerate() {
            let first = number % programs.len();
            let (later, earlier) = programs.split_at_mut(first);
            for program in earlier.iter_mut().chain(later) {
                let limit = condition.limited.then_some(share);
                let warm = if condition.limited {
                    amounts.warm_at_share
                } else {
                    0
                };
                let cold = measure::cold(&program.binary, condition.far, limit, warm).await;
                if *condition == FREE {
                    let signature = cpu::of_one_signature(key);
                    program.starts_in_signatures.push((cold.cpu, signature));
                }
                program.colds[index].push(cold);
            }
        }
        for program in &mut *programs {
            let late = measure::long_after_init(&program.binary, RoundTrips::FAR).await;
            program.long_after_init.push(late);
        }
        println!("{number} of {} starts in each condition", amounts.colds);
    }
}

async fn invoke_again_and_again(programs: &mut [Program], amounts: &Amounts, key: &PrivateKey) {
    for process in 1..=amounts.processes {
        let mut running = Vec::new();
        for program in &*programs {
            running.push(Warm::start(&program.binary).await);
        }
        for number in 1..=amounts.warm {
            // Each goes first in every second round.
            for turn in 0..programs.len() {
                let index = (turn + number) % programs.len();
                programs[index].warm.push(running[index].invoke().await);
            }
            if number % ROUND == 0 {
                let signature = cpu::of_one_signature(key);
                for program in &mut *programs {
                    program.warm_of_round(ROUND, signature);
                }
            }
        }
        for warm in running {
            warm.finish().await;
        }
        println!("{process} of {} processes", amounts.processes);
    }
}

/// One process, for as long as one may live.
async fn live_long(program: &mut Program, amounts: &Amounts) -> Growth {
    let mut old = Warm::start(&program.binary).await;
    for number in 1..=amounts.long - amounts.by_turns {
        program.long.push(old.invoke().await);
        if number % 2_000 == 0 {
            println!("{number} of {} invocations of one process", amounts.long);
        }
    }
    let mut fresh = Warm::start(&program.binary).await;
    let mut of_fresh = Vec::new();
    for number in 0..amounts.by_turns {
        // Each goes first in every second round.
        if number % 2 == 0 {
            program.long.push(old.invoke().await);
            of_fresh.push(fresh.invoke().await);
        } else {
            of_fresh.push(fresh.invoke().await);
            program.long.push(old.invoke().await);
        }
    }
    old.finish().await;
    fresh.finish().await;
    Growth::of(&program.long, &of_fresh)
}
