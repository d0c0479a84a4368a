//! Runs a program in the sandbox and measures it. This is the only file of `make bench` that uses the sandbox.
//!
//! An invocation that does not return a token stops the bench, because there is nothing to measure then.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandbox::{Call, Outcome, RecordedRequest, Running, Scenario};

use crate::cpu;
use crate::share::Share;

/// A pause longer than the scheduler's period, so that an invocation finds its whole share unused, as after a quiet time.
const PAUSE: Duration = Duration::from_millis(50);

/// The round-trip times to AWS and to GitHub.
pub(crate) type RoundTrips = (Duration, Duration);

pub(crate) const NEAR: RoundTrips = milliseconds(0, 0);
/// AWS in the function's region, GitHub across a country.
pub(crate) const USUAL: RoundTrips = milliseconds(4, 20);
pub(crate) const FAR: RoundTrips = milliseconds(50, 50);

const fn milliseconds(aws: u64, github: u64) -> RoundTrips {
    (Duration::from_millis(aws), Duration::from_millis(github))
}

/// A start of the process, and its first invocation.
pub(crate) struct Start {
    pub(crate) first: Outcome,
    /// CPU time until the first response was sent and the next invocation requested.
    pub(crate) cpu: Duration,
    /// How long the invocations after the first one took, under the same conditions.
    pub(crate) warm: Vec<Duration>,
}

impl Start {
    /// From the start of the process to the response.
    pub(crate) fn to_response(&self) -> Duration {
        self.first.timing.finished - self.first.timing.spawned
    }

    /// From the delivery of the first invocation to its response.
    pub(crate) fn of_first(&self) -> Duration {
        took(&self.first)
    }

    /// How many milliseconds a step of the first invocation took. The function logs it.
    pub(crate) fn step(&self, name: &str) -> Option<f64> {
        let logged = |line: &serde_json::Value| line["milliseconds"][name].as_f64();
        self.first.log.iter().find_map(logged)
    }

    /// AWS and GitHub number their connections independently.
    pub(crate) fn connections(&self) -> usize {
        let connection = |request: &RecordedRequest| {
            let to_aws = matches!(request.call, Call::GetParameters | Call::Sign);
            (to_aws, request.connection)
        };
        let requests = self.first.requests.iter();
        requests.map(connection).collect::<BTreeSet<_>>().len()
    }
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
        .round_trips(far.0, far.1);
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
    let first = minted(running.invoke("null").await);
    let cpu = cpu::of_process(pid_of(&running));
    let mut warm_ones = Vec::new();
    for _ in 0..warm {
        std::thread::sleep(PAUSE);
        warm_ones.push(took(&minted(running.invoke("null").await)));
    }
    running.finish().await;
    Start {
        first,
        cpu,
        warm: warm_ones,
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
        let mut running = scenario(subject, NEAR).start().await;
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
            start(subject, NEAR, None, 0).await;
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
