//! A program, and the samples that were taken of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::measure::{Invocation, NEAR, RoundTrips, Start, Subject, USUAL};
use crate::statistics::{as_f64, mean, median, ms};

/// The conditions of a start: round-trip times, and whether it has 128 MB's share of a core from the end of init on.
pub(crate) const CONDITIONS: [(RoundTrips, bool); 4] =
    [(NEAR, false), (NEAR, true), (USUAL, false), (USUAL, true)];

/// CPU times, each with the F that was measured next to it.
#[derive(Default)]
pub(crate) struct InSignatures(Vec<(Duration, Duration)>);

impl InSignatures {
    pub(crate) fn push(&mut self, cpu: Duration, signature: Duration) {
        self.0.push((cpu, signature));
    }

    /// The median of the ratios, which is not the ratio of the medians: each pair saw one CPU speed.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.0.iter().map(|(cpu, f)| ms(*cpu) / ms(*f)))
    }

    pub(crate) fn cpu(&self) -> f64 {
        median(self.0.iter().map(|(cpu, _)| ms(*cpu)))
    }

    pub(crate) fn signature(&self) -> f64 {
        median(self.0.iter().map(|(_, f)| ms(*f)))
    }
}

/// A program and its samples.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Its program is a copy, written in one go, as Lambda unpacks a zip. The file that the linker wrote was 3 % slower, presumably
    /// because it lies in smaller pieces in the kernel's cache.
    pub(crate) subject: Subject,
    _folder: TempDir,
    /// For each of [`CONDITIONS`].
    pub(crate) starts: [Vec<Start>; 4],
    pub(crate) start_cpu: InSignatures,
    pub(crate) long_after_init: Vec<Duration>,
    pub(crate) warm: Vec<Invocation>,
    pub(crate) warm_cpu: InSignatures,
}

impl Program {
    pub(crate) fn new(name: &'static str, original: &Path, kms: bool) -> Self {
        let folder = tempfile::tempdir().expect("there is space for a copy");
        let binary = folder.path().join("bootstrap");
        let program = std::fs::read(original).expect("the program exists");
        std::fs::write(&binary, program).expect("there is space for a copy");
        let executable = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&binary, executable).expect("the copy belongs to the bench");
        Self {
            name,
            subject: Subject { binary, kms },
            _folder: folder,
            starts: Default::default(),
            start_cpu: InSignatures::default(),
            long_after_init: Vec::new(),
            warm: Vec::new(),
            warm_cpu: InSignatures::default(),
        }
    }

    /// Adds warm invocations that share one measurement of F.
    pub(crate) fn add_warm(&mut self, round: &[Invocation], signature: Duration) {
        let cpu: Vec<_> = round.iter().map(|one| one.cpu).collect();
        self.warm_cpu.push(mean(&cpu), signature);
        self.warm.extend(round);
    }

    /// The median of a figure of the starts under one of [`CONDITIONS`], in milliseconds.
    pub(crate) fn of_start(&self, condition: usize, figure: fn(&Start) -> Duration) -> f64 {
        median(self.starts[condition].iter().map(|one| ms(figure(one))))
    }

    /// With 128 MB's share: the first invocation and a later one, and for each process the ratio of the two.
    pub(crate) fn first_and_warm(&self) -> (f64, f64, Vec<f64>) {
        let warm = |start: &Start| median(start.warm.iter().copied().map(ms));
        let ratios = self.starts[1]
            .iter()
            .map(|one| ms(one.of_first()) / warm(one));
        let first = self.of_start(1, Start::of_first);
        (
            first,
            median(self.starts[1].iter().map(warm)),
            ratios.collect(),
        )
    }

    /// The peak of all runs, in MB.
    pub(crate) fn peak_memory(&self) -> f64 {
        let starts = self
            .starts
            .iter()
            .flatten()
            .map(|one| one.first.peak_memory);
        let warm = self.warm.iter().map(|one| one.peak_memory_kib);
        as_f64(starts.chain(warm).max().unwrap_or_default()) * 1024.0 / 1e6
    }

    /// The fewest and the most requests of an invocation, and the most connections.
    pub(crate) fn requests(&self) -> (usize, usize, usize) {
        let starts = || self.starts.iter().flatten();
        let all = self.warm.iter().map(|one| one.requests);
        let all: Vec<_> = starts()
            .map(|one| one.first.requests.len())
            .chain(all)
            .collect();
        let connections = starts().map(Start::connections).max();
        let bounds = all.iter().min().zip(all.iter().max()).unwrap_or((&0, &0));
        (*bounds.0, *bounds.1, connections.unwrap_or_default())
    }

    /// The steps of a start in order, each with its median: the start of the process, what the function logs, the rest.
    pub(crate) fn steps(&self, condition: usize) -> Vec<(&'static str, f64)> {
        let step = |name: &str| {
            median(
                self.starts[condition]
                    .iter()
                    .filter_map(|one| one.step(name)),
            )
        };
        let first = self.of_start(condition, Start::of_first);
        let mut steps = vec![(
            "start",
            self.of_start(condition, Start::to_response) - first,
        )];
        steps.extend(["load", "sign", "confirm", "mint", "prove"].map(|name| (name, step(name))));
        let logged: f64 = steps[1..].iter().map(|step| step.1).sum();
        steps.push(("respond", (first - logged).max(0.0)));
        steps.retain(|(_, took)| !took.is_nan());
        steps
    }
}
