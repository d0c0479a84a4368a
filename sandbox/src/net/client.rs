//! An HTTP client for the demo, for a different AWS such as moto, and for tests.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::aws::sigv4::{Signer, sign};
use crate::aws::ssm::Parameter;

/// Sends one request and reads the whole response.
pub async fn send(request: Request<Bytes>) -> io::Result<Response<Bytes>> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request.map(Full::new)).await;
    let (parts, body) = response.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Stores parameters through the SSM API at this endpoint.
pub(crate) async fn put_parameters(
    endpoint: &str,
    region: &str,
    parameters: &[(String, Parameter)],
) {
    for (name, Parameter { kind, value, .. }) in parameters {
        let input = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        call_aws(endpoint, region, "AmazonSSM.PutParameter", &input).await;
    }
}

/// Calls an operation of SSM or KMS with a valid signature.
///
/// # Panics
/// If the operation fails.
pub(crate) async fn call_aws(endpoint: &str, region: &str, target: &str, input: &Value) -> Value {
    let service = if target.starts_with("TrentService.") {
        "kms"
    } else {
        "ssm"
    };
    let signer = Signer::new("AKIASANDBOX", "sandbox", None, region);
    let mut request = Request::post(format!("{}/", endpoint.trim_end_matches('/')))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(Bytes::from(input.to_string()))
        .unwrap_or_else(|error| panic!("{endpoint} is not a URL: {error}"));
    sign(&mut request, &signer, service);
    let response = send(request)
        .await
        .unwrap_or_else(|error| panic!("cannot call {target} at {endpoint}: {error}"));
    let output = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    assert!(
        response.status().is_success(),
        "{target} at {endpoint} failed: {output}"
    );
    output
}
