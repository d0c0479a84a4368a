//! What a process writes. Two files in memory take its stdout and stderr, so that what was written before a moment can
//! be read at that moment: a pipe would still hold a part of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};

/// The two files, and how far each was read.
pub(crate) struct Output {
    stdout: (File, u64),
    stderr: (File, u64),
}

impl Output {
    pub(crate) fn new() -> Self {
        let file = || {
            File::from(
                memfd_create("output", MemfdFlags::CLOEXEC)
                    .expect("the kernel has files in memory"),
            )
        };
        Self {
            stdout: (file(), 0),
            stderr: (file(), 0),
        }
    }

    pub(crate) fn stdout(&self) -> Stdio {
        handle(&self.stdout.0)
    }

    pub(crate) fn stderr(&self) -> Stdio {
        handle(&self.stderr.0)
    }

    /// What was written since this was last asked: stdout and stderr.
    pub(crate) fn read_on(&mut self) -> (String, String) {
        (rest(&mut self.stdout), rest(&mut self.stderr))
    }
}

fn handle(file: &File) -> Stdio {
    file.try_clone().expect("a file can be shared").into()
}

fn rest((file, read): &mut (File, u64)) -> String {
    let length = file.metadata().map_or(*read, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length.saturating_sub(*read)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, *read)
        .expect("a file in memory can be read");
    *read = length;
    String::from_utf8_lossy(&bytes).into_owned()
}
