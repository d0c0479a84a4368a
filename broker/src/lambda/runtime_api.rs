//! Lambda's [Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): get an invocation, post its
//! result, or report why the function cannot start.
//!
//! Input: `AWS_LAMBDA_RUNTIME_API`. Output: one [`Invocation`] at a time, its payload checked and dropped.
//!
//! CONTRIBUTING.md says why this is not `lambda_runtime`: the payload rule needs the raw bytes, and a caller's client context
//! must not end the process.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rustls::RootCertStore;
use serde::Serialize;
use tokio::time::Instant;

use super::payload::EmptyPayload;
use crate::{
    http::{
        NetworkSettings, Roots,
        client::{HostClient, read_body},
        tls::client_config,
    },
    proof::ProvenToken,
    telemetry::record::printable_id,
};

/// The Runtime API of this execution environment.
pub struct RuntimeApi(Arc<HostClient>);

/// One invocation.
pub struct Invocation {
    /// Lambda's name for it, if it looks like one.
    pub request_id: Option<String>,
    /// When Lambda kills the process, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// The X-Ray trace header, if it looks like one.
    pub trace_id: Option<String>,
    /// Whether the payload is empty, as it must be.
    pub payload_is_empty: bool,
    /// The request ID as a path segment.
    path_id: String,
    /// Returned with the result, so that Lambda recognizes a late one.
    returned_id: Option<HeaderValue>,
}

/// Why the Runtime API was of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeApiError {
    /// It does not respond as documented. There is no caller to report to: log it and exit; Lambda starts a new environment.
    Broken(&'static str),
    /// It rejected the result of an invocation with this status. The next invocation may work.
    Rejected(u16),
}

impl fmt::Display for RuntimeApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(problem) => write!(f, "Lambda's Runtime API {problem}"),
            Self::Rejected(status) => {
                write!(
                    f,
                    "Lambda's Runtime API rejected the result with status {status}"
                )
            }
        }
    }
}

/// An error as Lambda returns it to the caller.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError<'a> {
    /// The stable name.
    pub error_type: &'a str,
    /// The message.
    pub error_message: &'a str,
}

impl RuntimeApi {
    /// The API at `address`, a host and a port. `None` if it is not.
    pub fn at(address: &str) -> Option<Self> {
        let url: Uri = format!("http://{address}").parse().ok()?;
        // It is on this machine: no proxy, no certificates, and payloads of any length.
        let network = NetworkSettings {
            roots: Some(Roots {
                store: RootCertStore::empty(),
                certificates: Vec::new(),
            }),
            ..NetworkSettings::default()
        };
        let tls = client_config(&network);
        Some(Self(HostClient::new(&url, &network, tls, usize::MAX)))
    }

    /// Waits for the next invocation. Lambda freezes the process while there is none.
    pub async fn next(&self) -> Result<Invocation, RuntimeApiError> {
        const NEXT: &str = "/2018-06-01/runtime/invocation/next";
        let build = || request(Method::GET, Uri::from_static(NEXT), Bytes::new());
        let exchange = self.0.send(build, read_payload, Instant::now()).await;
        let (head, payload_is_empty) = exchange
            .map_err(|_| RuntimeApiError::Broken("does not respond"))?
            .response;
        if head.status != StatusCode::OK {
            return Err(RuntimeApiError::Broken("sent no invocation"));
        }
        let headers = &head.headers;
        let request_id =
            headers
                .get("lambda-runtime-aws-request-id")
                .ok_or(RuntimeApiError::Broken(
                    "sent an invocation without a request ID",
                ))?;
        Ok(Invocation {
            request_id: printable_id(request_id),
            path_id: path_segment(request_id),
            // Without a deadline there is no time for work.
            deadline_ms: text(headers, "lambda-runtime-deadline-ms")
                .and_then(|deadline| deadline.parse().ok())
                .unwrap_or_default(),
            trace_id: text(headers, "lambda-runtime-trace-id")
                .filter(|id| is_trace_id(id))
                .map(str::to_owned),
            returned_id: headers.get(INVOCATION_ID).cloned(),
            payload_is_empty: payload_is_empty
                .ok_or(RuntimeApiError::Broken("ended within an invocation"))?,
        })
    }

    /// Posts a token as the result of an invocation. Only a proven one can be posted.
    pub async fn respond(
        &self,
        invocation: &Invocation,
        token: &ProvenToken,
    ) -> Result<(), RuntimeApiError> {
        self.post(invocation, "response", None, serde_json::to_vec(token))
            .await
    }

    /// Posts an error as the result of an invocation.
    pub async fn fail(
        &self,
        invocation: &Invocation,
        error: &FunctionError<'_>,
    ) -> Result<(), RuntimeApiError> {
        let body = serde_json::to_vec(error);
        self.post(invocation, "error", Some(error.error_type), body)
            .await
    }

    /// Reports why the function cannot start. The caller sees this instead of "exit status 1".
    pub async fn fail_init(&self, error: &FunctionError<'_>) -> Result<(), RuntimeApiError> {
        let path = Uri::from_static("/2018-06-01/runtime/init/error");
        let body = serde_json::to_vec(error);
        self.send(path, None, Some(error.error_type), body).await
    }

    async fn post(
        &self,
        invocation: &Invocation,
        kind: &str,
        error_type: Option<&str>,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<(), RuntimeApiError> {
        let path = format!(
            "/2018-06-01/runtime/invocation/{}/{kind}",
            invocation.path_id
        );
        let path = path
            .parse()
            .map_err(|_| RuntimeApiError::Broken("sent an invalid request ID"))?;
        self.send(path, invocation.returned_id.as_ref(), error_type, body)
            .await
    }

    async fn send(
        &self,
        path: Uri,
        invocation_id: Option<&HeaderValue>,
        error_type: Option<&str>,
        body: serde_json::Result<Vec<u8>>,
    ) -> Result<(), RuntimeApiError> {
        let body = body.map_err(|_| RuntimeApiError::Broken("cannot take this result"))?;
        let body = Bytes::from(body);
        let error_type =
            error_type.and_then(|name| HeaderValue::try_from(format!("Function.{name}")).ok());
        let build = || {
            let mut request = request(Method::POST, path.clone(), body.clone());
            let headers = request.headers_mut();
            headers.insert(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            if let Some(id) = invocation_id {
                headers.insert(INVOCATION_ID, id.clone());
            }
            if let Some(error_type) = &error_type {
                headers.insert("lambda-runtime-function-error-type", error_type.clone());
            }
            request
        };
        let exchange = self.0.send(build, read_body, Instant::now()).await;
        let (head, _) = exchange
            .map_err(|_| RuntimeApiError::Broken("does not take a result"))?
            .response;
        if head.status.is_success() {
            Ok(())
        } else {
            Err(RuntimeApiError::Rejected(head.status.as_u16()))
        }
    }
}

const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

fn request(method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The request ID as Lambda sent it. An unusual one is encoded, so that the invocation can be answered.
fn path_segment(request_id: &HeaderValue) -> String {
    const KEPT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    percent_encode(request_id.as_bytes(), KEPT).to_string()
}

/// `Root=...;Parent=...;Sampled=...;Lineage=...`, from [X-Ray's tracing
/// header](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader). Other text from
/// a caller is not logged.
fn is_trace_id(text: &str) -> bool {
    text.len() <= 256
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"=;:-".contains(&byte))
}

/// Reads the payload to its end, and keeps only whether it is empty. `None` if the connection ended first.
async fn read_payload(response: Response<Incoming>) -> (Parts, Option<bool>) {
    let (head, mut body) = response.into_parts();
    let mut payload = EmptyPayload::default();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => payload.read(frame.data_ref().map_or(&[][..], |chunk| chunk)),
            Err(_) => return (head, None),
        }
    }
    (head, Some(payload.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_request_id_is_its_path_segment() {
        let id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
        assert_eq!(path_segment(&HeaderValue::from_static(id)), id);
    }

    #[test]
    fn unusual_request_id_is_encoded() {
        for (id, segment) in [
            ("a b", "a%20b"),
            ("a/../b", "a%2F..%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("é", "%C3%A9"),
        ] {
            let value = HeaderValue::from_bytes(id.as_bytes()).unwrap();
            assert_eq!(path_segment(&value), segment);
            assert_eq!(printable_id(&value), None);
        }
    }

    #[test]
    fn trace_id_has_the_documented_format() {
        assert!(is_trace_id("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0|b".split('|').next().unwrap()));
        for text in ["a b", "\"", "Root=<script>", &"x".repeat(257)] {
            assert!(!is_trace_id(text), "{text}");
        }
    }
}
