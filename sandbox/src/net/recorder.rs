//! Records every request that reaches a server of the sandbox, in order and with times, for a test to inspect.
//!
//! Secret values stay in memory, so that the function's output can be searched for them.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::Value;

use crate::lock;

/// The calls that a test counts and schedules faults for, named after the operations of AWS and GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// SSM `GetParameters`.
    GetParameters,
    /// KMS `Sign`.
    Sign,
    /// `GET /repos/{owner}/{repo}/installation`.
    Confirm,
    /// `POST /app/installations/{id}/access_tokens`.
    Mint,
    /// `GET /installation/repositories`.
    ListRepositories,
    /// `DELETE /installation/token`.
    Revoke,
    /// Any other request.
    Other,
}

impl Call {
    /// Whether AWS serves this call.
    pub(crate) fn is_aws(self) -> bool {
        matches!(self, Self::GetParameters | Self::Sign)
    }
}

/// One request and its result.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The kind of request.
    pub call: Call,
    /// The HTTP method.
    pub method: String,
    /// The path, and the query if there is one.
    pub path: String,
    /// All headers, `Authorization` included: never print them.
    pub headers: HeaderMap,
    /// The body of the request.
    pub body: Vec<u8>,
    /// The connection that carried it. Each server counts its connections from 1.
    pub connection: u64,
    /// When the whole request had arrived.
    pub started: Instant,
    /// When the response was handed to the connection; `None` if the client left first or the connection broke.
    pub ended: Option<Instant>,
    /// The status of the response; `None` if there was no response.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// The text of a request header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The request's body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The credential after `Bearer` or `token` in `Authorization`.
    pub fn credential(&self) -> Option<&str> {
        let (scheme, credential) = self.header("authorization")?.split_once(' ')?;
        ["bearer", "token"]
            .contains(&scheme.to_ascii_lowercase().as_str())
            .then_some(credential.trim())
    }

    /// The header and the claims of the request's JWT, not verified.
    pub fn jwt(&self) -> Option<(Value, Value)> {
        let mut parts = self
            .credential()?
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let header = serde_json::from_slice(&parts.next()??).ok()?;
        let claims = serde_json::from_slice(&parts.next()??).ok()?;
        Some((header, claims))
    }
}

/// The record, shared by all servers of a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Vec<RecordedRequest>,
    violations: Vec<String>,
    /// The number of requests that were cleared.
    cleared: usize,
}

impl Recorder {
    /// Records a request. The returned number identifies it in [`Recorder::finish`].
    pub(crate) fn begin(&self, request: RecordedRequest) -> usize {
        let mut inner = lock(&self.inner);
        inner.requests.push(request);
        inner.cleared + inner.requests.len() - 1
    }

    /// Records the end of a request.
    pub(crate) fn finish(&self, number: usize, status: Option<u16>) {
        let mut inner = lock(&self.inner);
        let index = number.checked_sub(inner.cleared);
        if let Some(request) = index.and_then(|index| inner.requests.get_mut(index)) {
            request.ended = Some(Instant::now());
            request.status = status;
        }
    }

    /// Records contract violations. They fail the scenario.
    pub(crate) fn add_violations(&self, violations: Vec<String>) {
        lock(&self.inner).violations.extend(violations);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.inner).violations.clone()
    }

    /// The number of requests so far.
    pub(crate) fn count(&self) -> usize {
        let inner = lock(&self.inner);
        inner.cleared + inner.requests.len()
    }

    /// The requests from number `from` on that were not cleared.
    pub(crate) fn since(&self, from: usize) -> Vec<RecordedRequest> {
        let inner = lock(&self.inner);
        inner
            .requests
            .get(from.saturating_sub(inner.cleared)..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Clears all requests so far: a soak test must not grow.
    pub(crate) fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.cleared += inner.requests.len();
        inner.requests.clear();
    }
}
