//! The middleware that every request to AWS or GitHub passes.
//!
//! Input: a request. Output: the service's response with the fault that was scheduled for it.
//! Invariant: every request is recorded, and every call of the function is checked against the contract.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request as HttpRequest};
use http_body_util::{BodyExt as _, Collected};

use super::exchange;
use super::faulty_stream::{ConnectionHandle, Disconnect};
use super::recorder::{Call, RecordedRequest, Recorder};
use crate::aws::sigv4::Signer;
use crate::faults::schedule::{Faults, Schedule};
use crate::faults::{Fault, inject};
use crate::{aws, github, lock};

/// The service behind a gateway.
#[derive(Clone)]
pub(crate) enum Service {
    /// AWS. The signer, if known, is the function: the gateway checks its signatures.
    Aws(Option<Signer>),
    /// GitHub, below this path.
    GitHub(String),
}

/// The calls that the next connection may carry, once an invocation has begun: a connection fault counts as theirs.
pub(crate) type ExpectedCalls = Arc<Mutex<Vec<Call>>>;

/// The gateway of one server.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) service: Service,
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    pub(crate) expected: ExpectedCalls,
}

/// Passes one request to the service and its response back to the client.
pub(crate) async fn pass(
    State(gateway): State<Gateway>,
    Extension(connection): Extension<ConnectionHandle>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    // If the body breaks off, the connection is gone and the response is never read.
    let body = body.collect().await.map(Collected::to_bytes);
    let request = HttpRequest::from_parts(parts, body.unwrap_or_default());
    let call = gateway.classify(&request);
    let number = gateway.record(call, &request, &connection);
    let fault = gateway.faults.due(call);
    gateway.check_contract(call, &request);
    let recorded = request.clone();
    let canned = fault
        .as_ref()
        .and_then(|fault| inject::canned_response(fault, call));
    let response = if let Some(response) = canned {
        response
    } else {
        let response = next.run(request.map(Body::from)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(Collected::to_bytes);
        http::Response::from_parts(parts, body.unwrap_or_default())
    };
    let unmodeled = fault
        .as_ref()
        .is_some_and(|fault| inject::is_unmodeled(fault, call));
    gateway.write_exchange(&recorded, &response, unmodeled);
    gateway
        .finish(number, call, fault, response, &connection)
        .await
}

impl Gateway {
    /// Decides on the fault of a new connection. Before an invocation has begun there is none.
    pub(crate) fn connection_fault(self) -> impl Fn() -> Option<Fault> + Send + Sync {
        move || {
            let expected = lock(&self.expected).clone();
            let mut expected = expected.into_iter();
            expected.find_map(|call| self.faults.due_at_connection(call))
        }
    }

    fn classify(&self, request: &HttpRequest<Bytes>) -> Call {
        match &self.service {
            Service::Aws(_) => aws::classify(request.headers()),
            Service::GitHub(base_path) => github::routes::classify(base_path, request),
        }
    }

    fn check_contract(&self, call: Call, request: &HttpRequest<Bytes>) {
        let violations = match &self.service {
            Service::Aws(Some(signer)) => aws::contract_violations(call, request, signer),
            Service::Aws(None) => Vec::new(),
            Service::GitHub(_) => github::routes::contract_violations(call, request.headers()),
        };
        self.recorder.add_violations(violations);
    }

    fn record(
        &self,
        call: Call,
        request: &HttpRequest<Bytes>,
        connection: &ConnectionHandle,
    ) -> usize {
        let path = request.uri().path_and_query();
        self.recorder.begin(RecordedRequest {
            call,
            method: request.method().to_string(),
            path: path.map_or("/", |path| path.as_str()).to_owned(),
            headers: request.headers().clone(),
            body: request.body().to_vec(),
            connection: connection.id,
            started: Instant::now(),
            ended: None,
            status: None,
        })
    }

    /// Writes the request, and the response before a fault delays, edits or breaks it.
    fn write_exchange(
        &self,
        request: &HttpRequest<Bytes>,
        response: &http::Response<Bytes>,
        unmodeled: bool,
    ) {
        if !exchange::is_enabled() {
            return;
        }
        let path = request.uri().path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        let (service, path) = match &self.service {
            Service::Aws(_) => ("aws", path),
            Service::GitHub(base_path) => {
                let is_served = request.extensions().get::<MatchedPath>().is_some();
                let is_api = github::routes::matched_api_path(base_path, request).is_some();
                match path.strip_prefix(github::routes::ENTERPRISE) {
                    _ if is_served && !is_api => ("github-web", path),
                    Some(path) => ("github-enterprise", path),
                    None => ("github", path),
                }
            }
        };
        exchange::write(service, path, request, response, unmodeled);
    }

    async fn finish(
        &self,
        number: usize,
        call: Call,
        fault: Option<Fault>,
        response: http::Response<Bytes>,
        connection: &ConnectionHandle,
    ) -> Response {
        let status = (!matches!(fault, Some(Fault::ResetBeforeResponse)))
            .then(|| response.status().as_u16());
        let succeeded = response.status().is_success();
        let mut response = inject::apply(fault, response, connection).await;
        if succeeded {
            self.arm_connection_fault(call, &mut response, connection)
                .await;
        }
        self.recorder.finish(number, status);
        response
    }

    /// Prepares a connection fault of a call that follows this one in the same invocation: it begins when this one ends.
    async fn arm_connection_fault(
        &self,
        call: Call,
        response: &mut Response,
        connection: &ConnectionHandle,
    ) {
        let followers: &[Call] = match call {
            Call::Confirm => &[Call::Mint],
            Call::Mint => &[Call::ListRepositories, Call::Revoke],
            _ => &[],
        };
        for &next in followers {
            if self
                .faults
                .take(next, |fault| matches!(fault, Fault::ClosedWhileFrozen))
            {
                // The client gets the whole response, without a sign of the close that follows it.
                connection.disconnect_after_flush(Disconnect::Close);
            }
            if self.faults.awaits(next, Fault::is_at_connection) {
                *lock(&self.expected) = vec![next];
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
                if self.faults.has(next, |schedule| {
                    matches!(schedule, Schedule::Always(Fault::ConnectionRefused))
                }) {
                    connection.close_listener().await;
                }
            }
        }
    }
}
