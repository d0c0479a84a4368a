//! CPU time as the kernel counts it, and F: the CPU time to parse the App's RSA key and to sign once.
//!
//! Every CPU figure is compared with an F from the same moment. On a shared virtual machine, the speed of each CPU can swing by
//! 50 % for about 100 ms at a time.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::statistics::mean;

/// The CPU time of a process and all its living threads (`sum_exec_runtime`, which is exact while the process waits).
///
/// # Panics
/// If the kernel does not report it: a figure of zero would pass every row.
pub(crate) fn of_process(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let used: Duration = (threads.into_iter().flatten().flatten())
        .filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        })
        .map(Duration::from_nanos)
        .sum();
    assert!(
        !used.is_zero(),
        "/proc/{pid}/task/*/schedstat has no CPU time"
    );
    used
}

/// The CPU time of all children of this process that have ended. Its resolution is 10 ms.
pub(crate) fn of_finished_children() -> Duration {
    const TICKS_PER_SECOND: u64 = 100; // USER_HZ, the same on every architecture that we build for
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name, in parentheses. Fields 16 and 17 are the children's user and system time.
    let fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    let ticks: u64 = fields
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// F is the mean of at least this many signatures, with the same number on each CPU. The number is small, because the speed of a CPU
/// changes soon.
const SIGNATURES: usize = 4;
/// The function has also been waiting before it signs, so its caches are as cold.
const WAIT: Duration = Duration::from_millis(1);

/// F for a key in PKCS#1 DER, measured with the function's own library on each CPU that this thread is allowed to use.
pub(crate) fn of_one_signature(pkcs1_der: &[u8]) -> Duration {
    let all = sched_getaffinity(None).expect("the kernel reports the CPUs of a thread");
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| all.is_set(*cpu))
        .collect();
    let rounds = SIGNATURES.div_ceil(cpus.len().max(1));
    let samples = cpus.repeat(rounds).into_iter().map(|cpu| {
        let mut one = CpuSet::new();
        one.set(cpu);
        sched_setaffinity(None, &one).expect("a thread can choose among its CPUs");
        std::thread::sleep(WAIT);
        parse_and_sign(pkcs1_der)
    });
    let samples: Vec<_> = samples.collect();
    sched_setaffinity(None, &all).expect("the thread ran on these CPUs before");
    mean(&samples)
}

fn parse_and_sign(pkcs1_der: &[u8]) -> Duration {
    let before = of_this_thread();
    let pair = KeyPair::from_der(pkcs1_der).expect("the key is valid");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        &[b'.'; 200],
        &mut signature,
    )
    .expect("the key can sign");
    of_this_thread().saturating_sub(before)
}

fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}
