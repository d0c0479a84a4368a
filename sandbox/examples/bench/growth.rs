//! Whether a process that lives long becomes slower or bigger. Comes in: the invocations of one process, in order, and
//! what a signature cost beside each. Goes out: a row of the table.

use std::time::Duration;

use crate::measure::Invocation;
use crate::statistics::median;
use crate::table::Row;

/// So many at the beginning are not looked at: by then every pool and buffer has its size. So many are compared.
const SETTLED: usize = 1_000;
/// The row speaks of so many.
const ENOUGH: usize = 20_000;
const GROWTH_LIMIT_KIB: u64 = 1024;
/// Medians of a thousand differ by this much on a machine that has other work, though both are told in F.
const SLOWER: f64 = 1.1;

/// The first and the last of the invocations that count.
pub(crate) struct Growth {
    invocations: usize,
    cpu_in_signatures: [f64; 2],
    resident: [u64; 2],
}

impl Growth {
    pub(crate) fn of(invocations: &[Invocation], signatures: &[Duration]) -> Self {
        let settled = SETTLED.min(invocations.len() / 4);
        let early = settled..(2 * settled).max(1).min(invocations.len());
        let late = invocations.len() - settled..invocations.len();
        let pair = [early, late];
        let in_signatures = |number: usize| {
            invocations[number].cpu.as_secs_f64() / signatures[number].as_secs_f64()
        };
        Self {
            invocations: invocations.len(),
            cpu_in_signatures: pair
                .clone()
                .map(|some| median(some.map(in_signatures)).unwrap_or_default()),
            resident: pair.map(|some| {
                let resident = invocations[some].iter().map(|one| one.resident);
                resident.max().unwrap_or_default()
            }),
        }
    }

    pub(crate) fn row(&self) -> Row {
        let [before, after] = self.cpu_in_signatures;
        let grown = self.resident[1].saturating_sub(self.resident[0]);
        Row {
            what: format!("growth over {} invocations", self.invocations),
            target: "time (CPU, first and last thousand) and memory flat".to_owned(),
            found: Some(format!(
                "{before:.2} F, then {after:.2} F; {grown} KiB more"
            )),
            peer: None,
            pass: (self.invocations >= ENOUGH)
                .then_some(after <= before * SLOWER && grown < GROWTH_LIMIT_KIB),
        }
    }
}
