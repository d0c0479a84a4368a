//! Whether a process that lives long becomes slower or bigger. Comes in: the invocations of one process, in order. Goes
//! out: a row of the table.

use std::time::Duration;

use crate::measure::Invocation;
use crate::statistics::{median, milliseconds};
use crate::table::Row;

/// So many at the beginning are not looked at: by then every pool and buffer has its size. So many are compared.
const SETTLED: usize = 1_000;
/// The row speaks of so many.
const ENOUGH: usize = 20_000;
const GROWTH_LIMIT_KIB: u64 = 1024;
/// Medians of a thousand differ by this much on a machine that has other work.
const SLOWER: f64 = 1.1;

/// The first and the last of the invocations that count.
pub(crate) struct Growth {
    invocations: usize,
    cpu: [Duration; 2],
    resident: [u64; 2],
}

impl Growth {
    pub(crate) fn of(invocations: &[Invocation]) -> Self {
        let settled = SETTLED.min(invocations.len() / 4);
        let early = &invocations[settled..(2 * settled).max(1).min(invocations.len())];
        let late = &invocations[invocations.len() - settled..];
        let pair = [early, late];
        Self {
            invocations: invocations.len(),
            cpu: pair.map(|some| median(some.iter().map(|one| one.cpu)).unwrap_or_default()),
            resident: pair.map(|some| {
                some.iter()
                    .map(|one| one.resident)
                    .max()
                    .unwrap_or_default()
            }),
        }
    }

    pub(crate) fn row(&self) -> Row {
        let [before, after] = self.cpu;
        let grown = self.resident[1].saturating_sub(self.resident[0]);
        let ratio = after.as_secs_f64() / before.as_secs_f64();
        Row {
            what: format!("growth over {} invocations", self.invocations),
            target: "time (CPU, first and last thousand) and memory flat".to_owned(),
            found: Some(format!(
                "{:.2} ms, then {:.2} ms; {grown} KiB more",
                milliseconds(before),
                milliseconds(after)
            )),
            peer: None,
            pass: (self.invocations >= ENOUGH)
                .then_some(ratio <= SLOWER && grown < GROWTH_LIMIT_KIB),
        }
    }
}
