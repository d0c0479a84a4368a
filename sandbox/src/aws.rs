//! AWS: one port for Parameter Store (JSON 1.1, selected by `X-Amz-Target`) and Lambda (REST), as an AWS client with a
//! single `--endpoint-url` expects.

pub(crate) mod error;
pub(crate) mod sigv4;
pub(crate) mod ssm;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use self::error::AwsError;
use self::sigv4::{Signature, Signer};
use self::ssm::Ssm;
use crate::lambda::{self, Lambda};
use crate::lock;
use crate::net::recorder::Call;

/// The account that every ARN names.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The content type of AWS's JSON 1.1 protocol.
pub(crate) const JSON: &str = "application/x-amz-json-1.1";

/// The services behind the AWS port.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) ssm: Arc<Mutex<Ssm>>,
    pub(crate) lambda: Arc<Lambda>,
}

/// The routes of AWS.
pub(crate) fn router(services: &Services) -> Router {
    Router::new()
        .route("/", post(json_call))
        .with_state(services.clone())
        .merge(lambda::routes::router(Arc::clone(&services.lambda)))
        .fallback(async || AwsError::unknown_operation("the sandbox does not serve this path"))
        .layer(map_response(async |mut response: Response| {
            let id =
                HeaderValue::try_from(Uuid::new_v4().to_string()).expect("a UUID is printable");
            response.headers_mut().insert("x-amzn-requestid", id);
            response
        }))
}

/// The kind of call, as far as the function makes it.
pub(crate) fn classify(headers: &HeaderMap) -> Call {
    match target(headers) {
        Some(("AmazonSSM", "GetParameters")) => Call::GetParameters,
        _ => Call::Other,
    }
}

/// Everything in a call of the function that violates the contract. `signer` is the function.
pub(crate) fn contract_violations(
    call: Call,
    request: &Request<Bytes>,
    signer: &Signer,
) -> Vec<String> {
    let service = match call {
        Call::GetParameters => "ssm",
        _ => return Vec::new(),
    };
    let mut found: Vec<_> = sigv4::violations(request, signer, service, SystemTime::now())
        .into_iter()
        .map(str::to_owned)
        .collect();
    let content_type: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
    if content_type != [JSON] {
        found.push(format!(
            "Content-Type is {content_type:?} instead of {JSON}"
        ));
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    if call == Call::GetParameters && body["WithDecryption"] != json!(true) {
        found.push("WithDecryption is not true".to_owned());
    }
    found
        .into_iter()
        .map(|violation| format!("{call:?}: {violation}"))
        .collect()
}

/// `("AmazonSSM", "GetParameters")`, from `X-Amz-Target`.
fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get("x-amz-target")?.to_str().ok()?.split_once('.')
}

/// Serves an operation of the JSON 1.1 protocol.
async fn json_call(State(services): State<Services>, headers: HeaderMap, body: Bytes) -> Response {
    match operate(&services, &headers, &body) {
        Ok(output) => ([(CONTENT_TYPE, JSON)], output.to_string()).into_response(),
        Err(error) => error.into_response(),
    }
}

fn operate(services: &Services, headers: &HeaderMap, body: &[u8]) -> Result<Value, AwsError> {
    let (service, operation) = target(headers)
        .ok_or_else(|| AwsError::unknown_operation("the request has no X-Amz-Target"))?;
    let signature = Signature::parse(headers)
        .map_err(|reason| AwsError::new("IncompleteSignatureException", reason))?;
    let input = serde_json::from_slice(body)
        .map_err(|_| AwsError::new("SerializationException", "the body is not JSON"))?;
    match service {
        "AmazonSSM" => lock(&services.ssm).operate(signature.region, operation, &input),
        _ => Err(AwsError::unknown_operation(operation)),
    }
}

#[cfg(test)]
mod tests;
