//! Lambda's Runtime API: ask for an invocation, answer it, or say why the function cannot start.
//!
//! In: `AWS_LAMBDA_RUNTIME_API`. Out: one [`Invocation`] at a time, its payload judged and dropped. The protocol is
//! that of "Using the Lambda runtime API for custom runtimes". CONTRIBUTING.md says why this is not `lambda_runtime`:
//! the payload rule needs the raw bytes, and what a caller puts into a client context must not end the process.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rustls::RootCertStore;
use serde::Serialize;

use crate::{
    config::Network,
    error_type::ErrorType,
    http::client::{Upstream, whole},
    http::tls::tls,
    lambda::payload::PayloadJudge,
    proof::ProvenToken,
};

/// The Runtime API of this execution environment.
pub struct RuntimeApi(Arc<Upstream>);

/// One invocation.
pub struct Invocation {
    /// Lambda's name for it.
    pub request_id: String,
    /// Milliseconds since 1970 at which Lambda kills the process.
    pub deadline_ms: u64,
    /// The X-Ray trace ID, where there is one.
    pub trace_id: Option<String>,
    /// Whether the payload asks for nothing, as it has to.
    pub asks_for_nothing: bool,
    /// Echoed, so that a late answer is not taken for that of another invocation.
    echo: Option<HeaderValue>,
}

/// The Runtime API does not answer as documented. Nobody can be told but the log; Lambda starts a new environment.
#[derive(Debug)]
pub struct RuntimeApiBroken(&'static str);

impl fmt::Display for RuntimeApiBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lambda's Runtime API {}", self.0)
    }
}

/// An error as Lambda hands it to the caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    error_type: &'static str,
    error_message: String,
}

impl FunctionError {
    /// An error of a stable type.
    pub fn new(error_type: ErrorType, error_message: String) -> Self {
        Self {
            error_type: error_type.row().name,
            error_message,
        }
    }
}

impl RuntimeApi {
    /// The API at `address`, which is a host and a port. `None` if it is not.
    pub fn at(address: &str) -> Option<Self> {
        let url: Uri = format!("http://{address}").parse().ok()?;
        // It is on this machine: no proxy and no certificates.
        let network = Network {
            roots: Some(RootCertStore::empty()),
            ..Network::default()
        };
        Some(Self(Upstream::new(&url, &network, tls(&network))))
    }

    /// Waits for the next invocation. Lambda freezes the process while there is none.
    pub async fn next(&self) -> Result<Invocation, RuntimeApiBroken> {
        let request = || {
            request(
                Method::GET,
                Uri::from_static("/2018-06-01/runtime/invocation/next"),
                Bytes::new(),
            )
        };
        let exchanged = self.0.exchange(request, judged).await;
        let (head, asks_for_nothing) = exchanged
            .map_err(|_| RuntimeApiBroken("does not answer"))?
            .answer;
        if head.status != StatusCode::OK {
            return Err(RuntimeApiBroken("gave no invocation"));
        }
        Ok(Invocation {
            request_id: text(&head.headers, "lambda-runtime-aws-request-id")
                .ok_or(RuntimeApiBroken("gave an invocation without a request ID"))?,
            deadline_ms: text(&head.headers, "lambda-runtime-deadline-ms")
                .and_then(|deadline| deadline.parse().ok())
                .ok_or(RuntimeApiBroken("gave an invocation without a deadline"))?,
            trace_id: text(&head.headers, "lambda-runtime-trace-id"),
            echo: head.headers.get(INVOCATION_ID).cloned(),
            asks_for_nothing: asks_for_nothing
                .ok_or(RuntimeApiBroken("broke off an invocation"))?,
        })
    }

    /// Answers an invocation with a token: a proven one, and nothing else.
    pub async fn respond(
        &self,
        invocation: &Invocation,
        token: &ProvenToken,
    ) -> Result<(), RuntimeApiBroken> {
        self.post(invocation, "response", None, serde_json::to_vec(token))
            .await
    }

    /// Answers an invocation with an error.
    pub async fn fail(
        &self,
        invocation: &Invocation,
        error: &FunctionError,
    ) -> Result<(), RuntimeApiBroken> {
        self.post(
            invocation,
            "error",
            Some(error.error_type),
            serde_json::to_vec(error),
        )
        .await
    }

    /// Says why the function cannot start: the caller sees this, in place of "exit status 1".
    pub async fn fail_init(&self, error: &FunctionError) -> Result<(), RuntimeApiBroken> {
        let path = Uri::from_static("/2018-06-01/runtime/init/error");
        self.send(
            path,
            None,
            Some(error.error_type),
            serde_json::to_vec(error),
        )
        .await
    }

    async fn post(
        &self,
        invocation: &Invocation,
        kind: &str,
        error_type: Option<&str>,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<(), RuntimeApiBroken> {
        let path = format!(
            "/2018-06-01/runtime/invocation/{}/{kind}",
            invocation.request_id
        );
        let path = path
            .parse()
            .map_err(|_| RuntimeApiBroken("gave a request ID that is none"))?;
        self.send(path, invocation.echo.as_ref(), error_type, body)
            .await
    }

    async fn send(
        &self,
        path: Uri,
        echo: Option<&HeaderValue>,
        error_type: Option<&str>,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<(), RuntimeApiBroken> {
        let body = Bytes::from(body.map_err(|_| RuntimeApiBroken("cannot take this answer"))?);
        let error_type =
            error_type.and_then(|name| HeaderValue::try_from(format!("Function.{name}")).ok());
        let build = || {
            let mut request = request(Method::POST, path.clone(), body.clone());
            let headers = request.headers_mut();
            headers.insert(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            if let Some(echo) = echo {
                headers.insert(INVOCATION_ID, echo.clone());
            }
            if let Some(error_type) = &error_type {
                headers.insert("lambda-runtime-function-error-type", error_type.clone());
            }
            request
        };
        // What it says to an answer changes nothing; it is read so that the connection can be used again.
        let exchanged = self.0.exchange(build, whole).await;
        exchanged
            .map(drop)
            .map_err(|_| RuntimeApiBroken("does not take an answer"))
    }
}

const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

fn request(method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Reads the payload to its end, and keeps only the verdict; `None` where it broke off.
async fn judged(answer: Response<Incoming>) -> (Parts, Option<bool>) {
    let (head, mut body) = answer.into_parts();
    let mut judge = PayloadJudge::default();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => judge.read(frame.data_ref().map_or(&[][..], |piece| piece)),
            Err(_) => return (head, None),
        }
    }
    (head, Some(judge.asks_for_nothing()))
}
