//! One program, run and measured. Comes in: a binary and the conditions. Goes out: what was seen, unjudged. A run that does
//! not end with a token stops the bench: there is nothing to measure then.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sandbox::{Call, Outcome, Phase, Running, Scenario, phases};

use crate::cpu;
use crate::share::{Share, Turns};

/// Longer than the scheduler's period, so that a warm invocation finds its share unused, as after a quiet while.
const PAUSE: Duration = Duration::from_millis(50);

/// How far away the hosts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundTrips {
    pub(crate) ssm: Duration,
    pub(crate) github: Duration,
}

impl RoundTrips {
    /// On this machine.
    pub(crate) const NONE: Self = Self::milliseconds(0, 0);
    /// SSM in the function's region, GitHub across a country.
    pub(crate) const USUAL: Self = Self::milliseconds(4, 20);
    /// Far from both.
    pub(crate) const FAR: Self = Self::milliseconds(50, 50);

    const fn milliseconds(ssm: u64, github: u64) -> Self {
        Self {
            ssm: Duration::from_millis(ssm),
            github: Duration::from_millis(github),
        }
    }
}

/// A start of the process and its first invocation.
#[derive(Debug, Clone)]
pub(crate) struct Cold {
    /// From the start of the process to the answer.
    pub(crate) to_answer: Duration,
    /// From the delivery of the invocation to the answer.
    pub(crate) first: Duration,
    /// CPU until the first answer was given and the next work asked for.
    pub(crate) cpu: Duration,
    /// The part of it that init used.
    pub(crate) init_cpu: Duration,
    /// Invocations after the first, under the same conditions.
    pub(crate) warm: Vec<Duration>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) requests: usize,
    pub(crate) connections: usize,
    /// In KiB.
    pub(crate) peak_memory: u64,
}

/// A healthy day over TLS.
fn scenario(binary: &Path, far: RoundTrips) -> Scenario {
    Scenario::default()
        .binary(binary)
        .tls()
        .round_trips(far.ssm, far.github)
}

/// Starts the program for one invocation, and `warm` more.
pub(crate) async fn cold(
    binary: &Path,
    far: RoundTrips,
    share: Option<&Share>,
    warm: usize,
) -> Cold {
    let init: Arc<Mutex<(Duration, Option<Turns>)>> = Arc::default();
    let (seen, limit) = (Arc::clone(&init), share.cloned());
    let after_init = move |pid| {
        let turns = limit.as_ref().and_then(|share| share.limit(pid));
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = (cpu::of_process(pid), turns);
    };
    let mut running = scenario(binary, far).after_init(after_init).prepare().await;
    if let Some(share) = share {
        share.before_start();
    }
    let outcome = running.invoke("null").await;
    let cpu = cpu::of_process(pid_of(&running));
    let mut warm_ones = Vec::new();
    for _ in 0..warm {
        std::thread::sleep(PAUSE);
        warm_ones.push(took(&minted(running.invoke("null").await)));
    }
    let init_cpu = std::mem::take(&mut *init.lock().unwrap_or_else(PoisonError::into_inner)).0;
    running.finish().await;
    let outcome = minted(outcome);
    Cold {
        to_answer: outcome.timing.finished - outcome.timing.spawned,
        first: took(&outcome),
        cpu,
        init_cpu,
        warm: warm_ones,
        phases: seen_by_the_function(phases(&outcome), far),
        requests: outcome.requests.len(),
        connections: connections(&outcome),
        peak_memory: outcome.peak_memory,
    }
}

/// The first invocation of a process whose init was over long ago, as provisioned concurrency has it.
pub(crate) async fn long_after_init(binary: &Path, far: RoundTrips) -> Duration {
    let mut running = scenario(binary, far)
        .variable("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
        .start()
        .await;
    std::thread::sleep(PAUSE * 4);
    let outcome = minted(running.invoke("null").await);
    running.finish().await;
    took(&outcome)
}

/// A process that is invoked again and again, frozen in between.
pub(crate) struct Warm {
    running: Running,
    used: Duration,
}

/// One invocation of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Invocation {
    pub(crate) cpu: Duration,
    pub(crate) took: Duration,
    pub(crate) requests: usize,
    /// In KiB.
    pub(crate) resident: u64,
    pub(crate) peak_memory: u64,
}

impl Warm {
    pub(crate) async fn start(binary: &Path) -> Self {
        let mut running = scenario(binary, RoundTrips::NONE).start().await;
        minted(running.invoke("null").await);
        let used = cpu::of_process(pid_of(&running));
        Self { running, used }
    }

    pub(crate) async fn invoke(&mut self) -> Invocation {
        let outcome = minted(self.running.invoke("null").await);
        self.running.clear_history();
        let pid = pid_of(&self.running);
        let used = cpu::of_process(pid);
        Invocation {
            cpu: used.saturating_sub(std::mem::replace(&mut self.used, used)),
            took: took(&outcome),
            requests: outcome.requests.len(),
            resident: resident(pid),
            peak_memory: outcome.peak_memory,
        }
    }

    pub(crate) async fn finish(self) {
        self.running.finish().await;
    }
}

fn pid_of(running: &Running) -> u32 {
    running.pid().expect("a program that minted goes on living")
}

/// The servers see a request half a round trip after it was sent, and an answer half a round trip before it is there.
fn seen_by_the_function(mut phases: Vec<Phase>, far: RoundTrips) -> Vec<Phase> {
    let (ssm, github) = (far.ssm / 2, far.github / 2);
    for phase in &mut phases {
        match phase.name {
            "load" => phase.takes += ssm,
            "sign" => phase.takes = phase.takes.saturating_sub(ssm + github),
            "confirm" => phase.takes += github * 2,
            "respond" => phase.takes = phase.takes.saturating_sub(github),
            _ => {}
        }
    }
    phases
}

fn took(outcome: &Outcome) -> Duration {
    outcome.timing.finished - outcome.timing.delivered
}

fn minted(outcome: Outcome) -> Outcome {
    assert!(
        !outcome.token().is_empty(),
        "an invocation ends with a token"
    );
    outcome
}

/// The hosts number their connections each for itself.
fn connections(outcome: &Outcome) -> usize {
    let of = |request: &sandbox::RecordedRequest| (request.call == Call::GetParameters, request.connection);
    let all: std::collections::BTreeSet<_> = outcome.requests.iter().map(of).collect();
    all.len()
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .expect("the kernel tells the memory of a process")
}
