//! The scripted function, a binary of this crate, and its process.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A test fails if an event that it waits for does not happen within this time. No test depends on its value.
pub(crate) const GIVE_UP: Duration = Duration::from_mins(1);

/// The path of the scripted function.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_scripted_function"))
}

/// Waits until the process has ended, or is only waiting to be reaped.
pub(crate) async fn assert_ends(pid: u32) {
    let deadline = Instant::now() + GIVE_UP;
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != Some('Z'))
}
