//! Lambda's Invoke API over HTTP, with a scripted function behind it.
#![expect(clippy::expect_used, reason = "a test that cannot go on has to stop")]

mod scripted;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use sandbox::Running;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

async fn invoke(running: &Running, name: &str, payload: &'static str) -> Response<Bytes> {
    let url = format!(
        "{}/2015-03-31/functions/{name}/invocations",
        running.aws_url()
    );
    let request = Request::post(url)
        .header("x-amz-log-type", "Tail")
        .body(Bytes::from_static(payload.as_bytes()))
        .expect("a request");
    sandbox::send(request).await.expect("Lambda responds")
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn response_is_returned_with_the_executed_version() {
    let running = scripted::scenario().start().await;
    let response = invoke(&running, "github-token-broker", r#""hello""#).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(header(&response, "x-amz-function-error"), None);
    assert_eq!(response.body(), r#""hello""#);
    running.finish().await;
}

#[tokio::test]
async fn missing_payload_reaches_the_function_as_an_empty_object() {
    let running = scripted::scenario().start().await;
    let response = invoke(&running, "github-token-broker", "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-amz-function-error"), Some("Unhandled"));
    let body = String::from_utf8_lossy(response.body());
    assert!(body.contains(r#""errorMessage":"{}""#), "{body}");
    running.finish().await;
}

#[tokio::test]
async fn invalid_json_and_unknown_function_are_rejected() {
    let running = scripted::scenario().start().await;
    for (name, payload, status, error_type) in [
        (
            "github-token-broker",
            "not JSON",
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
        ),
        (
            "unknown",
            "null",
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
        ),
    ] {
        let response = invoke(&running, name, payload).await;
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "x-amzn-errortype"), Some(error_type));
    }
    running.finish().await;
}

#[tokio::test]
async fn function_arn_selects_the_function_and_the_log_tail_is_returned() {
    let running = scripted::scenario().start().await;
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Agithub-token-broker";
    let response = invoke(&running, arn, r#""a""#).await;
    let log = header(&response, "x-amz-log-result").expect("a log");
    let log = String::from_utf8(STANDARD.decode(log).expect("base64")).expect("text");
    let words: Vec<_> = log
        .lines()
        .map(|line| line.split([' ', '"']).next().unwrap_or_default())
        .collect();
    assert_eq!(words, ["START", "{", "END", "REPORT"], "{log}");
    assert!(log.contains("Memory Size: 128 MB\t"), "{log}");
    assert!(log.contains(" ms\tBilled Duration: "), "{log}");
    running.finish().await;
}

#[tokio::test]
async fn concurrent_callers_get_separate_environments() {
    let meeting = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = meeting.local_addr().expect("it is bound").to_string();
    let scenario = scripted::scenario().variable("MEETING", address);
    let running = scenario.start().await;
    let call = async || invoke(&running, "github-token-broker", r#""meet""#).await;
    // Neither invocation ends before both have begun.
    let release_both = async {
        let (mut first, _) = meeting.accept().await.expect("the first connects");
        let (mut second, _) = meeting.accept().await.expect("the second connects");
        for function in [&mut first, &mut second] {
            function.write_all(b"!").await.expect("it waits");
        }
    };
    let ((), first, second) = tokio::join!(release_both, call(), call());
    assert_ne!(first.body(), second.body(), "two processes");
    for response in [first, second] {
        let id = String::from_utf8_lossy(response.body()).parse::<u32>();
        assert!(id.is_ok(), "{id:?}");
    }
    running.finish().await;
}
