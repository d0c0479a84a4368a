//! The CPU share of a Lambda function with 128 MB, enforced by the kernel's scheduler in a control group.
//!
//! Input: a process, at the end of its init. Until then it has a whole core, as Lambda gives it for init.
//! Both versions of control groups work: `cpu.cfs_quota_us` (v1) and `cpu.max` (v2). Only root can create a group.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::thread::gettid;

/// Lambda gives a core to 1,769 MB, and enforces the share in periods of 20 ms: 20 ms * 128 / 1,769 = 1.447 ms.
const PERIOD_US: u32 = 20_000;
const QUOTA_US: u32 = 1_447;

/// A control group of this process. It is removed when this value is dropped.
pub(crate) struct Share {
    version: u8,
    /// The group that the bench itself runs in, and the one whose CPU time can be limited.
    home: PathBuf,
    limited: PathBuf,
    /// The file that takes threads into a group.
    threads: &'static str,
    /// The file that limits a group, and what removes and sets the limit.
    quota: &'static str,
    no_limit: String,
    limit: String,
    /// The thread that entered the group.
    inside: AtomicI32,
}

impl Share {
    /// Creates the group. An error says why this machine does not allow it.
    pub(crate) fn create() -> io::Result<Self> {
        let v1 = Path::new("/sys/fs/cgroup/cpu");
        let name = format!("broker-bench-{}", std::process::id());
        if v1.join("tasks").exists() {
            Self::create_v1(v1, &name)
        } else {
            Self::create_v2(Path::new("/sys/fs/cgroup"), &name)
        }
    }

    fn create_v1(root: &Path, name: &str) -> io::Result<Self> {
        let share = Self {
            version: 1,
            home: root.to_owned(),
            limited: root.join(name),
            threads: "tasks",
            quota: "cpu.cfs_quota_us",
            no_limit: "-1".into(),
            limit: QUOTA_US.to_string(),
            inside: AtomicI32::new(0),
        };
        std::fs::create_dir(&share.limited)?;
        let period = share.limited.join("cpu.cfs_period_us");
        write(&period, &PERIOD_US.to_string())?;
        Ok(share)
    }

    /// In version 2, the threads of one process can be in different groups only below a common domain, so the bench moves
    /// into a group of its own first.
    fn create_v2(root: &Path, name: &str) -> io::Result<Self> {
        let home = root.join(name);
        let share = Self {
            version: 2,
            limited: home.join("limited"),
            home,
            threads: "cgroup.threads",
            quota: "cpu.max",
            no_limit: format!("max {PERIOD_US}"),
            limit: format!("{QUOTA_US} {PERIOD_US}"),
            inside: AtomicI32::new(0),
        };
        write(&root.join("cgroup.subtree_control"), "+cpu")?;
        std::fs::create_dir(&share.home)?;
        write(&share.home.join("cgroup.procs"), "0")?;
        std::fs::create_dir(&share.limited)?;
        write(&share.limited.join("cgroup.type"), "threaded")?;
        write(&share.home.join("cgroup.subtree_control"), "+cpu")?;
        Ok(share)
    }

    /// Moves the calling thread into the group, without a limit. A process that it starts now begins in the group: to move
    /// the process later would stop it for about 10 ms.
    pub(crate) fn enter(&self) {
        set(&self.limited, self.quota, &self.no_limit);
        set(&self.limited, self.threads, "0");
        self.inside.store(gettid().as_raw_pid(), Ordering::Relaxed);
    }

    /// Moves the calling thread out of the group, and limits what is still in it.
    ///
    /// # Panics
    /// If it is not the thread that entered: the limit would then apply to the bench too.
    pub(crate) fn limit(&self) {
        assert_eq!(
            self.inside.load(Ordering::Relaxed),
            gettid().as_raw_pid(),
            "another thread entered the group"
        );
        set(&self.home, self.threads, "0");
        set(&self.limited, self.quota, &self.limit);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.version == 2
            && let Some(root) = self.home.parent()
        {
            let _ = write(&root.join("cgroup.procs"), "0");
        }
        // A killed process leaves its group a little later.
        for _ in 0..100 {
            let removed = std::fs::remove_dir(&self.limited).is_ok();
            if removed && (self.version == 1 || std::fs::remove_dir(&self.home).is_ok()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cgroup v{}: {QUOTA_US} µs in each {} ms",
            self.version,
            PERIOD_US / 1000
        )
    }
}

fn set(group: &Path, file: &str, text: &str) {
    write(&group.join(file), text).expect("the groups belong to the bench");
}

/// A control file takes each value in one write.
fn write(file: &Path, text: &str) -> io::Result<()> {
    std::fs::write(file, text)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder stands in for the kernel. It shows what is written, by the rules of "Threads" in the kernel's `cgroup-v2.rst`.
    #[test]
    fn version_2_limits_threads_below_a_domain() {
        let root = tempfile::tempdir().expect("there is space");
        let share = Share::create_v2(root.path(), "bench").expect("the folder is writable");
        let read =
            |file: &str| std::fs::read_to_string(root.path().join(file)).expect("it was written");
        assert_eq!(read("cgroup.subtree_control"), "+cpu");
        assert_eq!(read("bench/cgroup.subtree_control"), "+cpu");
        assert_eq!(read("bench/cgroup.procs"), "0");
        assert_eq!(read("bench/limited/cgroup.type"), "threaded");
        share.enter();
        assert_eq!(read("bench/limited/cgroup.threads"), "0");
        assert_eq!(read("bench/limited/cpu.max"), "max 20000");
        share.limit();
        assert_eq!(read("bench/cgroup.threads"), "0");
        assert_eq!(read("bench/limited/cpu.max"), "1447 20000");
    }
}
