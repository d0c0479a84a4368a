//! A small HTTP client, for the demo, for filling an SSM of somebody else's, and for the sandbox's own tests: one
//! connection for one request, without TLS.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;

use crate::aws::ssm::Parameter;

/// Sends a request with these headers and reads the whole answer.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> std::io::Result<Response<Bytes>> {
    let url = Url::parse(url).map_err(std::io::Error::other)?;
    let authority = format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or(80)
    );
    let path = url.query().map_or_else(
        || url.path().to_owned(),
        |query| format!("{}?{query}", url.path()),
    );
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", &authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(body.into()))
        .map_err(std::io::Error::other)?;
    let stream = TokioIo::new(TcpStream::connect(authority).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(std::io::Error::other)?;
    let serving = tokio::spawn(connection);
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>(Response::from_parts(
            parts,
            body.collect().await?.to_bytes(),
        ))
    };
    let answer = exchange.await.map_err(std::io::Error::other);
    serving.abort();
    answer
}

/// Calls an operation of SSM with a signature that has the right shape and no more: emulators look no closer.
pub(crate) async fn ssm(
    endpoint: &str,
    region: &str,
    operation: &str,
    input: &Value,
) -> (u16, Value) {
    let signature = "0".repeat(64);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIASANDBOX/20261123/{region}/ssm/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature={signature}"
    );
    let target = format!("AmazonSSM.{operation}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-amz-date", "20261123T184500Z"),
        ("x-amz-target", &target),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let answer = send(
        "POST",
        &format!("{}/", endpoint.trim_end_matches('/')),
        &headers,
        input.to_string(),
    )
    .await;
    let answer = answer.unwrap_or_else(|error| panic!("no SSM at {endpoint}: {error}"));
    (
        answer.status().as_u16(),
        serde_json::from_slice(answer.body()).unwrap_or(Value::Null),
    )
}

/// Puts parameters over the API.
pub(crate) async fn put_parameters(
    endpoint: &str,
    region: &str,
    parameters: &[(String, Parameter)],
) {
    for (name, Parameter { kind, value }) in parameters {
        let input = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        let (status, answer) = ssm(endpoint, region, "PutParameter", &input).await;
        assert!(status == 200, "{endpoint} does not take {name}: {answer}");
    }
}
