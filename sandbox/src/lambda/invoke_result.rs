//! What the caller of a function sees, in Lambda's words.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// What the caller of a function sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function answered.
    Response(Bytes),
    /// The function reported an error of this invocation.
    FunctionError(Value),
    /// The function reported that it cannot start.
    InitError(Value),
    /// Lambda killed it at the deadline.
    TimedOut(Value),
    /// The process ended by itself.
    Crashed(Value),
}

/// The process ended by itself.
pub(crate) fn crashed(request_id: &str, status: ExitStatus) -> Answer {
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
    Answer::Crashed(error(
        "Runtime.ExitError",
        &format!("RequestId: {request_id} Error: {reason}"),
    ))
}

/// Lambda killed it.
pub(crate) fn timed_out(request_id: &str, limit: Duration) -> Answer {
    let message = format!(
        "RequestId: {request_id} Error: Task timed out after {:.2} seconds",
        limit.as_secs_f64()
    );
    Answer::TimedOut(error("Sandbox.Timedout", &message))
}

/// An error as Lambda writes it.
pub(crate) fn error(kind: &str, message: &str) -> Value {
    json!({ "errorType": kind, "errorMessage": message })
}

/// What a function reported, JSON or not.
pub(crate) fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
