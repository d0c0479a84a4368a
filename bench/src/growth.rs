//! Whether a process that lives long becomes slower or bigger. Comes in: its invocations in order, and, for the last of
//! them, those of a fresh process that took turns with it: a machine is not as fast in one minute as in the next. Goes out:
//! a row of the table.

use std::time::Duration;

use crate::measure::Invocation;
use crate::statistics::{median, milliseconds};
use crate::table::Row;

/// So many at the beginning are not looked at: by then every pool and buffer has its size. As many are, after them.
const SETTLED: usize = 1_000;
/// The row speaks of so many.
const ENOUGH: usize = 20_000;
const GROWTH_LIMIT_KIB: u64 = 1024;
/// One process can be 3 % slower than another of the same program, and the machine has other work.
const SLOWER: f64 = 1.1;

/// The old process against the fresh one, and against itself when it was young.
pub(crate) struct Growth {
    invocations: usize,
    cpu_of_fresh: Duration,
    cpu_of_old: Duration,
    /// What an invocation of the old process costs, against the fresh one's beside it.
    ratio: f64,
    resident: [u64; 2],
}

impl Growth {
    /// `old` are all invocations of the process; as many as `fresh` has were made by turns with it, the last ones.
    pub(crate) fn of(old: &[Invocation], fresh: &[Invocation]) -> Self {
        let settled = SETTLED.min(old.len() / 4);
        let young = &old[settled..(2 * settled).max(1).min(old.len())];
        let late = &old[old.len() - fresh.len()..];
        let cpu = |some: &[Invocation]| median(some.iter().map(|one| one.cpu)).unwrap_or_default();
        let resident = |some: &[Invocation]| {
            let all = some.iter().map(|one| one.resident);
            all.max().unwrap_or_default()
        };
        let ratios = late
            .iter()
            .zip(fresh)
            .map(|(old, fresh)| old.cpu.as_secs_f64() / fresh.cpu.as_secs_f64());
        Self {
            invocations: old.len(),
            ratio: median(ratios).unwrap_or(f64::INFINITY),
            cpu_of_fresh: cpu(fresh),
            cpu_of_old: cpu(late),
            resident: [resident(young), resident(late)],
        }
    }

    pub(crate) fn row(&self) -> Row {
        let [before, after] = self.resident;
        let grown = after.saturating_sub(before);
        Row {
            what: format!("growth over {} invocations", self.invocations),
            target: "time (CPU, against a fresh process by turns) and memory flat".to_owned(),
            found: Some(format!(
                "{:.2} x a fresh one's ({:.2} ms, {:.2} ms); {grown} KiB more",
                self.ratio,
                milliseconds(self.cpu_of_old),
                milliseconds(self.cpu_of_fresh)
            )),
            peer: None,
            pass: (self.invocations >= ENOUGH)
                .then_some(self.ratio <= SLOWER && grown < GROWTH_LIMIT_KIB),
        }
    }
}
