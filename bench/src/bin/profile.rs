//! `make profile`: where the CPU time of a start and of a warm invocation goes. Comes in: a build with symbols and frame
//! pointers. Goes out: each group's share of the samples that `perf` took of it, the largest first.
//!
//! `perf` looks at the whole machine: if it followed one process, each of that one's waits would cost time that it has not
//! without `perf`. A sample's stack is read from the innermost frame on, and the first frame that belongs to a group
//! decides. Assembly and libc keep no frame pointers: where a stack ends in them, the group says so.
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

/// A group, and what the names of its functions contain.
type Group = (&'static str, &'static [&'static str]);

/// What is a group's own wherever it stands in a stack.
const WHEREVER: &[Group] = &[
    ("the key: signing", &["rsa::key::KeyPair::sign"]),
    ("the key: reading it", &["rsa::key::KeyPair::from_"]),
    ("page faults", &["asm_exc_page_fault"]),
    ("being stopped and continued", &["do_signal_stop"]),
];

const IN_THE_KERNEL: &[Group] = &[
    (
        "the kernel: sending",
        &["do_writev", "tcp_sendmsg", "sys_connect"],
    ),
    ("the kernel: receiving", &["tcp_recvmsg"]),
    ("the kernel: waiting", &["do_epoll_wait"]),
];
const ELSE_IN_THE_KERNEL: &str = "the kernel: all else";

/// In this order for one frame; a library that serves several groups is not named.
const NEAREST: &[Group] = &[
    (
        "the request to SSM and its signature",
        &[
            "github_token_broker::ssm",
            "aws_sigv4",
            "aws_credential",
            "aws_smithy",
            "sha2",
            "hmac",
        ],
    ),
    ("the log line", &["tracing", "github_token_broker::log"]),
    // The compiler puts our code into the functions of the event loop that call it.
    (
        "our own code and the event loop",
        &["github_token_broker::", "bootstrap::", "tokio::", "mio::"],
    ),
    (
        "HTTP/1.1 and TLS",
        &["hyper", "http::", "httparse", "rustls", "webpki"],
    ),
];
const LOADER: Group = ("the loader", &["ld-linux"]);
const CRYPTO: Group = (
    "AWS-LC, for what is not told",
    &["aws_lc", "nistz256", "bn_"],
);
const MEMORY: Group = (
    "libc (malloc, free, copies, wiping), for what is not told",
    &["libc"],
);
const UNTOLD: &str = "not told";

#[tokio::main]
async fn main() {
    let binary = binary_under_test();
    let folder = binary.parent().expect("a program is in a folder");

    let file = folder.join("warm.perf");
    let perf = record(&file).await;
    let mut running = Scenario::default().binary(&binary).tls().start().await;
    for _ in 0..WARM {
        running.invoke("null").await;
        running.clear_history();
    }
    running.finish().await;
    end(perf);
    tell("warm invocations", WARM, &samples(&file));

    let file = folder.join("start.perf");
    let perf = record(&file).await;
    for _ in 0..STARTS {
        let mut running = Scenario::default().binary(&binary).tls().prepare().await;
        running.invoke("null").await;
        running.finish().await;
    }
    end(perf);
    tell(
        "starts, each with a first invocation",
        STARTS,
        &samples(&file),
    );
}

async fn record(file: &Path) -> Child {
    let mut perf = Command::new("perf")
        .args(["record", "--quiet", "--all-cpus", "--event", "cpu-clock"])
        .args(["--call-graph", "fp", "--freq", &RATE.to_string()])
        .arg("--output")
        .arg(file)
        .spawn()
        .expect("`perf` is installed");
    // It says nothing when it is ready.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ended = perf.try_wait().expect("perf is ours");
    assert!(ended.is_none(), "perf may not look at the whole machine");
    perf
}

fn end(mut perf: Child) {
    let pid = i32::try_from(perf.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("perf runs"), Signal::INT).expect("perf runs");
    perf.wait().expect("perf ends");
}

/// How many samples of the function each group has.
fn samples(file: &Path) -> BTreeMap<&'static str, usize> {
    let mut script = Command::new("perf")
        .args(["script", "--comms", "bootstrap", "--no-inline"])
        .args(["--fields", "ip,sym,dso", "--input"])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("`perf` is installed");
    let lines = BufReader::new(script.stdout.take().expect("it is a pipe")).lines();
    let mut samples = BTreeMap::new();
    let mut stack = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some(frame) = Frame::read(&line) {
            stack.push(frame);
        } else if !stack.is_empty() {
            *samples.entry(group(&stack)).or_default() += 1;
            stack.clear();
        }
    }
    assert!(script.wait().expect("perf ends").success(), "perf failed");
    for (group, _) in IN_THE_KERNEL {
        assert!(
            samples.contains_key(group),
            "no sample is of {group}: perf may not look into this kernel, or it has other names"
        );
    }
    samples
}

struct Frame {
    function: String,
    /// The file that it is in.
    object: String,
}

impl Frame {
    /// Of a line such as `55e6 function (object)`; between two samples there is an empty one.
    fn read(line: &str) -> Option<Self> {
        let (_, rest) = line.trim().split_once(' ')?;
        let (function, object) = rest.rsplit_once(" (")?;
        Some(Self {
            function: function.to_owned(),
            object: object.to_owned(),
        })
    }

    fn is_in_the_kernel(&self) -> bool {
        self.object.starts_with("[kernel") || self.object.starts_with("[guest.kernel")
    }
}

/// The group of a sample; its stack begins with the innermost frame.
fn group(stack: &[Frame]) -> &'static str {
    let find = |groups: &[Group], text: &str| {
        let of = |(_, names): &&Group| names.iter().any(|name| text.contains(name));
        groups.iter().find(of).map(|(group, _)| *group)
    };
    let mut functions = stack.iter().map(|frame| frame.function.as_str());
    if let Some(group) = functions.clone().find_map(|name| find(WHEREVER, name)) {
        return group;
    }
    if stack.first().is_some_and(Frame::is_in_the_kernel) {
        return functions
            .find_map(|name| find(IN_THE_KERNEL, name))
            .unwrap_or(ELSE_IN_THE_KERNEL);
    }
    let innermost = stack.first();
    functions
        .find_map(|name| find(NEAREST, name))
        .or_else(|| find(&[CRYPTO], &innermost?.function))
        .or_else(|| find(&[LOADER, MEMORY], &innermost?.object))
        .unwrap_or(UNTOLD)
}

fn tell(what: &str, count: usize, samples: &BTreeMap<&str, usize>) {
    let all: usize = samples.values().sum();
    let mut sorted: Vec<_> = samples.iter().collect();
    sorted.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    println!("\n{count} {what}, {all} samples:");
    for (group, number) in sorted {
        #[expect(clippy::cast_precision_loss, reason = "there are not so many samples")]
        let share = *number as f64 / all as f64 * 100.0;
        println!("{share:6.1} %  {group}");
    }
}
