//! When faults happen.
//!
//! Input: a fault, its call and a schedule. Output: for each call in turn, the fault that is due, if any.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::faults::Fault;
use crate::lock;
use crate::net::recorder::Call;

/// How often a fault happens, counted from when it is scheduled.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// To the first call.
    First(Fault),
    /// To the first calls, this many.
    Times(usize, Fault),
    /// To every call.
    Always(Fault),
}

/// All faults scheduled for a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    plans: Vec<Plan>,
    random: Option<RandomFaults>,
}

#[derive(Debug)]
struct Plan {
    call: Call,
    schedule: Schedule,
    attempts: usize,
}

#[derive(Debug)]
struct RandomFaults {
    percent: u64,
    generator: fastrand::Rng,
}

impl Faults {
    pub(crate) fn add(&self, call: Call, schedule: Schedule) {
        lock(&self.inner).plans.push(Plan {
            call,
            schedule,
            attempts: 0,
        });
    }

    /// From now on, this percentage of calls gets a transient fault, the same ones for the same seed.
    pub(crate) fn add_random(&self, seed: u64, percent: u64) {
        lock(&self.inner).random = Some(RandomFaults {
            percent,
            generator: fastrand::Rng::with_seed(seed),
        });
    }

    /// Counts a call of this kind and returns its fault, if any.
    pub(crate) fn due(&self, call: Call) -> Option<Fault> {
        let mut inner = lock(&self.inner);
        let planned = take_due(&mut inner.plans, |plan| {
            plan.call == call && !plan.schedule.fault().is_before_request()
        });
        planned.or_else(|| inner.random.as_mut()?.draw(call))
    }

    /// Counts a connection made for this call and returns its fault, if any.
    pub(crate) fn due_at_connection(&self, call: Call) -> Option<Fault> {
        let plans = &mut lock(&self.inner).plans;
        take_due(plans, |plan| {
            plan.call == call && plan.schedule.fault().is_at_connection()
        })
    }

    /// Counts an opportunity for a fault that happens before its call, and returns whether it is due.
    pub(crate) fn take(&self, call: Call, kind: impl Fn(&Fault) -> bool) -> bool {
        take_due(&mut lock(&self.inner).plans, |plan| {
            plan.call == call && kind(plan.schedule.fault())
        })
        .is_some()
    }

    /// Whether a fault of this kind might still happen to this call.
    pub(crate) fn awaits(&self, call: Call, kind: impl Fn(&Fault) -> bool) -> bool {
        let inner = lock(&self.inner);
        inner.plans.iter().any(|plan| {
            plan.call == call
                && kind(plan.schedule.fault())
                && plan.schedule.may_still_happen(plan.attempts + 1)
        })
    }

    /// Whether any fault of this kind is scheduled.
    pub(crate) fn any(&self, kind: impl Fn(&Fault) -> bool) -> bool {
        lock(&self.inner)
            .plans
            .iter()
            .any(|plan| kind(plan.schedule.fault()))
    }

    /// Whether a schedule of this kind was ever set for this call.
    pub(crate) fn has(&self, call: Call, kind: impl Fn(&Schedule) -> bool) -> bool {
        lock(&self.inner)
            .plans
            .iter()
            .any(|plan| plan.call == call && kind(&plan.schedule))
    }
}

impl Schedule {
    pub(crate) fn fault(&self) -> &Fault {
        let (Self::First(fault) | Self::Times(_, fault) | Self::Always(fault)) = self;
        fault
    }

    fn is_due(&self, attempt: usize) -> bool {
        match self {
            Self::First(_) => attempt == 1,
            Self::Times(count, _) => attempt <= *count,
            Self::Always(_) => true,
        }
    }

    /// Whether it can still happen at this attempt or a later one.
    fn may_still_happen(&self, attempt: usize) -> bool {
        match self {
            Self::First(_) => attempt <= 1,
            Self::Times(count, _) => attempt <= *count,
            Self::Always(_) => true,
        }
    }
}

fn take_due(plans: &mut [Plan], applies: impl Fn(&Plan) -> bool) -> Option<Fault> {
    let mut due = None;
    for plan in plans.iter_mut().filter(|plan| applies(plan)) {
        plan.attempts += 1;
        if due.is_none() && plan.schedule.is_due(plan.attempts) {
            due = Some(plan.schedule.fault().clone());
        }
    }
    due
}

impl RandomFaults {
    fn draw(&mut self, call: Call) -> Option<Fault> {
        if call == Call::Other || self.generator.u64(..100) >= self.percent {
            return None;
        }
        Some(match self.generator.u8(..6) {
            0 => Fault::Status(500),
            1 => Fault::Status(502),
            2 => Fault::Status(503),
            3 => Fault::ResetBeforeResponse,
            4 => Fault::ResetMidResponse,
            _ => Fault::Delay(Duration::from_millis(20)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_happens_as_often_as_scheduled() {
        let faults = Faults::default();
        faults.add(Call::Mint, Schedule::Times(2, Fault::Status(500)));
        let seen: Vec<_> = (0..4).map(|_| faults.due(Call::Mint).is_some()).collect();
        assert_eq!(seen, [true, true, false, false]);
        assert!(faults.due(Call::Confirm).is_none());
    }

    #[test]
    fn same_seed_gives_the_same_faults() {
        let draw = || {
            let faults = Faults::default();
            faults.add_random(7, 5);
            (0..1000)
                .map(|_| faults.due(Call::Mint).is_some())
                .collect::<Vec<_>>()
        };
        let hits = draw().iter().filter(|hit| **hit).count();
        assert!((20..100).contains(&hits), "{hits} of 1000 is not about 5 %");
        assert_eq!(draw(), draw());
    }
}
