//! What everybody asked for. Comes in: each request that reaches a server of the sandbox. Goes out: the list of them, in
//! order, with times, for a test to ask about. Secret values stay in memory, to be looked for in the function's output.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::HeaderMap;
use serde_json::Value;

use crate::lock;

/// The kinds of request that a test schedules faults for and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// SSM's `GetParameters`.
    Ssm,
    /// `GET /repos/{owner}/{repo}/installation`.
    Lookup,
    /// `POST /app/installations/{id}/access_tokens`.
    Mint,
    /// `DELETE /installation/token`.
    Revoke,
    /// `GET /installation/repositories`.
    ListRepositories,
    /// Any other request.
    Other,
}

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What kind of request it was.
    pub call: Call,
    /// The HTTP method.
    pub method: String,
    /// The path, and the query where there is one.
    pub path: String,
    /// All headers. `Authorization` is among them: never print this.
    pub headers: HeaderMap,
    /// The body of the request.
    pub body: Vec<u8>,
    /// The connection it came on, counted from 1 by each server.
    pub connection: u64,
    /// When the request was there as a whole.
    pub started: Instant,
    /// When its answer was handed over; nothing when the client went away first or was cut off.
    pub ended: Option<Instant>,
    /// The answer's status; nothing when there was no answer.
    pub status: Option<u16>,
}

impl Recorded {
    /// A request header's text, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The request's body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What follows `Bearer` or `token` in `Authorization`.
    pub fn credential(&self) -> Option<&str> {
        let (scheme, credential) = self.header("authorization")?.split_once(' ')?;
        ["bearer", "token"]
            .contains(&scheme.to_ascii_lowercase().as_str())
            .then_some(credential.trim())
    }

    /// The header and the claims of the JWT that came with the request, unverified, or nothing.
    pub fn jwt(&self) -> Option<(Value, Value)> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut parts = self
            .credential()?
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let header = serde_json::from_slice(&parts.next()??).ok()?;
        let claims = serde_json::from_slice(&parts.next()??).ok()?;
        Some((header, claims))
    }
}

/// The list, shared by all servers of a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Vec<Recorded>,
    violations: Vec<String>,
    /// How many requests were forgotten.
    forgotten: usize,
}

impl Recorder {
    /// Notes a request; the number names it until its end.
    pub(crate) fn begin(&self, recorded: Recorded) -> usize {
        let mut inner = lock(&self.inner);
        inner.requests.push(recorded);
        inner.forgotten + inner.requests.len() - 1
    }

    /// Notes a request's end.
    pub(crate) fn end(&self, number: usize, status: Option<u16>) {
        let mut inner = lock(&self.inner);
        let index = number.checked_sub(inner.forgotten);
        if let Some(recorded) = index.and_then(|index| inner.requests.get_mut(index)) {
            recorded.ended = Some(Instant::now());
            recorded.status = status;
        }
    }

    /// Notes where somebody broke the contract: the scenario fails for it.
    pub(crate) fn violations_found(&self, texts: Vec<String>) {
        lock(&self.inner).violations.extend(texts);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.inner).violations.clone()
    }

    /// How many requests there were so far.
    pub(crate) fn count(&self) -> usize {
        let inner = lock(&self.inner);
        inner.forgotten + inner.requests.len()
    }

    /// The requests from number `from` on that are not forgotten.
    pub(crate) fn since(&self, from: usize) -> Vec<Recorded> {
        let inner = lock(&self.inner);
        inner
            .requests
            .get(from.saturating_sub(inner.forgotten)..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Forgets all requests so far: a soak must not grow.
    pub(crate) fn forget(&self) {
        let mut inner = lock(&self.inner);
        inner.forgotten += inner.requests.len();
        inner.requests.clear();
    }
}
