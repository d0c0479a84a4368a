//! `make profile`: where the CPU time of a start and of a warm invocation goes. Comes in: a build with symbols and frame
//! pointers. Goes out: each group's share of the samples that `perf` took of it, the largest first.
//!
//! `perf` is asked to follow this program and what it starts. A sample's stack is read from the innermost frame on: the
//! first frame that belongs to a group decides, so that what `malloc` does for the SDK is the SDK's.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it tells a person what it finds, and stops where it cannot measure"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Scenario, binary_under_test};

const WARM: usize = 20_000;
const STARTS: usize = 400;
/// Samples a second. More of them would change what they measure: each costs some microseconds and a part of the cache.
const RATE: u32 = 997;

/// What is a group's own wherever it stands in a stack.
const WHEREVER: [(&str, &[&str]); 4] = [
    ("the key: signing", &["rsa::key::KeyPair::sign"]),
    ("the key: reading it", &["rsa::key::KeyPair::from_"]),
    ("page faults", &["asm_exc_page_fault"]),
    ("being stopped and continued", &["do_signal_stop"]),
];

/// What decides when nothing further in does. A library that serves several groups is not named.
const NEAREST: [(&str, &[&str]); 8] = [
    (
        "the kernel: sending",
        &["sys_writev", "sys_sendto", "sys_connect"],
    ),
    ("the kernel: receiving", &["sys_recvfrom"]),
    ("the kernel: waiting", &["sys_epoll_wait"]),
    ("the kernel: all else", &["entry_SYSCALL", "ret_from_fork"]),
    (
        "the AWS SDK",
        &["aws_smithy", "aws_sdk", "aws_runtime", "aws_sigv4", "regex"],
    ),
    (
        "HTTP/1.1 and TLS",
        &["hyper", "httparse", "rustls", "webpki", "aws_lc", "http::"],
    ),
    ("the event loop", &["tokio", "mio::"]),
    ("the log line", &["tracing", "github_token_broker::log"]),
];
const LOADER: &str = "the loader";
const OTHERS: &str = "our own code, and what could not be told";

#[tokio::main]
async fn main() {
    let binary = binary_under_test();
    let folder = binary.parent().expect("a program is in a folder");

    let perf = record(&folder.join("warm.perf")).await;
    let mut running = Scenario::default().binary(&binary).tls().start().await;
    for _ in 0..WARM {
        running.invoke("null").await;
        running.forget();
    }
    running.finish().await;
    tell(
        "warm invocations",
        WARM,
        &stop(perf, &folder.join("warm.perf")),
    );

    let perf = record(&folder.join("start.perf")).await;
    for _ in 0..STARTS {
        let mut running = Scenario::default().binary(&binary).tls().prepare().await;
        running.invoke("null").await;
        running.finish().await;
    }
    tell(
        "starts, each with a first invocation",
        STARTS,
        &stop(perf, &folder.join("start.perf")),
    );
}

/// Starts `perf`, which from then on follows whatever this program starts.
async fn record(output: &Path) -> Child {
    let perf = Command::new("perf")
        .args([
            "record",
            "--quiet",
            "--event",
            "cpu-clock",
            "--call-graph",
            "fp",
        ])
        .args([
            "--freq",
            &RATE.to_string(),
            "--pid",
            &std::process::id().to_string(),
        ])
        .arg("--output")
        .arg(output)
        .spawn()
        .expect("`perf` is installed");
    // It says nothing when it is ready.
    tokio::time::sleep(Duration::from_secs(1)).await;
    perf
}

/// Ends `perf`. Goes out the share of each group in the samples of the function.
fn stop(mut perf: Child, output: &Path) -> BTreeMap<&'static str, usize> {
    let pid = i32::try_from(perf.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("perf runs"), Signal::INT).expect("perf runs");
    perf.wait().expect("perf ends");
    let mut script = Command::new("perf")
        .args([
            "script",
            "--comms",
            "bootstrap",
            "--fields",
            "ip,sym,dso",
            "--input",
        ])
        .arg(output)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("`perf` is installed");
    let lines = BufReader::new(script.stdout.take().expect("it is a pipe")).lines();
    let mut samples = BTreeMap::new();
    let mut stack = Vec::new();
    for line in lines.map_while(Result::ok) {
        if line.trim().is_empty() {
            if !stack.is_empty() {
                *samples.entry(group(&stack)).or_default() += 1;
            }
            stack.clear();
        } else {
            stack.push(line);
        }
    }
    script.wait().expect("perf ends");
    samples
}

/// The group of a sample; its stack begins with the innermost frame.
fn group(stack: &[String]) -> &'static str {
    let has = |frame: &String, names: &[&str]| names.iter().any(|name| frame.contains(name));
    for (group, names) in WHEREVER {
        if stack.iter().any(|frame| has(frame, names)) {
            return group;
        }
    }
    for frame in stack {
        if frame.contains("ld-linux") {
            return LOADER;
        }
        if let Some((group, _)) = NEAREST.iter().find(|(_, names)| has(frame, names)) {
            return group;
        }
        if frame.contains("github_token_broker::") {
            return OTHERS;
        }
    }
    OTHERS
}

fn tell(what: &str, count: usize, samples: &BTreeMap<&str, usize>) {
    let all: usize = samples.values().sum();
    assert!(all > 0, "perf took no sample of the function");
    let mut sorted: Vec<_> = samples.iter().collect();
    sorted.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    println!("\n{count} {what}, {all} samples:");
    for (group, number) in sorted {
        #[expect(clippy::cast_precision_loss, reason = "there are not so many samples")]
        let share = *number as f64 / all as f64 * 100.0;
        println!("{share:6.1} %  {group}");
    }
}
