//! An HTTP client for the demo, for another Parameter Store such as moto's, and for tests.

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
    let signer = Signer::new("AKIASANDBOX", "sandbox", None, region);
    for (name, Parameter { kind, value, .. }) in parameters {
        let input = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        let (status, output) =
            call_aws(endpoint, &signer, "ssm", "AmazonSSM.PutParameter", &input).await;
        assert!(
            status == 200,
            "{endpoint} does not accept parameter {name}: {output}"
        );
    }
}

/// Calls an operation of AWS's JSON 1.1 protocol with a valid signature.
async fn call_aws(
    endpoint: &str,
    signer: &Signer,
    service: &str,
    target: &str,
    input: &Value,
) -> (u16, Value) {
    let mut request = Request::post(format!("{}/", endpoint.trim_end_matches('/')))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(Bytes::from(input.to_string()))
        .unwrap_or_else(|error| panic!("{endpoint} is not a URL: {error}"));
    sign(&mut request, signer, service);
    let response = send(request)
        .await
        .unwrap_or_else(|error| panic!("no {service} at {endpoint}: {error}"));
    let output = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status().as_u16(), output)
}
