//! CPU time by the kernel's own accounting, in nanoseconds. Comes in: a process. Goes out: what all its threads used.
//! And F, the measure of everything else: what it costs to read the App's key once and to sign once. Two CPUs of a
//! virtual machine need not be equally fast, nor one of them in the next tenth of a second.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use sandbox::PrivateKey;

use crate::statistics::mean;

/// What the living threads of a process used so far (`sum_exec_runtime`, exact while the process is stopped or waits).
///
/// # Panics
/// Where the kernel does not tell: a figure of nothing would pass every row.
pub(crate) fn of_process(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let used: Duration = threads
        .filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        })
        .map(Duration::from_nanos)
        .sum();
    assert!(
        !used.is_zero(),
        "/proc/{pid}/task/*/schedstat tells no CPU time on this machine"
    );
    used
}

/// The mean of so many is taken, or of as many as it takes to have the same number on each CPU: few, for they stand beside few
/// invocations.
const SIGNATURES: usize = 4;
/// Between them, since the function has waited too when it reads its key and signs.
const WAIT: Duration = Duration::from_millis(1);

/// F: what a thread uses to read a key and to sign with it, once, by the library that the function has too. On each CPU that
/// this thread may use, in turn, as the function goes from one to the other.
pub(crate) fn of_one_signature(key: &PrivateKey) -> Duration {
    let all = sched_getaffinity(None).expect("the kernel tells where a thread may run");
    let mine = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let mine: Vec<_> = mine.collect();
    let rounds = SIGNATURES.div_ceil(mine.len().max(1));
    let samples = mine.repeat(rounds).into_iter().map(|cpu| {
        let mut one = CpuSet::new();
        one.set(cpu);
        sched_setaffinity(None, &one).expect("a thread may choose of its CPUs");
        std::thread::sleep(WAIT);
        sign(key)
    });
    let used = mean(samples);
    sched_setaffinity(None, &all).expect("it ran there before");
    used.unwrap_or_default()
}

fn sign(key: &PrivateKey) -> Duration {
    let before = of_this_thread();
    let pair = KeyPair::from_der(key.pkcs1_der()).expect("a key that was just made");
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
