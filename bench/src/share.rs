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
    /// The group that the bench itself runs in.
    home: PathBuf,
    /// The group whose CPU time can be limited.
    limited: PathBuf,
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
        let limited = root.join(name);
        std::fs::create_dir(&limited)?;
        let share = Self {
            version: 1,
            home: root.to_owned(),
            limited,
            inside: AtomicI32::new(0),
        };
        write(
            &share.limited.join("cpu.cfs_period_us"),
            &PERIOD_US.to_string(),
        )?;
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
        self.set_quota(None);
        self.join(&self.limited);
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
        self.join(&self.home);
        self.set_quota(Some(QUOTA_US));
    }

    fn set_quota(&self, quota: Option<u32>) {
        let quota = quota.map(|quota| quota.to_string());
        let (file, text) = if self.version == 1 {
            ("cpu.cfs_quota_us", quota.unwrap_or("-1".into()))
        } else {
            (
                "cpu.max",
                format!("{} {PERIOD_US}", quota.unwrap_or("max".into())),
            )
        };
        write(&self.limited.join(file), &text).expect("the group belongs to the bench");
    }

    fn join(&self, group: &Path) {
        let file = if self.version == 1 {
            "tasks"
        } else {
            "cgroup.threads"
        };
        write(&group.join(file), "0").expect("root can move a thread");
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

/// A control file takes each value in one write.
fn write(file: &Path, text: &str) -> io::Result<()> {
    std::fs::write(file, text)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}
