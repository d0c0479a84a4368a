//! AWS errors, as the JSON 1.1 protocol writes them.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{ACCOUNT, JSON};

/// An error that AWS returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl AwsError {
    /// An error of the caller: status 400.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    /// The caller is not allowed to perform this action. AWS names the principal and the resource, with their ARNs.
    pub(crate) fn access_denied(action: &str) -> Self {
        let message = format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/github-token-broker/github-token-broker is not authorized to perform: \
             {action} on resource: arn:aws:sandbox:us-east-1:{ACCOUNT}:resource because no identity-based policy allows the \
             {action} action"
        );
        Self::new("AccessDeniedException", message)
    }

    pub(crate) fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new("UnknownOperationException", message)
    }
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        let body = json!({ "__type": self.code, "message": self.message });
        (self.status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
    }
}

/// The text of a required member of an operation's input.
pub(crate) fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, AwsError> {
    let missing = || {
        let message = format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        );
        AwsError::new("ValidationException", message)
    };
    input[name].as_str().ok_or_else(missing)
}
