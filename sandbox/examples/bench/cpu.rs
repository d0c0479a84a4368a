//! CPU time by the kernel's own accounting, in nanoseconds. Comes in: a process. Goes out: what all its threads used.
//! And F, the measure of everything else: what it costs to read the App's key once and to sign once.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rustix::time::{ClockId, clock_gettime};
use sandbox::PrivateKey;

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

/// F, once: what this thread uses to read a key and to sign with it, by the library that the function has too.
pub(crate) fn of_one_signature(key: &PrivateKey) -> Duration {
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
