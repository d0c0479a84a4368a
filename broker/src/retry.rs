//! How long an invocation may work, whether a call is worth another attempt, and how long to wait before it.
//!
//! Input: Lambda's deadline, what a failed call says about trying again ([`Retry`]), a random number.
//! Output: a wait, or the end of the attempts.
//! Invariant: no wait ends too late for another attempt, because returning an error is better than being killed by Lambda.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};

/// The first attempt and two more: enough for a transient failure, and few enough for GitHub's abuse limits.
pub const MAX_ATTEMPTS: u32 = 3;

/// One attempt of a call that can be repeated safely. The slowest responses from GitHub and SSM take about half a second,
/// and two whole attempts and most of a third fit into ten seconds.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// Time reserved before Lambda's deadline for posting the result. It takes about 1 ms of CPU. At 128 MB Lambda gives a
/// function 7 % of a core, in slices of 20 ms, so this is five slices.
pub const RESPONSE_MARGIN: Duration = Duration::from_millis(100);

/// Time that must remain after a mint was sent, so that a token that fails its proof can be revoked.
const REVOCATION_RESERVE: Duration = Duration::from_secs(1);

/// GitHub nearly always answers a small request faster than this, so an attempt with less time left is pointless.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(300);

/// The longest wait that a server may impose on a waiting caller. A longer one is reported at once.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The wait before the second attempt, before jitter. It doubles with each attempt.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// A new token can take a few seconds to become valid on all of GitHub's servers.
const PROPAGATION_ATTEMPTS: u32 = 8;
const PROPAGATION_WAIT: Duration = Duration::from_millis(500);

/// What a failed call says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call would fail again.
    Never,
    /// The failure is transient.
    Backoff,
    /// The server stated how long to wait.
    After(Duration),
    /// The call used a new token, which has not propagated yet.
    UntilPropagated,
}

impl Retry {
    /// The wait before the next attempt. `None` if there must not be one: the failure is final, the attempts are used up,
    /// or the wait does not fit into `left`, the time that remains.
    ///
    /// `attempt` counts from 1; `jitter` is a random number from 0 to 1.
    pub fn wait(self, attempt: u32, jitter: f64, left: Duration) -> Option<Duration> {
        let full_jitter = || {
            FIRST_WAIT
                .saturating_mul(1 << attempt.min(8))
                .mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
        };
        let (attempts, wait) = match self {
            Self::Never => return None,
            Self::Backoff => (MAX_ATTEMPTS, full_jitter()),
            Self::After(wait) if wait > LONGEST_WAIT => return None,
            // Throttled clients all get the same delay; jitter keeps them from retrying in lockstep.
            Self::After(wait) => (MAX_ATTEMPTS, wait.saturating_add(full_jitter())),
            Self::UntilPropagated => (PROPAGATION_ATTEMPTS, PROPAGATION_WAIT),
        };
        let fits = wait.saturating_add(SHORTEST_ATTEMPT) <= left;
        (attempt < attempts && fits).then_some(wait)
    }
}

/// The time in which the calls of one invocation must be done.
#[derive(Debug, Clone, Copy)]
pub struct TimeWindow {
    /// When the invocation began.
    pub began: Instant,
    /// When its last call must be over.
    pub until: Instant,
}

/// The attempts of one call, counted.
#[derive(Debug)]
pub struct Attempts {
    until: Instant,
    started: u32,
}

impl Attempts {
    /// No attempt yet; none may run past `until`.
    pub fn new(until: Instant) -> Self {
        Self { until, started: 0 }
    }

    /// Starts an attempt and returns how long it may take: `limit`, or the time that remains.
    pub fn start(&mut self, limit: Duration) -> Duration {
        self.started += 1;
        limit.min(self.left())
    }

    /// Waits until the next attempt. `false` at once if there must not be one.
    pub async fn wait(&self, retry: Retry) -> bool {
        match retry.wait(self.started, fastrand::f64(), self.left()) {
            Some(wait) => {
                sleep(wait).await;
                true
            }
            None => false,
        }
    }

    /// The number of attempts so far.
    pub fn started(&self) -> u32 {
        self.started
    }

    /// The time that remains.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// The time that an invocation may use: until Lambda's deadline, less [`RESPONSE_MARGIN`].
///
/// `deadline_ms` is the `Lambda-Runtime-Deadline-Ms` header: milliseconds since 1970.
pub fn time_for_work(deadline_ms: u64, now: SystemTime) -> Duration {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(deadline_ms))
        .and_then(|deadline| deadline.duration_since(now).ok())
        .unwrap_or_default()
        .saturating_sub(RESPONSE_MARGIN)
}

/// The time that must remain when a mint is sent: enough to revoke the token, and at most a quarter of a short time.
pub fn revocation_reserve(time_for_work: Duration) -> Duration {
    REVOCATION_RESERVE.min(time_for_work / 4)
}

#[cfg(test)]
mod tests;
