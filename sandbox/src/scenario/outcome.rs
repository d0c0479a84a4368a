//! What came of an invocation, for a test to look at: the answer, the requests it made, what it wrote, and when.

use std::time::Instant;

use serde_json::Value;

use crate::lambda::invoke_result::Answer;
use crate::net::recorder::{Call, Recorded};

/// One invocation, when it is over and its outputs were searched for secrets.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the caller of the function sees.
    pub answer: Answer,
    /// The ID that Lambda gave the invocation.
    pub request_id: String,
    /// What was asked of AWS and GitHub, in order; with a cold start from its beginning.
    pub requests: Vec<Recorded>,
    /// The JSON lines on stdout.
    pub log: Vec<Value>,
    /// All that was written to stdout.
    pub stdout: String,
    /// All that was written to stderr.
    pub stderr: String,
    /// When what happened.
    pub times: Times,
    /// The most memory the process had so far, in KiB.
    pub peak_memory: u64,
}

/// The moments of an invocation, by the sandbox's clock.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The process was started.
    pub spawned: Instant,
    /// The function first asked for work; nothing when it never did.
    pub ready: Option<Instant>,
    /// The function was given this invocation.
    pub delivered: Instant,
    /// The function had answered, or Lambda gave up.
    pub answered: Instant,
}

impl Outcome {
    /// The function's response. Panics, with the error, when there is none.
    pub fn response(&self) -> Value {
        match &self.answer {
            Answer::Response(body) => {
                serde_json::from_slice(body).expect("the function's response is JSON")
            }
            other => panic!(
                "the function did not answer but: {other:?}\nits log:\n{}{}",
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

    /// The error's type and message, whoever reported it. Panics when the function answered.
    pub fn error(&self) -> (String, String) {
        let error = match &self.answer {
            Answer::Response(_) => panic!("the function answered where an error was expected"),
            Answer::FunctionError(error)
            | Answer::InitError(error)
            | Answer::TimedOut(error)
            | Answer::Crashed(error) => error,
        };
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("errorType"), text("errorMessage"))
    }

    /// How many calls of this kind were made.
    pub fn calls(&self, call: Call) -> usize {
        self.requests_of(call).count()
    }

    /// The calls of this kind, in order.
    pub fn requests_of(&self, call: Call) -> impl Iterator<Item = &Recorded> {
        self.requests
            .iter()
            .filter(move |recorded| recorded.call == call)
    }

    /// The log lines of this level, as the function writes levels, whatever the case.
    pub fn lines(&self, level: &str) -> Vec<&Value> {
        let is = |line: &&Value| {
            line["level"]
                .as_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(level))
        };
        self.log.iter().filter(is).collect()
    }
}
