//! The table of targets. Comes in: the measured figures. Goes out: for each row what was aimed at, what was found, and
//! whether that is a pass. A row that could not be measured says so, and never passes.

use std::time::Duration;

use serde::Serialize;

use crate::growth::Growth;
use crate::measure::RoundTrips;
use crate::program::{InSignatures, Program};
use crate::statistics::{median, milliseconds};
use crate::zips::Zip;

/// One row.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) target: String,
    /// Nothing where it was not measured.
    pub(crate) found: Option<String>,
    /// The same of the other program.
    pub(crate) peer: Option<String>,
    /// Nothing where the figure says nothing of the target.
    pub(crate) pass: Option<bool>,
}

/// The table's rows and what they are made from.
pub(crate) struct Findings<'a> {
    pub(crate) ours: &'a Program,
    pub(crate) peer: Option<&'a Program>,
    pub(crate) growth: Growth,
    pub(crate) zips: Vec<Zip>,
    /// Whether 128 MB's share was held by the kernel's scheduler: turns are slower by up to a period, whatever the program.
    pub(crate) share_is_true: bool,
}

/// How many F may be used: more of a smaller F, since what is not the signature costs the same.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// Where F is 0.65 ms.
    at_650: f64,
    /// Where F is 0.48 ms.
    at_480: f64,
}

const WARM: Allowance = Allowance {
    at_650: 1.5,
    at_480: 2.0,
};
const START: Allowance = Allowance {
    at_650: 7.5,
    at_480: 10.0,
};

impl Allowance {
    /// On a straight line between the two, and constant beyond them.
    fn for_signature(self, signature: Duration) -> f64 {
        let share = (milliseconds(signature) - 0.48) / (0.65 - 0.48);
        let share = share.clamp(0.0, 1.0);
        self.at_480 + share * (self.at_650 - self.at_480)
    }
}

/// A first invocation against a warm one.
const FIRST_LIMIT: f64 = 1.5;
const MEMORY_LIMIT: u64 = 12_000_000;
const ZIP_LIMIT: u64 = 3_000_000;

impl Findings<'_> {
    /// The rows, in the order of the issue that set them.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            self.in_signatures(
                "warm invocation, CPU of the whole process",
                WARM,
                Program::warm_cpu,
            ),
            self.in_signatures(
                "start of the process to the first answer, CPU",
                START,
                Program::start_cpu,
            ),
            self.first_against_warm(),
        ];
        let four = RoundTrips::USUAL.github * 4;
        rows.push(self.in_time(
            "start to first answer, 4 ms to SSM and G = 20 ms, full CPU",
            "4 G + 10 ms",
            four + Duration::from_millis(10),
            |program| program.cold(2, |cold| cold.to_answer),
        ));
        let limited = self.in_time(
            "the same, 128 MB's share from the end of init on",
            "4 G + 12 ms",
            four + Duration::from_millis(12),
            |program| program.cold(3, |cold| cold.to_answer),
        );
        rows.push(Row {
            pass: limited.pass.filter(|_| self.share_is_true),
            ..limited
        });
        rows.push(self.in_time(
            "first invocation long after init (connections open), 50 ms to both hosts",
            "3 round trips + 15 ms",
            RoundTrips::FAR.github * 3 + Duration::from_millis(15),
            Program::late,
        ));
        rows.push(self.requests());
        rows.push(self.memory());
        rows.extend(self.zips.iter().map(zip));
        rows.push(self.growth.row());
        rows
    }

    fn in_signatures(
        &self,
        what: &str,
        allowance: Allowance,
        figure: impl Fn(&Program) -> InSignatures,
    ) -> Row {
        let ours = figure(self.ours);
        let allowed = allowance.for_signature(ours.signature);
        let told = |figure: &InSignatures| {
            format!("{:.2} F ({:.2} ms)", figure.ratio, milliseconds(figure.cpu))
        };
        Row {
            what: what.to_owned(),
            target: format!("<= {allowed:.2} F"),
            found: Some(told(&ours)),
            peer: self.peer.map(|peer| told(&figure(peer))),
            pass: Some(ours.ratio <= allowed),
        }
    }

    fn in_time(
        &self,
        what: &str,
        target: &str,
        limit: Duration,
        figure: impl Fn(&Program) -> Duration,
    ) -> Row {
        let told = |program| format!("{:.1} ms", milliseconds(figure(program)));
        Row {
            what: what.to_owned(),
            target: format!("<= {target} = {:.0} ms", milliseconds(limit)),
            found: Some(told(self.ours)),
            peer: self.peer.map(told),
            pass: Some(figure(self.ours) <= limit),
        }
    }

    fn first_against_warm(&self) -> Row {
        let usual = |program: &Program| median(program.first_against_warm());
        let told = |program: &Program| {
            let all = program.first_against_warm();
            format!(
                "{:.2} x ({:.1} ms, warm {:.1} ms); {} of {} above",
                usual(program).unwrap_or(f64::INFINITY),
                milliseconds(program.cold(1, |cold| cold.first)),
                milliseconds(program.warm_limited()),
                all.iter().filter(|ratio| **ratio > FIRST_LIMIT).count(),
                all.len()
            )
        };
        Row {
            what: "first invocation after init at 128 MB's share, no delays, connections open"
                .to_owned(),
            target: format!("<= {FIRST_LIMIT} x a warm one"),
            found: Some(told(self.ours)),
            peer: self.peer.map(told),
            pass: self
                .share_is_true
                .then(|| usual(self.ours).is_some_and(|ratio| ratio <= FIRST_LIMIT)),
        }
    }

    fn requests(&self) -> Row {
        let told = |program: &Program| {
            let (fewest, most, connections) = program.requests();
            let range = if fewest == most {
                fewest.to_string()
            } else {
                format!("{fewest} to {most}")
            };
            format!("{range} on {connections}")
        };
        let (fewest, most, connections) = self.ours.requests();
        Row {
            what: "requests of an invocation".to_owned(),
            target: "exactly 3, on at most 2 connections".to_owned(),
            found: Some(told(self.ours)),
            peer: self.peer.map(told),
            pass: Some((fewest, most) == (3, 3) && connections <= 2),
        }
    }

    fn memory(&self) -> Row {
        #[expect(clippy::cast_precision_loss, reason = "nobody has so much memory")]
        let told = |program: &Program| format!("{:.1} MB", program.peak_memory() as f64 / 1e6);
        Row {
            what: "peak memory".to_owned(),
            target: "<= 12 MB".to_owned(),
            found: Some(told(self.ours)),
            peer: self.peer.map(told),
            pass: Some((1..=MEMORY_LIMIT).contains(&self.ours.peak_memory())),
        }
    }
}

fn zip(zip: &Zip) -> Row {
    #[expect(clippy::cast_precision_loss, reason = "a zip of ours is small")]
    let told = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    Row {
        what: format!("zip, {}", zip.architecture),
        target: "<= 3.0 MB".to_owned(),
        found: zip.bytes.map(told),
        peer: None,
        pass: zip.bytes.map(|bytes| bytes <= ZIP_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_the_signature_the_more_of_them() {
        let allowed = |us| WARM.for_signature(Duration::from_micros(us));
        assert!((allowed(700) - 1.5).abs() < 1e-9);
        assert!((allowed(650) - 1.5).abs() < 1e-9);
        assert!((allowed(565) - 1.75).abs() < 1e-9);
        assert!((allowed(480) - 2.0).abs() < 1e-9);
        assert!((allowed(100) - 2.0).abs() < 1e-9);
    }
}
