//! Faults, as data: what can go wrong with a call. `schedule.rs` says when; `inject.rs` and `server.rs` do the harm.

pub(crate) mod inject;
pub(crate) mod schedule;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// One thing that goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with a JSON body such as the service sends with it.
    Status(u16),
    /// This whole answer.
    Answer(Answer),
    /// The true answer, later.
    Delay(Duration),
    /// Nobody listens. `Schedule::Always` closes the port; otherwise each connection is reset as it is accepted, since a
    /// refusal by the kernel cannot be counted. The connections that are open at the start of the invocation are closed.
    RefusedConnection,
    /// The connection is reset when the request has been read and acted on.
    ResetBeforeAnswer,
    /// The connection is reset after half of the answer's body.
    ResetMidAnswer,
    /// The server has closed the connection while the function was frozen (or, for a call that follows another in the
    /// same invocation, right after the answer before it).
    CutWhileFrozen,
    /// The TLS handshake fails. Needs [`Scenario::tls`](crate::Scenario::tls), as the two below.
    TlsFailure,
    /// A certificate of the trusted authority for another host.
    WrongHost,
    /// A certificate of an authority that nobody trusts.
    UntrustedCertificate,
    /// The answer leaves byte by byte, one in every so long, headers first.
    SlowHeaders(Duration),
    /// The headers come at once, the body byte by byte, one in every so long.
    TricklingBody(Duration),
    /// 200, and a body that never ends.
    EndlessBody,
    /// 200, and no body.
    EmptyBody,
    /// 200, and a page for people.
    Html,
    /// 200 (201 for a mint), and this for a body.
    Json(String),
    /// The true answer ends in the middle, with an orderly close.
    Truncated,
    /// The true answer, its `Date` wrong by so many seconds.
    SkewedDate(i64),
    /// This redirect status, with a `Location`.
    Redirect(u16),
    /// The true answer with its JSON body edited; see [`Fault::edit`].
    Edit(Edit),
}

/// A whole answer, made by [`Fault::answer`].
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A change to a JSON body.
#[derive(Clone)]
pub struct Edit(pub(crate) Arc<dyn Fn(&mut Value) + Send + Sync>);

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit(..)")
    }
}

impl Fault {
    /// An answer with this status, to be filled: `Fault::answer(429).header("retry-after", "1").message("...")`.
    pub fn answer(status: u16) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// The true answer, its JSON body edited before it leaves.
    pub fn edit(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Edit(Arc::new(change)))
    }

    /// Whether this happens before the request of the call is there.
    pub(crate) fn is_before_the_call(&self) -> bool {
        self.is_at_connection() || matches!(self, Self::CutWhileFrozen)
    }

    /// Whether this happens to a connection before any request is on it.
    pub(crate) fn is_at_connection(&self) -> bool {
        matches!(
            self,
            Self::RefusedConnection
                | Self::TlsFailure
                | Self::WrongHost
                | Self::UntrustedCertificate
        )
    }
}

impl Answer {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets the body, byte for byte.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a body as GitHub words its refusals.
    #[must_use]
    pub fn message(self, message: &str) -> Self {
        let status = self.status.to_string();
        let page = "https://docs.github.com/rest";
        let body =
            serde_json::json!({ "message": message, "documentation_url": page, "status": status });
        self.header("content-type", "application/json; charset=utf-8")
            .body(body.to_string())
    }

    /// Sets a body as AWS words its errors in JSON 1.1.
    #[must_use]
    pub fn aws(self, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": message });
        self.header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string())
    }
}

impl From<Answer> for Fault {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}
