//! Lambda's Runtime API (2018-06-01) for one execution environment.
//!
//! Input: the function's requests. Output: invocations for the function, and an event for each thing that it reports.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::invoke_result::error_body;
use crate::lock;
use crate::net::server::Server;

/// What the function reported to the Runtime API.
#[derive(Debug)]
pub(crate) enum Event {
    /// It requested an invocation.
    Next,
    /// It returned the response of the invocation with this ID.
    Response { id: String, body: Bytes },
    /// It reported an error of the invocation with this ID.
    Error { id: String, body: Bytes },
    /// It reported that it cannot start.
    InitError { body: Bytes },
}

/// One invocation, as `next` returns it.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) deadline_ms: i64,
    pub(crate) arn: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) payload: Bytes,
}

/// The Runtime API of one execution environment.
pub(crate) struct RuntimeApi {
    server: Server,
    deliveries: UnboundedSender<Delivery>,
    rejections: Arc<Mutex<Vec<StatusCode>>>,
    pub(crate) events: UnboundedReceiver<Event>,
}

struct Shared {
    events: UnboundedSender<Event>,
    deliveries: tokio::sync::Mutex<UnboundedReceiver<Delivery>>,
    /// The invocations that were delivered and have no result yet.
    in_flight: Mutex<BTreeSet<String>>,
    /// The statuses with which the next results are rejected.
    rejections: Arc<Mutex<Vec<StatusCode>>>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let (events, received) = unbounded_channel();
        let (deliveries, waiting) = unbounded_channel();
        let rejections = Arc::default();
        let shared = Arc::new(Shared {
            events,
            deliveries: tokio::sync::Mutex::new(waiting),
            in_flight: Mutex::default(),
            rejections: Arc::clone(&rejections),
        });
        let api = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(response))
            .route("/invocation/{id}/error", post(error))
            .route("/init/error", post(init_error))
            .with_state(shared);
        let router = Router::new()
            .nest("/2018-06-01/runtime", api)
            .fallback(async || rejected(StatusCode::NOT_FOUND, "InvalidPath"))
            .layer(DefaultBodyLimit::disable());
        Self {
            server: Server::start(router).await,
            deliveries,
            rejections,
            events: received,
        }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn authority(&self) -> String {
        self.server.authority()
    }

    /// Rejects the next results with this status, this many of them. The invocation goes on.
    pub(crate) fn reject_results(&self, status: StatusCode, count: usize) {
        lock(&self.rejections).extend(vec![status; count]);
    }

    /// Gives the function an invocation, now or when it asks for one.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        // The server lives as long as `self` and keeps the receiver.
        let _ = self.deliveries.send(delivery);
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.report(Event::Next);
    let mut deliveries = shared.deliveries.lock().await;
    let Some(delivery) = deliveries.recv().await else {
        return rejected(StatusCode::INTERNAL_SERVER_ERROR, "ShuttingDown");
    };
    lock(&shared.in_flight).insert(delivery.id.clone());
    let mut response = delivery.payload.into_response();
    let mut set = |name, value: &str| {
        let value = HeaderValue::try_from(value).expect("Lambda's headers are printable");
        response.headers_mut().insert(name, value);
    };
    set("content-type", "application/json");
    set("lambda-runtime-aws-request-id", &delivery.id);
    set("lambda-runtime-invocation-id", &delivery.id);
    set(
        "lambda-runtime-deadline-ms",
        &delivery.deadline_ms.to_string(),
    );
    set("lambda-runtime-invoked-function-arn", &delivery.arn);
    if let Some(trace_id) = &delivery.trace_id {
        set("lambda-runtime-trace-id", trace_id);
    }
    response
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    shared.finish(id, |id| Event::Response { id, body })
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    shared.finish(id, |id| Event::Error { id, body })
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.report(Event::InitError { body });
    accepted()
}

impl Shared {
    fn report(&self, event: Event) {
        // The environment may be ending and no longer interested.
        let _ = self.events.send(event);
    }

    /// Accepts the result of an invocation that is in flight. A second one, or one for an unknown invocation, is rejected.
    fn finish(&self, id: String, event: impl FnOnce(String) -> Event) -> Response {
        if let Some(status) = lock(&self.rejections).pop() {
            return rejected(status, "Injected");
        }
        if !lock(&self.in_flight).remove(&id) {
            return rejected(StatusCode::BAD_REQUEST, "InvalidRequestID");
        }
        self.report(event(id));
        accepted()
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

fn rejected(status: StatusCode, error_type: &str) -> Response {
    (status, error_body(error_type, error_type).to_string()).into_response()
}
