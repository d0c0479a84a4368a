//! Lambda's Invoke API as its callers use it, over HTTP, with a scripted function behind it.
#![expect(clippy::expect_used, reason = "a test that cannot go on has to stop")]

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::{Running, Scenario};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn scripted(variables: &[(&str, &str)]) -> Running {
    let test = std::env::current_exe().expect("a test is a program");
    let profile: PathBuf = test
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>")
        .to_owned();
    let scenario = Scenario::default().binary(profile.join("examples/scripted_function"));
    let configured = variables.iter().fold(scenario, |scenario, (name, value)| {
        scenario.variable(name, *value)
    });
    configured.start().await
}

/// One `POST .../invocations`: the head of the answer in lower case, and its body.
async fn invoke(url: String, name: &str, headers: &str, payload: &str) -> (String, String) {
    let authority = url.strip_prefix("http://").expect("no TLS here");
    let mut stream = TcpStream::connect(authority)
        .await
        .expect("the sandbox listens");
    let length = payload.len();
    let request = format!(
        "POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n{payload}"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn an_answer_an_error_and_a_missing_payload_look_as_on_lambda() {
    let running = scripted(&[]).await;
    let call = |payload| invoke(running.aws_url(), "github-token-broker", "", payload);
    let (head, body) = call(r#""hello""#).await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("x-amz-executed-version: $latest"),
        "{head}"
    );
    assert!(!head.contains("x-amz-function-error"));
    assert_eq!(body, r#""hello""#);
    let (head, body) = call("").await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("x-amz-function-error: unhandled"),
        "{head}"
    );
    assert!(
        body.contains(r#""errorMessage":"{}""#),
        "a missing payload arrives as an object: {body}"
    );
    let (head, _) = call("not JSON").await;
    assert!(
        head.starts_with("http/1.1 400") && head.contains("invalidrequestcontentexception"),
        "{head}"
    );
    let (head, _) = invoke(running.aws_url(), "nobody", "", "null").await;
    assert!(
        head.starts_with("http/1.1 404") && head.contains("resourcenotfoundexception"),
        "{head}"
    );
    running.finish().await;
}

#[tokio::test]
async fn the_tail_of_the_log_comes_with_the_answer() {
    let running = scripted(&[]).await;
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Agithub-token-broker";
    let authority = running.aws_url();
    let mut stream = TcpStream::connect(authority.trim_start_matches("http://"))
        .await
        .expect("the sandbox listens");
    let request = format!(
        "POST /2015-03-31/functions/{arn}/invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         x-amz-log-type: Tail\r\ncontent-length: 3\r\n\r\n\"a\""
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    let encoded = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-amz-log-result: "))
        .expect("a log");
    let log = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("text");
    let lines: Vec<_> = log
        .lines()
        .map(|line| line.split([' ', '"']).next().unwrap_or_default())
        .collect();
    assert_eq!(lines, ["START", "{", "END", "REPORT"], "{log}");
    assert!(
        log.contains("Memory Size: 128 MB\t") && log.contains(" ms\tBilled Duration: "),
        "{log}"
    );
    running.finish().await;
}

#[tokio::test]
async fn concurrent_callers_get_environments_of_their_own() {
    let meeting = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let place = meeting.local_addr().expect("it is bound").to_string();
    let running = scripted(&[("MEETING", &place)]).await;
    let call = || invoke(running.aws_url(), "github-token-broker", "", r#""meet""#);
    // Neither invocation ends before both have begun.
    let host = async {
        let (mut first, _) = meeting.accept().await.expect("the first came");
        let (mut second, _) = meeting.accept().await.expect("the second came");
        first.write_all(b"!").await.expect("it waits");
        second.write_all(b"!").await.expect("it waits");
    };
    let ((), first, second) = tokio::join!(host, call(), call());
    assert_ne!(first.1, second.1, "two processes");
    assert!(
        first.1.parse::<u32>().is_ok() && second.1.parse::<u32>().is_ok(),
        "{first:?} {second:?}"
    );
    running.finish().await;
}
