//! What the kernel tells of a process.

use std::fs::File;

/// The letter that the kernel has for a process's state; nothing when there is no such process.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The most memory the process ever had, in KiB.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    let status = File::open(format!("/proc/{pid}/status"))
        .and_then(std::io::read_to_string)
        .unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
