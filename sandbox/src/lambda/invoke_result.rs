//! The result of an invocation as the caller sees it, in Lambda's words.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// The result of an invocation as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvokeResult {
    /// The function returned a response.
    Response(Bytes),
    /// The function reported an error of this invocation.
    FunctionError(Value),
    /// The function reported that it cannot start.
    InitError(Value),
    /// Lambda killed the function at the deadline.
    TimedOut(Value),
    /// The process exited.
    Crashed(Value),
}

impl InvokeResult {
    /// The process exited with this status.
    pub(crate) fn crashed(request_id: &str, status: ExitStatus) -> Self {
        let reason = match (status.code(), status.signal()) {
            (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, Some(9)) => "Runtime exited with error: signal: killed".to_owned(),
            (None, Some(6)) => "Runtime exited with error: signal: aborted".to_owned(),
            (None, signal) => format!(
                "Runtime exited with error: signal: {}",
                signal.unwrap_or_default()
            ),
        };
        let message = format!("RequestId: {request_id} Error: {reason}");
        Self::Crashed(error_body("Runtime.ExitError", &message))
    }

    /// Lambda killed the process after this time.
    pub(crate) fn timed_out(request_id: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        let message =
            format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds");
        Self::TimedOut(error_body("Sandbox.Timedout", &message))
    }

    /// The error, if it is one.
    pub fn error(&self) -> Option<&Value> {
        match self {
            Self::Response(_) => None,
            Self::FunctionError(error)
            | Self::InitError(error)
            | Self::TimedOut(error)
            | Self::Crashed(error) => Some(error),
        }
    }
}

/// An error as Lambda writes it.
pub(crate) fn error_body(error_type: &str, message: &str) -> Value {
    json!({ "errorType": error_type, "errorMessage": message })
}

/// The body that a function reported, JSON or not.
pub(crate) fn parse_error(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
