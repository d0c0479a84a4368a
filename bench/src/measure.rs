//! Runs a program in the sandbox and measures it. This is the only file of `make bench` that uses the sandbox.
//!
//! An invocation that does not return a token stops the bench, because there is nothing to measure then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandbox::{Call, Outcome, Running, Scenario};

use crate::cpu;
use crate::share::Share;

/// A pause longer than the scheduler's period, so that an invocation finds its whole share unused, as after a quiet time.
const PAUSE: Duration = Duration::from_millis(50);

/// The round-trip times to the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundTrips {
    pub(crate) aws: Duration,
    pub(crate) github: Duration,
}

impl RoundTrips {
    pub(crate) const NONE: Self = Self::milliseconds(0, 0);
    /// AWS in the function's region, GitHub across a country.
    pub(crate) const USUAL: Self = Self::milliseconds(4, 20);
    pub(crate) const FAR: Self = Self::milliseconds(50, 50);

    const fn milliseconds(aws: u64, github: u64) -> Self {
        Self {
            aws: Duration::from_millis(aws),
            github: Duration::from_millis(github),
        }
    }
}

/// A start of the process, its first invocation, and perhaps more.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// From the start of the process to the response.
    pub(crate) to_response: Duration,
    /// From the delivery of the first invocation to its response.
    pub(crate) first: Duration,
    /// CPU time until the first response was sent and the next invocation requested.
    pub(crate) cpu: Duration,
    /// The invocations after the first, under the same conditions.
    pub(crate) warm: Vec<Duration>,
    /// What the function itself logs: how many milliseconds each step took.
    pub(crate) steps: BTreeMap<String, f64>,
    pub(crate) requests: usize,
    pub(crate) connections: usize,
    pub(crate) peak_memory_kib: u64,
}

/// One invocation of a running process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Invocation {
    pub(crate) cpu: Duration,
    pub(crate) requests: usize,
    pub(crate) peak_memory_kib: u64,
}

/// What is run: a program, and whether KMS signs for it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) binary: PathBuf,
    pub(crate) kms: bool,
}

fn scenario(subject: &Subject, far: RoundTrips) -> Scenario {
    let scenario = Scenario::default()
        .binary(&subject.binary)
        .tls()
        .round_trips(far.aws, far.github);
    if subject.kms {
        scenario.kms_key()
    } else {
        scenario
    }
}

/// Starts the program for one invocation, and for `warm` more. With `share`, it has 128 MB's share after its init.
pub(crate) async fn start(
    subject: &Subject,
    far: RoundTrips,
    share: Option<&Arc<Share>>,
    warm: usize,
) -> Start {
    let mut scenario = scenario(subject, far);
    if let Some(share) = share {
        // The sandbox keeps what it calls, and the group has to be removed at the end.
        let share = Arc::downgrade(share);
        scenario = scenario.after_init(move |_| share.upgrade().expect("the bench runs").limit());
    }
    let mut running = scenario.prepare().await;
    if let Some(share) = share {
        share.enter();
    }
    let outcome = minted(running.invoke("null").await);
    let cpu = cpu::of_process(pid_of(&running));
    let mut warm_ones = Vec::new();
    for _ in 0..warm {
        std::thread::sleep(PAUSE);
        warm_ones.push(took(&minted(running.invoke("null").await)));
    }
    running.finish().await;
    Start {
        to_response: outcome.timing.finished - outcome.timing.spawned,
        first: took(&outcome),
        cpu,
        warm: warm_ones,
        steps: steps(&outcome),
        requests: outcome.requests.len(),
        connections: connections(&outcome),
        peak_memory_kib: outcome.peak_memory,
    }
}

/// The first invocation long after init, as with provisioned concurrency.
pub(crate) async fn long_after_init(subject: &Subject, far: RoundTrips) -> Duration {
    let scenario = scenario(subject, far)
        .variable("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency");
    let mut running = scenario.start().await;
    std::thread::sleep(PAUSE * 4);
    let outcome = minted(running.invoke("null").await);
    running.finish().await;
    took(&outcome)
}

/// A process that is invoked again and again, and frozen between the invocations.
pub(crate) struct Process {
    running: Running,
    used: Duration,
}

impl Process {
    pub(crate) async fn start(subject: &Subject) -> Self {
        let mut running = scenario(subject, RoundTrips::NONE).start().await;
        minted(running.invoke("null").await);
        let used = cpu::of_process(pid_of(&running));
        Self { running, used }
    }

    pub(crate) async fn invoke(&mut self) -> Invocation {
        let outcome = minted(self.running.invoke("null").await);
        self.running.clear_history();
        let used = cpu::of_process(pid_of(&self.running));
        Invocation {
            cpu: used.saturating_sub(std::mem::replace(&mut self.used, used)),
            requests: outcome.requests.len(),
            peak_memory_kib: outcome.peak_memory,
        }
    }

    pub(crate) async fn finish(self) {
        self.running.finish().await;
    }
}

/// Puts a program under load for `make profile`: `starts` processes with one invocation each, or one process.
pub(crate) async fn load(subject: &Subject, starts: bool, number: usize) {
    if starts {
        for _ in 0..number {
            start(subject, RoundTrips::NONE, None, 0).await;
        }
    } else {
        let mut process = Process::start(subject).await;
        for _ in 0..number {
            process.invoke().await;
        }
        process.finish().await;
    }
}

/// A key of the App's kind, in PKCS#1 DER.
pub(crate) fn rsa_key() -> Vec<u8> {
    sandbox::PrivateKey::rsa(2048).pkcs1_der().to_vec()
}

fn pid_of(running: &Running) -> u32 {
    running
        .pid()
        .expect("a process lives on after it has minted")
}

fn took(outcome: &Outcome) -> Duration {
    outcome.timing.finished - outcome.timing.delivered
}

fn minted(outcome: Outcome) -> Outcome {
    assert!(!outcome.token().is_empty(), "the function returns a token");
    outcome
}

fn steps(outcome: &Outcome) -> BTreeMap<String, f64> {
    let line = outcome
        .log
        .iter()
        .find_map(|line| line["milliseconds"].as_object());
    let steps = line.into_iter().flatten();
    steps
        .filter_map(|(step, took)| Some((step.clone(), took.as_f64()?)))
        .collect()
}

/// AWS and GitHub number their connections independently.
fn connections(outcome: &Outcome) -> usize {
    let requests = outcome.requests.iter();
    let connections: BTreeSet<_> = requests
        .map(|request| {
            (
                matches!(request.call, Call::GetParameters | Call::Sign),
                request.connection,
            )
        })
        .collect();
    connections.len()
}
