//! The scripted function, which Cargo builds as an example next to the tests.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sandbox::Scenario;

/// A scenario that runs the scripted function.
pub(crate) fn scenario() -> Scenario {
    let test = std::env::current_exe().expect("a test is a program");
    let profile: PathBuf = test
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>")
        .to_owned();
    Scenario::default().binary(profile.join("examples/scripted_function"))
}

/// Whether the process exists and is not just waiting to be reaped.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != Some('Z'))
}

/// Waits until the process has ended.
pub(crate) async fn assert_ends(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
