//! The share of a core that Lambda gives a function of 128 MB: 128 / 1,769 of one. Comes in: the process, when its init
//! is over. Goes out: the same process, held to that share by the kernel's scheduler (cgroup v1) or, where that cannot be
//! had, stopped and continued by turns. Before that it has a whole core, as Lambda gives it for init.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The time over which Lambda's scheduler counts a function's share, and what a function of 128 MB may use of it.
const PERIOD: Duration = Duration::from_millis(20);
const QUOTA: Duration = Duration::from_micros(1447);

const CPU_CONTROLLER: &str = "/sys/fs/cgroup/cpu";

/// How the share is enforced on this machine.
#[derive(Clone)]
pub(crate) enum Share {
    /// A group of the scheduler's.
    Group(Arc<Group>),
    /// SIGSTOP and SIGCONT by turns.
    Turns,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quota, period) = (QUOTA.as_micros(), PERIOD.as_millis());
        match self {
            Self::Group(_) => write!(
                f,
                "a cgroup (v1) of the kernel's scheduler: {quota} µs in each {period} ms"
            ),
            Self::Turns => write!(
                f,
                "NOT a cgroup, which this machine does not allow (v1, as root): SIGCONT for {quota} µs and SIGSTOP for the \
                 rest of each {period} ms, whether the function works or waits; slower than a true share, which is only \
                 used up by work"
            ),
        }
    }
}

impl Share {
    /// The best way that the machine has.
    pub(crate) fn of_this_machine() -> Self {
        Group::create().map_or(Self::Turns, |group| Self::Group(Arc::new(group)))
    }

    /// To be called by the thread that will start the process: what it starts begins where it is. Moving the process later
    /// would stop it for some ten milliseconds.
    pub(crate) fn before_start(&self) {
        if let Self::Group(group) = self {
            group.set_quota(None);
            join(&group.0);
        }
    }

    /// To be called by the same thread when init is over. The limit holds until what comes back is dropped.
    pub(crate) fn limit(&self, pid: u32) -> Option<Turns> {
        match self {
            Self::Group(group) => {
                join(Path::new(CPU_CONTROLLER));
                group.set_quota(Some(QUOTA));
                None
            }
            Self::Turns => Some(Turns::begin(pid)),
        }
    }

    /// Takes the group away; to be called when all that was started has ended.
    pub(crate) fn end(&self) {
        if let Self::Group(group) = self {
            join(Path::new(CPU_CONTROLLER));
            // A process that was killed leaves its group a little later.
            for _ in 0..100 {
                if std::fs::remove_dir(&group.0).is_ok() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A group of this run's.
pub(crate) struct Group(PathBuf);

impl Group {
    fn create() -> Option<Self> {
        let folder = Path::new(CPU_CONTROLLER).join(format!("broker-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        let period = PERIOD.as_micros().to_string();
        std::fs::write(group.0.join("cpu.cfs_period_us"), period).ok()?;
        Some(group)
    }

    fn set_quota(&self, quota: Option<Duration>) {
        let text = quota.map_or("-1".to_owned(), |quota| quota.as_micros().to_string());
        std::fs::write(self.0.join("cpu.cfs_quota_us"), text).expect("the group is ours");
    }
}

/// Moves the calling thread, and no other, into a group.
fn join(group: &Path) {
    std::fs::write(group.join("tasks"), "0").expect("a thread may change its group, as root");
}

/// The turns of one process; it goes on freely when this is dropped.
pub(crate) struct Turns(Arc<AtomicBool>);

impl Turns {
    fn begin(pid: u32) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let (flag, pid) = (
            Arc::clone(&going),
            i32::try_from(pid).ok().and_then(Pid::from_raw),
        );
        std::thread::spawn(move || {
            let signal = |signal| pid.is_some_and(|pid| kill_process(pid, signal).is_ok());
            while flag.load(Ordering::Relaxed) {
                std::thread::sleep(QUOTA);
                signal(Signal::STOP);
                std::thread::sleep(PERIOD.saturating_sub(QUOTA));
                if !signal(Signal::CONT) {
                    return;
                }
            }
        });
        Self(going)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
