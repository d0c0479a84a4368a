//! Lambda's Invoke API over HTTP, with a scripted function behind it.

use std::process::Stdio;

use crate::scripted;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use sandbox::{Running, Scenario};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

fn scripted() -> Scenario {
    Scenario::default().binary(scripted::binary())
}

async fn invoke(running: &Running, name: &str, payload: &'static str) -> Response<Bytes> {
    invoke_at(&running.aws_url(), name, payload).await
}

async fn invoke_at(aws_url: &str, name: &str, payload: &'static str) -> Response<Bytes> {
    let url = format!("{aws_url}/2015-03-31/functions/{name}/invocations");
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
    let running = scripted().start().await;
    let response = invoke(&running, "github-token-broker", r#""hello""#).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(header(&response, "x-amz-function-error"), None);
    assert_eq!(response.body(), r#""hello""#);
    running.finish().await;
}

#[tokio::test]
async fn clock_of_aws_can_be_moved() {
    let running = scripted().aws_clock(-3600).start().await;
    let response = invoke(&running, "github-token-broker", r#""a""#).await;
    let date = header(&response, "date").expect("every response has one");
    let date = httpdate::parse_http_date(date).expect("an HTTP date");
    let age = std::time::SystemTime::now().duration_since(date);
    assert!(age.is_ok_and(|age| (3600..3660).contains(&age.as_secs())));
    running.finish().await;
}

#[tokio::test]
async fn missing_payload_reaches_the_function_as_an_empty_object() {
    let running = scripted().start().await;
    let response = invoke(&running, "github-token-broker", "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-amz-function-error"), Some("Unhandled"));
    let body = String::from_utf8_lossy(response.body());
    assert!(body.contains(r#""errorMessage":"{}""#), "{body}");
    running.finish().await;
}

#[tokio::test]
async fn invalid_json_and_unknown_function_are_rejected() {
    let running = scripted().start().await;
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
    let running = scripted().start().await;
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
    let scenario = scripted().variable("MEETING", address);
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

/// A killed sandbox cannot end its functions; the kernel hangs up on their orphaned process group.
#[tokio::test]
async fn frozen_function_ends_with_the_sandbox_program_by_any_signal() {
    for signal in ["-TERM", "-HUP", "-INT", "-KILL"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let described = folder.path().join("sandbox.json");
        // In a session of its own, as a terminal or a CI runner starts it.
        let mut serving = Command::new("setsid")
            .arg(env!("CARGO_BIN_EXE_sandbox"))
            .args(["serve", "--describe"])
            .arg(&described)
            .env("BROKER_UNDER_TEST", scripted::binary())
            // A killed sandbox leaves its files here.
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut stdout = serving.stdout.take().expect("piped");
        stdout
            .read_exact(&mut [0])
            .await
            .expect("it prints when it is running");
        let description = std::fs::read(&described).expect("written before the first output");
        let description: Value = serde_json::from_slice(&description).expect("JSON");
        let aws_url = description["aws_url"].as_str().expect("a URL");
        let response = invoke_at(aws_url, "github-token-broker", r#""pid""#).await;
        let body = String::from_utf8_lossy(response.body());
        let pid = body
            .parse()
            .unwrap_or_else(|_| panic!("no process ID: {body}"));
        let id = serving.id().expect("it is running").to_string();
        let killed = Command::new("kill").args([signal, &id]).status().await;
        assert!(killed.expect("kill runs").success());
        let ended = timeout(scripted::GIVE_UP, serving.wait()).await;
        assert!(ended.is_ok(), "the sandbox ignores {signal}");
        scripted::assert_ends(pid).await;
    }
}
