//! How long work may go on, and how long to wait before the next attempt. Pure arithmetic.
//!
//! In: the deadline that Lambda set, what went wrong, which attempt it was, a random number. Out: a wait, or that it
//! is no use. It never waits past the time that is left: a caller who is told beats a caller who is killed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    failure::{Failure, SsmFault},
    github::error::Refusal,
};

/// The first attempt and two more: enough for a fault that passes, few enough for GitHub's abuse limits.
pub const ATTEMPTS: u32 = 3;

/// The slowest answers of GitHub's and SSM's take about half a second. Two whole attempts and most of a
/// third fit into ten seconds.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// What posting the answer and the log line need, with a margin, at the 7 % of a core that 128 MB gives.
pub const ANSWER_MARGIN: Duration = Duration::from_millis(400);

/// What the mint and the proof leave for revoking a token that is refused, where there is time enough.
const REVOKE_MARGIN: Duration = Duration::from_secs(1);

/// Lambda keeps the time of its hosts to the second. Whoever answers in GitHub's place could ask for a JWT that is good in
/// years from now: a drift of more than a day is not believed.
const LARGEST_DRIFT: Duration = Duration::from_hours(24);

/// GitHub answers a small request in less than this nearly always; an attempt with less time left is no use.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(300);

/// The wait before the second attempt, before the jitter; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// How often a call with a new token is made, and how long it waits between: GitHub needs some seconds to spread a token.
const SPREADING_ATTEMPTS: u32 = 8;
const SPREADING_WAIT: Duration = Duration::from_millis(500);

/// The time that an invocation has for its work: until Lambda's deadline, less [`ANSWER_MARGIN`].
///
/// `deadline_ms` is the `Lambda-Runtime-Deadline-Ms` header, milliseconds since 1970.
pub fn time_for_work(deadline_ms: u64, now: SystemTime) -> Duration {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(deadline_ms))
        .and_then(|deadline| deadline.duration_since(now).ok())
        .unwrap_or_default()
        .saturating_sub(ANSWER_MARGIN)
}

/// What the mint and the proof leave of the time for work: enough to revoke a token, and never most of a short time.
pub fn revoke_margin(time_for_work: Duration) -> Duration {
    REVOKE_MARGIN.min(time_for_work / 4)
}

/// Whether a JWT may be signed with GitHub's time in place of ours.
pub fn correctable_drift(ours: SystemTime, githubs: SystemTime) -> bool {
    let drift = ours
        .duration_since(githubs)
        .unwrap_or_else(|ahead| ahead.duration());
    drift <= LARGEST_DRIFT
}

/// The wait before the next attempt, or `None` when `failure` is final, the attempts are used up, or the wait does not
/// fit into the time that is left.
///
/// `attempt` counts from 1; `jitter` is a random number from 0 to 1.
pub fn wait_before_next(
    failure: &Failure,
    attempt: u32,
    jitter: f64,
    left: Duration,
) -> Option<Duration> {
    let full_jitter = || {
        FIRST_WAIT
            .saturating_mul(1 << attempt.min(8))
            .mul_f64(jitter.clamp(0.0, 1.0) / 2.0)
    };
    let (attempts, wait) = match failure {
        Failure::GitHubUnreachable(..)
        | Failure::GitHubRefused(_, _, Refusal::Unavailable)
        | Failure::ParametersUnreadable(
            SsmFault::Unreachable | SsmFault::Unavailable | SsmFault::Throttled,
        ) => (ATTEMPTS, full_jitter()),
        // All who were told to wait as long come back at the same moment: the jitter spreads them.
        Failure::GitHubRefused(_, _, Refusal::RateLimited { wait }) => {
            (ATTEMPTS, wait.saturating_add(full_jitter()))
        }
        Failure::GitHubRefused(_, _, Refusal::TokenNotYetKnown) => {
            (SPREADING_ATTEMPTS, SPREADING_WAIT)
        }
        _ => return None,
    };
    let fits = wait.saturating_add(SHORTEST_ATTEMPT) <= left;
    (attempt < attempts && fits).then_some(wait)
}

#[cfg(test)]
mod tests;
