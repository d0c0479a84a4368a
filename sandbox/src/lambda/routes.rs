//! Lambda's API over HTTP: `Invoke`, and the calls that the AWS CLI makes before and after it.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::invocation::Invocation;
use super::invoke_result::{InvokeResult, error_body};
use super::remote::Unavailable;
use super::{Function, Lambda, bare_name};
use crate::aws::DeniedActions;
use crate::aws::error::AwsError;
use crate::aws::iam::role_arn;
use crate::lock;
use crate::scenario::fixtures::FUNCTION;

/// The limit of a synchronous invocation's payload: 6 MB and some overhead.
const MAX_PAYLOAD: usize = 6_291_556;

const FUNCTION_ERROR: (HeaderName, &str) =
    (HeaderName::from_static("x-amz-function-error"), "Unhandled");
const EXECUTED_VERSION: (HeaderName, &str) =
    (HeaderName::from_static("x-amz-executed-version"), "$LATEST");
const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

/// The routes of Lambda.
pub(crate) fn router(lambda: Arc<Lambda>, denied_actions: DeniedActions) -> Router {
    let function = "/2015-03-31/functions/{name}";
    Router::new()
        .route(function, get(get_function))
        .route(&format!("{function}/configuration"), get(get_configuration))
        .route(&format!("{function}/policy"), get(get_policy))
        .route(&format!("{function}/invocations"), post(invoke))
        .layer(DefaultBodyLimit::disable())
        .with_state(Shared {
            lambda,
            denied_actions,
        })
}

async fn get_function(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let function = shared.find("lambda:GetFunction", &name, &headers).await?;
    let body = json!({ "Configuration": configuration(&function), "Code": {}, "Tags": {} });
    Ok(([JSON], body.to_string()).into_response())
}

async fn get_configuration(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let function = shared
        .find("lambda:GetFunctionConfiguration", &name, &headers)
        .await?;
    Ok(([JSON], configuration(&function).to_string()).into_response())
}

async fn get_policy(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let function = shared.find("lambda:GetPolicy", &name, &headers).await?;
    let policy = function.configuration().policy.as_ref().ok_or_else(|| {
        let message = "The resource you requested does not exist.";
        lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    })?;
    let body = json!({ "Policy": policy.to_string(), "RevisionId": Uuid::new_v4().to_string() });
    Ok(([JSON], body.to_string()).into_response())
}

#[derive(Clone)]
struct Shared {
    lambda: Arc<Lambda>,
    denied_actions: DeniedActions,
}

impl Shared {
    /// Finds a function for a caller that is allowed to perform this action.
    async fn find(
        &self,
        action: &str,
        name: &str,
        caller: &HeaderMap,
    ) -> Result<Arc<Function>, Response> {
        if lock(&self.denied_actions).contains(action) {
            let AwsError { code, message, .. } = AwsError::access_denied(action);
            return Err(lambda_error(StatusCode::FORBIDDEN, code, &message));
        }
        let found = self.lambda.function(name, caller).await;
        found.map_err(|unavailable| match unavailable {
            Unavailable::Function(reason) => {
                let message = format!("Function not found: {}: {reason}", bare_name(name));
                lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message)
            }
            // A zip without a usable program is an error of the function, as its caller sees it.
            Unavailable::Entrypoint(reason) => {
                let message = format!("RequestId: {} Error: {reason}", Uuid::new_v4());
                let body = error_body("Runtime.InvalidEntrypoint", &message).to_string();
                ([JSON, FUNCTION_ERROR, EXECUTED_VERSION], body).into_response()
            }
        })
    }
}

async fn invoke(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let function = shared
        .find("lambda:InvokeFunction", &name, &headers)
        .await?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // AWS delivers an invocation without a payload as `{}` to a custom runtime.
    let payload = if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    };
    if payload.len() > MAX_PAYLOAD {
        let message = format!(
            "Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation"
        );
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(lambda_error(status, "RequestTooLargeException", &message));
    }
    if serde_json::from_slice::<Value>(&payload).is_err() {
        return Err(lambda_error(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            "Could not parse request body into json: Could not parse payload into json",
        ));
    }
    match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            // In a task of its own: a caller that disconnects does not end the invocation.
            let running = Arc::clone(&function);
            let invocation = tokio::spawn(async move { running.invoke(payload).await });
            let invocation = invocation.await.expect("an invocation does not panic");
            let memory = function.configuration().variables.memory();
            let with_log = header("x-amz-log-type") == Some("Tail");
            Ok(invoke_response(&invocation, memory, with_log))
        }
        "Event" => {
            tokio::spawn(async move { function.invoke(payload).await });
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "DryRun" => Ok(StatusCode::NO_CONTENT.into_response()),
        _ => Err(lambda_error(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "unknown invocation type",
        )),
    }
}

fn invoke_response(invocation: &Invocation, memory: u32, with_log: bool) -> Response {
    let headers = [JSON, EXECUTED_VERSION];
    let mut response = match (&invocation.result, invocation.result.error()) {
        (InvokeResult::Response(body), _) => (headers, body.clone()).into_response(),
        (_, error) => {
            let body = error.map(Value::to_string).unwrap_or_default();
            (headers, [FUNCTION_ERROR], body).into_response()
        }
    };
    if with_log {
        let log = invocation.log(memory);
        let tail = &log.as_bytes()[log.len().saturating_sub(4096)..];
        let tail = STANDARD.encode(tail).parse().expect("base64 is printable");
        response.headers_mut().insert("x-amz-log-result", tail);
    }
    response
}

fn configuration(function: &Function) -> Value {
    let configuration = function.configuration();
    let code = std::fs::read(&configuration.binary).unwrap_or_default();
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    };
    let mut description = json!({
        "FunctionName": configuration.name,
        "FunctionArn": configuration.variables.function_arn(&configuration.name),
        "Role": role_arn(FUNCTION),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Architectures": [architecture],
        "PackageType": "Zip",
        "CodeSize": code.len(),
        "CodeSha256": STANDARD.encode(digest(&SHA256, &code)),
        "MemorySize": configuration.variables.memory(),
        "Timeout": configuration.timeout.as_secs(),
        "Environment": { "Variables": configuration.variables.configured() },
        "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": format!("/aws/lambda/{}", configuration.name),
        },
        "TracingConfig": { "Mode": "PassThrough" },
        "LastModified": "2026-01-26T19:14:43.000+0000",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "RevisionId": Uuid::new_v4().to_string(),
        "Version": "$LATEST",
    });
    for edit in &configuration.edits {
        edit(&mut description);
    }
    description
}

fn lambda_error(status: StatusCode, code: &'static str, message: &str) -> Response {
    let error_type = (HeaderName::from_static("x-amzn-errortype"), code);
    let body = json!({ "Type": "User", "Message": message });
    (status, [JSON, error_type], body.to_string()).into_response()
}
