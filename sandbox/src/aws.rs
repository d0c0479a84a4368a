//! AWS: one port for Parameter Store and KMS (JSON 1.1, selected by `X-Amz-Target`), STS and IAM (query protocol) and Lambda
//! (REST), as an AWS client with a single `--endpoint-url` expects.

pub(crate) mod error;
pub(crate) mod iam;
pub(crate) mod kms;
pub(crate) mod query;
pub(crate) mod sigv4;
pub(crate) mod ssm;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use self::error::AwsError;
use self::iam::Iam;
use self::kms::Kms;
use self::query::Form;
use self::sigv4::{Signature, Signer};
use self::ssm::Ssm;
use crate::clock::{self, Clock};
use crate::lambda::{self, Lambda};
use crate::lock;
use crate::net::recorder::Call;

/// The account that every ARN names.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The content type of AWS's JSON 1.1 protocol.
pub(crate) const JSON: &str = "application/x-amz-json-1.1";

/// IAM actions, such as `kms:Sign`, that no caller is allowed to perform.
pub(crate) type DeniedActions = Arc<Mutex<BTreeSet<String>>>;

/// The services behind the AWS port.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) ssm: Arc<Mutex<Ssm>>,
    pub(crate) kms: Arc<Mutex<Kms>>,
    pub(crate) iam: Arc<Mutex<Iam>>,
    pub(crate) denied_actions: DeniedActions,
    /// The clock of AWS, as its responses show it.
    pub(crate) clock: Clock,
    pub(crate) lambda: Arc<Lambda>,
}

/// The routes of AWS.
pub(crate) fn router(services: &Services) -> Router {
    Router::new()
        .route("/", post(call))
        .with_state(services.clone())
        .merge(lambda::routes::router(
            Arc::clone(&services.lambda),
            Arc::clone(&services.denied_actions),
        ))
        .fallback(async || AwsError::unknown_operation("the sandbox does not serve this path"))
        .layer(map_response_with_state(services.clock, with_common_headers))
}

/// Adds what AWS adds to any response.
async fn with_common_headers(State(clock): State<Clock>, mut response: Response) -> Response {
    let mut set = |name: HeaderName, text: String| {
        let value = HeaderValue::try_from(text).expect("IDs and dates are printable");
        response.headers_mut().insert(name, value);
    };
    set(REQUEST_ID, Uuid::new_v4().to_string());
    set(DATE, clock::http_date(clock.now()));
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The kind of call, as far as the function makes it.
pub(crate) fn classify(headers: &HeaderMap) -> Call {
    match target(headers) {
        Some(("AmazonSSM", "GetParameters")) => Call::GetParameters,
        Some(("TrentService", "Sign")) => Call::Sign,
        _ => Call::Other,
    }
}

/// Everything in a call of the function that violates the contract. `signer` is the function.
pub(crate) fn contract_violations(
    call: Call,
    request: &Request<Bytes>,
    signer: &Signer,
) -> Vec<String> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    let mut found: Vec<_> = match call {
        Call::GetParameters => sigv4::violations(request, signer, "ssm", SystemTime::now()),
        Call::Sign => {
            // The region of a key ARN decides which KMS is called.
            let region = body["KeyId"].as_str().and_then(arn_region);
            let signer = region.map_or_else(|| signer.clone(), |region| signer.in_region(region));
            sigv4::violations(request, &signer, "kms", SystemTime::now())
        }
        _ => return Vec::new(),
    };
    let mut found: Vec<_> = found.drain(..).map(str::to_owned).collect();
    let content_type: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
    if content_type != [JSON] {
        found.push(format!(
            "Content-Type is {content_type:?} instead of {JSON}"
        ));
    }
    let expected: &[(&str, Value)] = if call == Call::Sign {
        &[
            ("MessageType", json!("RAW")),
            ("SigningAlgorithm", json!("RSASSA_PKCS1_V1_5_SHA_256")),
            ("DryRun", Value::Null),
        ]
    } else {
        &[("WithDecryption", json!(true))]
    };
    for (name, value) in expected {
        if body[name] != *value {
            found.push(format!("{name} is {} instead of {value}", body[name]));
        }
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

/// Serves an operation of the JSON 1.1 protocol, or of the query protocol if it has no target.
async fn call(State(services): State<Services>, headers: HeaderMap, body: Bytes) -> Response {
    if !headers.contains_key("x-amz-target") {
        return query_call(&services, &headers, &body);
    }
    match operate(&services, &headers, &body) {
        // An operation without output has an empty body.
        Ok(Value::Null) => [(CONTENT_TYPE, JSON)].into_response(),
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
    let prefix = match service {
        "AmazonSSM" => "ssm",
        "TrentService" => "kms",
        _ => return Err(AwsError::unknown_operation(operation)),
    };
    let action = format!("{prefix}:{operation}");
    if lock(&services.denied_actions).contains(&action) {
        return Err(AwsError::access_denied(&action));
    }
    match service {
        "AmazonSSM" => lock(&services.ssm).operate(signature.region, operation, &input),
        _ => lock(&services.kms).operate(signature.region, operation, &input),
    }
}

/// Serves an operation of STS or IAM, which the version tells apart.
fn query_call(services: &Services, headers: &HeaderMap, body: &[u8]) -> Response {
    let form = Form::parse(body);
    let operation = form.get("Action").unwrap_or_default();
    let is_sts = form.get("Version") == Some("2011-06-15");
    let action = format!("{}:{operation}", if is_sts { "sts" } else { "iam" });
    let result = || {
        let access_key = match Signature::parse(headers) {
            Ok(signature) => signature.access_key,
            // The one operation that needs no AWS credentials.
            Err(_) if operation == "AssumeRoleWithWebIdentity" => "",
            Err(reason) => return Err(AwsError::new("IncompleteSignature", reason)),
        };
        if lock(&services.denied_actions).contains(&action) {
            let mut error = AwsError::access_denied(&action);
            (error.code, error.status) = ("AccessDenied", http::StatusCode::FORBIDDEN);
            return Err(error);
        }
        let mut iam = lock(&services.iam);
        if is_sts {
            iam.operate_sts(operation, access_key, &form)
        } else {
            iam.operate(operation, &form)
        }
    };
    let namespace = if is_sts {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    } else {
        "https://iam.amazonaws.com/doc/2010-05-08/"
    };
    query::response(namespace, operation, result())
}

/// `us-east-1` in `arn:aws:kms:us-east-1:123456789012:key/...`.
fn arn_region(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(2)
}

#[cfg(test)]
mod tests;
