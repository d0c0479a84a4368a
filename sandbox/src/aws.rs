//! AWS's front door: one port that serves SSM (JSON 1.1, told by `X-Amz-Target`) and Lambda's API (REST, told by its
//! path), as an AWS client with one `--endpoint-url` expects it.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::desk::Signer;
use crate::invocation::Invocation;
use crate::lambda::{self, Function, Lambda};
use crate::record::Call;
use crate::ssm::{AwsError, Ssm};
use crate::{lock, random, sigv4};

/// What kind of call a request is, seen from outside.
pub(crate) fn classify(request: &Request<Bytes>) -> Call {
    if operation(request) == Some("GetParameters") {
        Call::Ssm
    } else {
        Call::Other
    }
}

/// What is wrong with a call of the function's, whose credentials are known.
pub(crate) fn contract_violations(request: &Request<Bytes>, signer: &Signer) -> Vec<String> {
    let scope = match sigv4::scope(request.headers()) {
        Ok(scope) => scope,
        Err(reason) => return vec![format!("SSM: {reason}")],
    };
    let mut wrong = Vec::new();
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
        None => lambda_answer(lambda, request).await,
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
    set(&mut response, "content-type", "application/x-amz-json-1.1");
    response
}

async fn lambda_answer(lambda: &Lambda, request: &Request<Bytes>) -> Response<Bytes> {
    let path = percent_decoded(request.uri().path());
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (name, function) = match segments.as_slice() {
        ["2015-03-31", "functions", name, ..] => (*name, lambda.function(name)),
        _ => {
            return lambda_error(
                StatusCode::NOT_FOUND,
                "UnknownOperationException",
                "the sandbox does not serve this",
            );
        }
    };
    let Some(function) = function else {
        let arn = format!(
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:{}",
            lambda::bare_name(name)
        );
        return lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &arn);
    };
    match (request.method(), &segments[3..]) {
        (&Method::POST, ["invocations"]) => invoke(function, request).await,
        (&Method::GET, []) => json_response(
            &json!({ "Configuration": configuration(&function), "Code": {}, "Tags": {} }),
        ),
        (&Method::GET, ["configuration"]) => json_response(&configuration(&function)),
        _ => lambda_error(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "the sandbox does not serve this",
        ),
    }
}

async fn invoke(function: Arc<Function>, request: &Request<Bytes>) -> Response<Bytes> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    // A caller who sends no payload reaches a custom runtime as `{}`: recorded against AWS.
    let payload = if request.body().is_empty() {
        Bytes::from_static(b"{}")
    } else {
        request.body().clone()
    };
    if serde_json::from_slice::<Value>(&payload).is_err() {
        let message = "Could not parse request body into json: Could not parse payload into json";
        return lambda_error(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            message,
        );
    }
    match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let invocation = function.invoke(payload).await;
            let tail = header("x-amz-log-type") == Some("Tail");
            invoked(
                &invocation,
                function.configuration().variables.memory(),
                tail,
            )
        }
        "Event" => {
            tokio::spawn(async move { function.invoke(payload).await });
            with_body(StatusCode::ACCEPTED, String::new())
        }
        "DryRun" => with_body(StatusCode::NO_CONTENT, String::new()),
        _ => lambda_error(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "no such invocation type",
        ),
    }
}

fn invoked(invocation: &Invocation, memory: u32, tail: bool) -> Response<Bytes> {
    let mut response = match &invocation.answer {
        Answer::Response(body) => Response::new(body.clone()),
        Answer::FunctionError(error)
        | Answer::InitError(error)
        | Answer::TimedOut(error)
        | Answer::Crashed(error) => {
            let mut response = Response::new(Bytes::from(error.to_string()));
            set(&mut response, "x-amz-function-error", "Unhandled");
            response
        }
    };
    set(&mut response, "x-amz-executed-version", "$LATEST");
    set(&mut response, "content-type", "application/json");
    if tail {
        let log = invocation.log(memory);
        let last = log.len().saturating_sub(4096);
        set(
            &mut response,
            "x-amz-log-result",
            &STANDARD.encode(&log.as_bytes()[last..]),
        );
    }
    response
}

fn configuration(function: &Function) -> Value {
    let configuration = function.configuration();
    json!({
        "FunctionName": configuration.name,
        "FunctionArn": configuration.variables.function_arn(&configuration.name),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "PackageType": "Zip",
        "MemorySize": configuration.variables.memory(),
        "Timeout": configuration.timeout.as_secs(),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Version": "$LATEST",
    })
}

fn json_response(body: &Value) -> Response<Bytes> {
    let mut response = with_body(StatusCode::OK, body.to_string());
    set(&mut response, "content-type", "application/json");
    response
}

fn lambda_error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let mut response = with_body(
        status,
        json!({ "Type": "User", "Message": message }).to_string(),
    );
    set(&mut response, "x-amzn-errortype", code);
    set(&mut response, "content-type", "application/json");
    response
}

fn with_body(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
}

fn set(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::try_from(value).expect("AWS's headers are printable");
    response
        .headers_mut()
        .insert(HeaderName::from_static(name), value);
}

/// A path with its `%3A` and the like undone: clients send ARNs that way.
fn percent_decoded(path: &str) -> String {
    let as_query = format!("path={}", path.replace('+', "%2B"));
    url::form_urlencoded::parse(as_query.as_bytes())
        .next()
        .map(|(_, path)| path.into_owned())
        .unwrap_or_default()
}
