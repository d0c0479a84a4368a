//! The output of a process: two files in memory take its stdout and stderr.
//!
//! Everything written before a moment can be read at that moment. A pipe might still hold a part of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};

/// The two files, and the position up to which each was read.
pub(crate) struct Output {
    stdout: (File, u64),
    stderr: (File, u64),
}

impl Output {
    pub(crate) fn new() -> Self {
        let file = || {
            let created = memfd_create("output", MemfdFlags::CLOEXEC);
            File::from(created.expect("the kernel supports files in memory"))
        };
        Self {
            stdout: (file(), 0),
            stderr: (file(), 0),
        }
    }

    pub(crate) fn stdout(&self) -> Stdio {
        stdio(&self.stdout.0)
    }

    pub(crate) fn stderr(&self) -> Stdio {
        stdio(&self.stderr.0)
    }

    /// What was written since the last call: stdout and stderr.
    pub(crate) fn read_new(&mut self) -> (String, String) {
        (read_new(&mut self.stdout), read_new(&mut self.stderr))
    }
}

fn stdio(file: &File) -> Stdio {
    file.try_clone()
        .expect("a file descriptor can be duplicated")
        .into()
}

fn read_new((file, position): &mut (File, u64)) -> String {
    let length = file.metadata().map_or(*position, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length.saturating_sub(*position)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, *position)
        .expect("a file in memory can be read");
    *position = length;
    String::from_utf8_lossy(&bytes).into_owned()
}
