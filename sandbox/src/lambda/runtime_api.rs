//! Lambda's Runtime API (2018-06-01), as one execution environment sees it. Comes in: the function's requests. Goes out:
//! invocations to the function, and what the function did with them to `environment.rs`.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::lock;
use crate::net::server::{Conditions, Server};

/// What the function told the Runtime API.
#[derive(Debug)]
pub(crate) enum Event {
    /// It asked for an invocation.
    Next,
    /// It answered the invocation of this ID.
    Response { id: String, body: Bytes },
    /// It failed at the invocation of this ID.
    Error { id: String, body: Bytes },
    /// It failed to start.
    InitError { body: Bytes },
}

/// One invocation, as `next` hands it over.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) deadline_ms: i64,
    pub(crate) arn: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) payload: Bytes,
}

/// The listener of one environment.
pub(crate) struct RuntimeApi {
    server: Server,
    deliveries: UnboundedSender<Delivery>,
    pub(crate) events: UnboundedReceiver<Event>,
}

struct Shared {
    events: UnboundedSender<Event>,
    deliveries: tokio::sync::Mutex<UnboundedReceiver<Delivery>>,
    current: Mutex<Option<String>>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let (events, received) = unbounded_channel();
        let (deliveries, waiting) = unbounded_channel();
        let shared = Arc::new(Shared {
            events,
            deliveries: tokio::sync::Mutex::new(waiting),
            current: Mutex::default(),
        });
        let handler = Arc::new(move |request: Request<Bytes>, _| {
            let shared = Arc::clone(&shared);
            let answer: crate::net::server::Answering =
                Box::pin(
                    async move { crate::faults::inject::whole(answer(&shared, request).await) },
                );
            answer
        });
        let server = Server::start(Conditions::default(), || None, handler).await;
        Self {
            server,
            deliveries,
            events: received,
        }
    }

    /// What stands in `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn authority(&self) -> String {
        self.server.authority()
    }

    /// Gives the function an invocation, now or when it asks.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        // The listener lives as long as `self`, and the receiver lives in it.
        let _ = self.deliveries.send(delivery);
    }
}

async fn answer(shared: &Shared, request: Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
        return refused(StatusCode::NOT_FOUND, "InvalidPath");
    };
    match (
        request.method(),
        path.split('/').collect::<Vec<_>>().as_slice(),
    ) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, "response"]) => {
            let (id, body) = ((*id).to_owned(), request.into_body());
            finish(shared, &id.clone(), Event::Response { id, body })
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            let (id, body) = ((*id).to_owned(), request.into_body());
            finish(shared, &id.clone(), Event::Error { id, body })
        }
        (&Method::POST, ["init", "error"]) => {
            let _ = shared.events.send(Event::InitError {
                body: request.into_body(),
            });
            accepted()
        }
        _ => refused(StatusCode::NOT_FOUND, "InvalidPath"),
    }
}

async fn next(shared: &Shared) -> Response<Bytes> {
    let mut deliveries = shared.deliveries.lock().await;
    let _ = shared.events.send(Event::Next);
    let Some(delivery) = deliveries.recv().await else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "ShuttingDown");
    };
    *lock(&shared.current) = Some(delivery.id.clone());
    let mut response = Response::new(delivery.payload);
    let mut set = |name, value: &str| {
        let value = HeaderValue::try_from(value).expect("Lambda's headers are printable");
        response.headers_mut().insert(name, value);
    };
    set("lambda-runtime-aws-request-id", &delivery.id);
    set("lambda-runtime-invocation-id", &delivery.id);
    set(
        "lambda-runtime-deadline-ms",
        &delivery.deadline_ms.to_string(),
    );
    set("lambda-runtime-invoked-function-arn", &delivery.arn);
    set("content-type", "application/json");
    if let Some(trace_id) = &delivery.trace_id {
        set("lambda-runtime-trace-id", trace_id);
    }
    response
}

/// Takes the answer to the current invocation; a second one, or one to another, is refused.
fn finish(shared: &Shared, id: &str, event: Event) -> Response<Bytes> {
    let mut current = lock(&shared.current);
    if current.as_deref() != Some(id) {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequestID");
    }
    *current = None;
    let _ = shared.events.send(event);
    accepted()
}

fn accepted() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(br#"{"status":"OK"}"#));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn refused(status: StatusCode, kind: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "errorType": kind, "errorMessage": kind });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}
