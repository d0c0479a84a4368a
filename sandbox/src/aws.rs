//! AWS's front door: one port that serves SSM (JSON 1.1, told by `X-Amz-Target`) and Lambda's API (REST, told by its
//! path), as an AWS client with one `--endpoint-url` expects it.

pub(crate) mod sigv4;
pub(crate) mod ssm;

use std::sync::Mutex;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::aws::ssm::{AwsError, Ssm};
use crate::clock::Clock;
use crate::lambda::Lambda;
use crate::lambda::routes as lambda_http;
use crate::net::gateway::Signer;
use crate::net::recorder::Call;
use crate::{lock, random};

/// What kind of call a request is, seen from outside.
pub(crate) fn classify(request: &Request<Bytes>) -> Call {
    if operation(request) == Some("GetParameters") {
        Call::Ssm
    } else {
        Call::Other
    }
}

/// AWS's JSON 1.1 protocol.
const JSON: &str = "application/x-amz-json-1.1";

/// How many seconds the time of a signature may differ from AWS's.
const SIGNATURE_LIFETIME: i64 = 300;

/// What is wrong with a call of the function's, whose credentials are known.
pub(crate) fn contract_violations(request: &Request<Bytes>, signer: &Signer) -> Vec<String> {
    let scope = match sigv4::scope(request.headers()) {
        Ok(scope) => scope,
        Err(reason) => return vec![format!("SSM: {reason}")],
    };
    let mut wrong = Vec::new();
    let content_type: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
    if content_type != [JSON] {
        wrong.push(format!(
            "SSM: the content-type is {content_type:?}, not {JSON}"
        ));
    }
    if request.method() != Method::POST {
        wrong.push(format!("SSM: the method is {}", request.method()));
    }
    let age = sigv4::signed_at(request.headers()).map(|at| Clock::default().now() - at);
    if age.is_none_or(|age| age.abs() > SIGNATURE_LIFETIME) {
        wrong.push("SSM: X-Amz-Date is not the time, or not of the credential's day".to_owned());
    }
    if !sigv4::signature_matches(request, &signer.secret_key) {
        wrong.push("SSM: the signature is not the one that AWS computes".to_owned());
    }
    let expected = sigv4::Scope {
        access_key: &signer.access_key,
        region: &signer.region,
        service: "ssm",
    };
    if scope != expected {
        let (region, service) = (scope.region, scope.service);
        wrong.push(format!(
            "SSM: the credential's scope is {region}/{service}, or the access key is another"
        ));
    }
    let session = request
        .headers()
        .get("x-amz-security-token")
        .and_then(|token| token.to_str().ok());
    if session != signer.session_token.as_deref() {
        wrong.push(
            "SSM: X-Amz-Security-Token is not the environment's AWS_SESSION_TOKEN".to_owned(),
        );
    }
    if serde_json::from_slice::<Value>(request.body())
        .is_ok_and(|body| body["WithDecryption"] != json!(true))
    {
        wrong.push("SSM: GetParameters without WithDecryption".to_owned());
    }
    wrong
}

/// Answers a request.
pub(crate) async fn answer(
    ssm: &Mutex<Ssm>,
    lambda: &Lambda,
    request: &Request<Bytes>,
) -> Response<Bytes> {
    let mut response = match operation(request) {
        Some(operation) => ssm_answer(&mut lock(ssm), operation, request),
        None => lambda_http::answer(lambda, request).await,
    };
    set(&mut response, "x-amzn-requestid", &random::uuid());
    response
}

fn operation(request: &Request<Bytes>) -> Option<&str> {
    request
        .headers()
        .get("x-amz-target")?
        .to_str()
        .ok()?
        .strip_prefix("AmazonSSM.")
}

fn ssm_answer(ssm: &mut Ssm, operation: &str, request: &Request<Bytes>) -> Response<Bytes> {
    let outcome = match sigv4::scope(request.headers()) {
        Err(reason) => Err(AwsError::new("IncompleteSignatureException", reason)),
        Ok(scope) => match serde_json::from_slice(request.body()) {
            Err(_) => Err(AwsError::new(
                "SerializationException",
                "the body is not JSON",
            )),
            Ok(input) => ssm.operate(scope.region, operation, &input),
        },
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (
            error.status,
            json!({ "__type": error.code, "message": error.message }),
        ),
    };
    let mut response = with_body(status, body.to_string());
    set(&mut response, "content-type", JSON);
    response
}

/// A response of this status.
pub(crate) fn with_body(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
}

/// Sets a header.
pub(crate) fn set(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::try_from(value).expect("AWS's headers are printable");
    response
        .headers_mut()
        .insert(HeaderName::from_static(name), value);
}

#[cfg(test)]
mod tests;
