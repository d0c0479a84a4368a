//! One finished invocation, and its log as Lambda writes it.

use std::fmt::Write as _;
use std::time::Instant;

use super::invoke_result::InvokeResult;
use crate::clock::{self, Clock};

/// One finished invocation.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) result: InvokeResult,
    /// When the process was started.
    pub(crate) spawned: Instant,
    /// When the function first requested an invocation.
    pub(crate) ready: Option<Instant>,
    /// When it received this invocation.
    pub(crate) delivered: Instant,
    /// When the result was known.
    pub(crate) finished: Instant,
    /// Whether the process was started for it.
    pub(crate) cold: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The peak memory of the process, in KiB.
    pub(crate) peak_memory: u64,
}

impl Invocation {
    /// The invocation's log in CloudWatch: Lambda's own lines around the function's.
    pub(crate) fn log(&self, memory: u32) -> String {
        let Invocation {
            request_id,
            result,
            stdout,
            stderr,
            ..
        } = self;
        let duration = self.finished.duration_since(self.delivered).as_secs_f64() * 1000.0;
        let mut log = format!("START RequestId: {request_id} Version: $LATEST\n{stdout}{stderr}");
        match result {
            InvokeResult::TimedOut(error) => {
                let message = error["errorMessage"]
                    .as_str()
                    .and_then(|text| text.split_once("Error: "))
                    .map_or("", |(_, text)| text);
                let now = clock::rfc3339(Clock::default().now());
                let _ = writeln!(log, "{now} {request_id} {message}\n");
            }
            InvokeResult::Crashed(error) => {
                let _ = writeln!(
                    log,
                    "{}\nRuntime.ExitError",
                    error["errorMessage"].as_str().unwrap_or_default()
                );
            }
            _ => {}
        }
        let used = self.peak_memory.div_ceil(1024);
        let _ = write!(
            log,
            "END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {duration:.2} ms\tBilled Duration: {:.0} ms\t\
         Memory Size: {memory} MB\tMax Memory Used: {used} MB\t",
            duration.ceil()
        );
        if let (true, Some(ready)) = (self.cold, self.ready) {
            let init = ready.duration_since(self.spawned).as_secs_f64() * 1000.0;
            let _ = write!(log, "Init Duration: {init:.2} ms\t");
        }
        log.push('\n');
        log
    }
}
