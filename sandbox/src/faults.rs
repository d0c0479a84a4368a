//! Faults as data: everything that can go wrong with a call.
//!
//! `schedule` decides when a fault happens. `inject` applies it to a response; the server applies it to a connection.

pub(crate) mod inject;
pub(crate) mod schedule;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// One fault of one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status, with a JSON body as the service sends it.
    Status(u16),
    /// This complete response.
    Response(CannedResponse),
    /// The real response, after a delay.
    Delay(Duration),
    /// `Schedule::Always` closes the port. Other schedules reset each connection when it is accepted, because a connection
    /// that the kernel refuses cannot be counted. Connections that are open when the invocation starts are closed.
    ConnectionRefused,
    /// The connection is reset after the service has handled the request.
    ResetBeforeResponse,
    /// The connection is reset after half of the response's body.
    ResetMidResponse,
    /// The server closed the connection while the function was frozen. If the call follows another one in the same
    /// invocation, the server closes it right after the previous response.
    ClosedWhileFrozen,
    /// The TLS handshake fails. Needs [`Scenario::tls`](crate::Scenario::tls), as do the next two.
    TlsFailure,
    /// A certificate of the trusted authority for a different host.
    WrongHost,
    /// A certificate of an authority that the client does not trust.
    UntrustedCertificate,
    /// The response leaves byte by byte, one per interval, headers first.
    SlowHeaders(Duration),
    /// The headers leave at once, the body byte by byte, one per interval.
    SlowBody(Duration),
    /// 200, and a body that never ends.
    EndlessBody,
    /// These bytes instead of a response, and then the second ones forever.
    EndlessBytes(&'static str, &'static str),
    /// 200, and no body.
    EmptyBody,
    /// 200, and an HTML page.
    Html,
    /// 200 (201 for a mint), and this body.
    Json(String),
    /// The connection is closed in an orderly way after half of the response's body.
    TruncatedBody,
    /// The real response, with a `Date` that is off by this number of seconds.
    SkewedDate(i64),
    /// This redirect status, with a `Location`.
    Redirect(u16),
    /// The real response with an edited JSON body; see [`Fault::edit`].
    Edit(Edit),
}

/// A complete response, made by [`Fault::response`].
#[derive(Debug, Clone)]
pub struct CannedResponse {
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
    /// A response with this status: `Fault::response(429).header("retry-after", "1").message("...")`.
    pub fn response(status: u16) -> CannedResponse {
        CannedResponse {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// The real response, its JSON body edited before it leaves.
    pub fn edit(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Edit(Arc::new(change)))
    }

    /// Whether this happens before the call's request arrives.
    pub(crate) fn is_before_request(&self) -> bool {
        self.is_at_connection() || matches!(self, Self::ClosedWhileFrozen)
    }

    /// Whether this happens to a connection before it carries any request.
    pub(crate) fn is_at_connection(&self) -> bool {
        matches!(self, Self::ConnectionRefused) || self.needs_tls()
    }

    /// Whether this is a fault of the TLS handshake.
    pub(crate) fn needs_tls(&self) -> bool {
        matches!(
            self,
            Self::TlsFailure | Self::WrongHost | Self::UntrustedCertificate
        )
    }
}

impl CannedResponse {
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

    /// Sets a body in the form of GitHub's errors.
    #[must_use]
    pub fn message(self, message: &str) -> Self {
        let body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        self.header("content-type", "application/json; charset=utf-8")
            .body(body.to_string())
    }

    /// Sets a body in the form of AWS's JSON 1.1 errors.
    #[must_use]
    pub fn aws(self, code: &str, message: &str) -> Self {
        let body = json!({ "__type": code, "message": message });
        self.header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string())
    }
}

impl From<CannedResponse> for Fault {
    fn from(response: CannedResponse) -> Self {
        Self::Response(response)
    }
}
