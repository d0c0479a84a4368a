//! Lambda's API over HTTP, as callers use it: `Invoke`, and what the AWS CLI asks before and after. A thin view of
//! `lambda.rs`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::aws::{set, with_body};
use crate::lambda::invocation::Invocation;
use crate::lambda::invoke_result::Answer;
use crate::lambda::remote::Missing;
use crate::lambda::{self, Function, Lambda};
use crate::random;

/// What a synchronous invocation may carry: 6 MB, and a little for its wrapping.
const LARGEST_PAYLOAD: usize = 6_291_556;

/// Answers a request to Lambda's API.
pub(crate) async fn answer(lambda: &Lambda, request: &Request<Bytes>) -> Response<Bytes> {
    let path = percent_decoded(request.uri().path());
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ["2015-03-31", "functions", name, ..] = segments.as_slice() else {
        return not_served();
    };
    let function = match lambda.function(name, request.headers()).await {
        Ok(function) => function,
        Err(Missing::Function(reason)) => {
            let message = format!("Function not found: {}: {reason}", lambda::bare_name(name));
            return lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
        }
        Err(Missing::Entrypoint(reason)) => return no_entrypoint(&reason),
    };
    match (request.method(), &segments[3..]) {
        (&Method::POST, ["invocations"]) => invoke(function, request).await,
        (&Method::GET, []) => json_response(
            &json!({ "Configuration": configuration(&function), "Code": {}, "Tags": {} }),
        ),
        (&Method::GET, ["configuration"]) => json_response(&configuration(&function)),
        _ => not_served(),
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
    if payload.len() > LARGEST_PAYLOAD {
        let message = format!(
            "Request must be smaller than {LARGEST_PAYLOAD} bytes for the InvokeFunction operation"
        );
        return lambda_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            &message,
        );
    }
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
            // In a task of its own: a caller who hangs up does not end the invocation.
            let running = Arc::clone(&function);
            let invocation = tokio::spawn(async move { running.invoke(payload).await });
            let invocation = invocation.await.expect("an invocation ends by itself");
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

fn not_served() -> Response<Bytes> {
    lambda_error(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        "the sandbox does not serve this",
    )
}

/// A zip without a program is a fault of the function's, as its caller sees it.
fn no_entrypoint(reason: &str) -> Response<Bytes> {
    let message = format!("RequestId: {} Error: {reason}", random::uuid());
    let mut response = json_response(
        &json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": message }),
    );
    set(&mut response, "x-amz-function-error", "Unhandled");
    set(&mut response, "x-amz-executed-version", "$LATEST");
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

/// A path with its `%3A` and the like undone: clients send ARNs that way.
fn percent_decoded(path: &str) -> String {
    let as_query = format!("path={}", path.replace('+', "%2B"));
    url::form_urlencoded::parse(as_query.as_bytes())
        .next()
        .map(|(_, path)| path.into_owned())
        .unwrap_or_default()
}
