//! The outcome of an invocation for a test to inspect: the result, the requests, the output, the times.

use std::time::Instant;

use serde_json::Value;

use crate::lambda::invoke_result::InvokeResult;
use crate::net::recorder::{Call, RecordedRequest};

/// One finished invocation, after its output was searched for secrets.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the caller of the function sees.
    pub result: InvokeResult,
    /// The invocation's request ID.
    pub request_id: String,
    /// The requests to AWS and GitHub in order, including those of the init phase after a cold start.
    pub requests: Vec<RecordedRequest>,
    /// The JSON lines on stdout.
    pub log: Vec<Value>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// When each step happened.
    pub timing: Timing,
    /// The peak memory of the process so far, in KiB.
    pub peak_memory: u64,
}

/// The times of an invocation, by the sandbox's clock.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The process was started.
    pub spawned: Instant,
    /// The function first requested an invocation; `None` if it never did.
    pub ready: Option<Instant>,
    /// The function received this invocation.
    pub delivered: Instant,
    /// The function returned its result, or Lambda gave up.
    pub finished: Instant,
}

impl Outcome {
    /// The function's response.
    ///
    /// # Panics
    /// If the invocation failed.
    pub fn response(&self) -> Value {
        match &self.result {
            InvokeResult::Response(body) => {
                serde_json::from_slice(body).expect("the function's response is JSON")
            }
            other => panic!(
                "the invocation failed: {other:?}\nits log:\n{}{}",
                self.stdout, self.stderr
            ),
        }
    }

    /// The token in the response.
    pub fn token(&self) -> String {
        self.response()["token"]
            .as_str()
            .expect("the response has a token")
            .to_owned()
    }

    /// The type and message of the error, whether the function or Lambda reported it.
    ///
    /// # Panics
    /// If the invocation succeeded.
    pub fn error(&self) -> (String, String) {
        let Some(error) = self.result.error() else {
            panic!("the function returned a response instead of an error")
        };
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("errorType"), text("errorMessage"))
    }

    /// The number of calls of this kind.
    pub fn calls(&self, call: Call) -> usize {
        self.requests_of(call).count()
    }

    /// The calls of this kind, in order.
    pub fn requests_of(&self, call: Call) -> impl Iterator<Item = &RecordedRequest> {
        self.requests
            .iter()
            .filter(move |request| request.call == call)
    }

    /// The log lines of this level, in any case.
    pub fn lines(&self, level: &str) -> Vec<&Value> {
        let has_level = |line: &&Value| {
            line["level"]
                .as_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(level))
        };
        self.log.iter().filter(has_level).collect()
    }
}
