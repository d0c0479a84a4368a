//! What was measured of one program, in all conditions, and the figures that come of it. Comes in: measurements. Goes out:
//! medians.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::Phase;
use tempfile::TempDir;

use crate::measure::{Cold, Invocation, RoundTrips};
use crate::statistics::{mean, median};

/// Under what a program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) far: RoundTrips,
    /// Held to 128 MB's share from the end of init on.
    pub(crate) limited: bool,
}

/// Nothing is far, nothing is limited.
pub(crate) const FREE: Condition = Condition {
    name: "no delays",
    far: RoundTrips::NONE,
    limited: false,
};

/// All of them, in the order of the table and of the picture.
pub(crate) const CONDITIONS: [Condition; 4] = [
    FREE,
    Condition {
        name: "no delays, limited",
        far: RoundTrips::NONE,
        limited: true,
    },
    Condition {
        name: "delays",
        far: RoundTrips::USUAL,
        limited: false,
    },
    Condition {
        name: "delays, limited",
        far: RoundTrips::USUAL,
        limited: true,
    },
];

/// CPU time, told in F: medians, the ratio's too.
pub(crate) struct InSignatures {
    pub(crate) cpu: Duration,
    pub(crate) signature: Duration,
    pub(crate) ratio: f64,
}

impl InSignatures {
    /// Of pairs of a CPU time and F.
    fn of(pairs: &[(Duration, Duration)]) -> Self {
        let ratios = pairs
            .iter()
            .map(|(cpu, signature)| cpu.as_secs_f64() / signature.as_secs_f64());
        Self {
            cpu: median(pairs.iter().map(|pair| pair.0)).unwrap_or_default(),
            signature: median(pairs.iter().map(|pair| pair.1)).unwrap_or_default(),
            ratio: median(ratios).unwrap_or(f64::INFINITY),
        }
    }
}

/// A program and what was measured of it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// A copy, written in one go as a zip is unpacked: the file that the linker wrote was some per cent slower, presumably as
    /// it lies in smaller pieces in the kernel's cache.
    pub(crate) binary: PathBuf,
    _folder: TempDir,
    /// For each of [`CONDITIONS`].
    pub(crate) colds: [Vec<Cold>; 4],
    pub(crate) long_after_init: Vec<Duration>,
    /// Of several processes.
    pub(crate) warm: Vec<Invocation>,
    /// Of each round of such invocations: the mean of their CPU, and F after them.
    warm_in_signatures: Vec<(Duration, Duration)>,
    /// Of each start that was [`FREE`]: its CPU, and F after it.
    pub(crate) starts_in_signatures: Vec<(Duration, Duration)>,
    /// Of one process.
    pub(crate) long: Vec<Invocation>,
}

impl Program {
    pub(crate) fn new(name: &'static str, original: &Path) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a copy");
        // The name that Lambda starts.
        let binary = folder.path().join("bootstrap");
        let program = std::fs::read(original).expect("there is such a program");
        std::fs::write(&binary, program).expect("there is room for a copy");
        let executable = Permissions::from_mode(0o755);
        std::fs::set_permissions(&binary, executable).expect("the copy is ours");
        Self {
            name,
            binary,
            _folder: folder,
            colds: Default::default(),
            long_after_init: Vec::new(),
            warm: Vec::new(),
            warm_in_signatures: Vec::new(),
            starts_in_signatures: Vec::new(),
            long: Vec::new(),
        }
    }

    /// The median of one figure under one of [`CONDITIONS`].
    pub(crate) fn cold(&self, condition: usize, figure: impl Fn(&Cold) -> Duration) -> Duration {
        median(self.colds[condition].iter().map(figure)).unwrap_or_default()
    }

    /// The median of all warm invocations at 128 MB's share.
    pub(crate) fn warm_limited(&self) -> Duration {
        let warm = self.colds[1].iter().flat_map(|cold| &cold.warm);
        median(warm.copied()).unwrap_or_default()
    }

    /// How much longer the first invocation of each process takes at 128 MB's share than a later one of the same process.
    pub(crate) fn first_against_warm(&self) -> Vec<f64> {
        let ratios = self.colds[1].iter().filter_map(|cold| {
            let warm = median(cold.warm.iter().copied())?;
            Some(cold.first.as_secs_f64() / warm.as_secs_f64())
        });
        ratios.collect()
    }

    /// The last of the warm invocations, so many, were made in a round with this F.
    pub(crate) fn warm_of_round(&mut self, invocations: usize, signature: Duration) {
        let its = &self.warm[self.warm.len() - invocations..];
        let cpu = mean(its.iter().map(|one| one.cpu)).unwrap_or_default();
        self.warm_in_signatures.push((cpu, signature));
    }

    pub(crate) fn warm_cpu(&self) -> InSignatures {
        InSignatures::of(&self.warm_in_signatures)
    }

    /// Of a start on a free machine, to its first answer.
    pub(crate) fn start_cpu(&self) -> InSignatures {
        InSignatures::of(&self.starts_in_signatures)
    }

    pub(crate) fn warm_took(&self) -> Duration {
        median(self.warm.iter().map(|one| one.took)).unwrap_or_default()
    }

    pub(crate) fn late(&self) -> Duration {
        median(self.long_after_init.iter().copied()).unwrap_or_default()
    }

    /// The most memory that any run had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let cold = self.colds.iter().flatten().map(|cold| cold.peak_memory);
        let warm = self.warm.iter().chain(&self.long);
        let warm = warm.map(|one| one.peak_memory);
        cold.chain(warm).max().unwrap_or_default() * 1024
    }

    /// The fewest and the most requests of an invocation, and the most connections.
    pub(crate) fn requests(&self) -> (usize, usize, usize) {
        let cold = self.colds.iter().flatten().map(|cold| cold.requests);
        let all: Vec<_> = cold
            .chain(self.warm.iter().chain(&self.long).map(|one| one.requests))
            .collect();
        let connections = self.colds.iter().flatten().map(|cold| cold.connections);
        (
            all.iter().copied().min().unwrap_or_default(),
            all.iter().copied().max().unwrap_or_default(),
            connections.max().unwrap_or_default(),
        )
    }

    /// The phases of a start under one of [`CONDITIONS`], each as long as its median.
    pub(crate) fn phases(&self, condition: usize) -> Vec<(&'static str, Duration)> {
        let colds = &self.colds[condition];
        let names = colds.first().map(|cold| cold.phases.as_slice());
        let of = |name| {
            let one = move |cold: &Cold| {
                let is = |phase: &&Phase| phase.name == name;
                cold.phases.iter().find(is).map(|phase| phase.takes)
            };
            median(colds.iter().filter_map(one)).unwrap_or_default()
        };
        let phases = names.unwrap_or_default().iter();
        phases.map(|phase| (phase.name, of(phase.name))).collect()
    }
}
