//! Lambda Managed Instances: several invocations at once in one environment, with credentials from an endpoint.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{SHA256, digest};
use aws_smithy_types::date_time::{DateTime, Format};
use base64ct::{Base64, Encoding};
use sandbox::{Call, Fault, Scenario, Schedule, Signer};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

fn concurrent(invocations: usize) -> Scenario {
    Scenario::default().variable("AWS_LAMBDA_MAX_CONCURRENCY", invocations.to_string())
}

#[tokio::test]
async fn four_invocations_are_served_at_once() {
    let slow = Duration::from_secs(2);
    let mut running = concurrent(4)
        .timeout(Duration::from_secs(20))
        .faults(Call::Mint, Schedule::Always(Fault::Delay(slow)))
        .start()
        .await;
    let process = running.pid();
    for _ in 0..2 {
        let outcomes = running.invoke_at_once(4).await;
        let mints: Vec<_> = outcomes[0].requests_of(Call::Mint).collect();
        let last_start = mints.iter().map(|mint| mint.started).max();
        let first_end = mints.iter().filter_map(|mint| mint.ended).min();
        assert_eq!(mints.len(), 4);
        assert!(last_start < first_end, "no mint waits for another one");
        let tokens = outcomes.iter().map(|outcome| {
            let [line] = outcome.lines("info")[..] else {
                panic!("{}", outcome.stdout)
            };
            let hash = digest(&SHA256, outcome.token().as_bytes());
            assert_eq!(line["token_hash"], Base64::encode_string(hash.as_ref()));
            assert_eq!(line["aws_request_id"], outcome.request_id);
            outcome.token()
        });
        let tokens: BTreeSet<_> = tokens.collect();
        assert_eq!(tokens.len(), 4);
        let connections: BTreeSet<_> = mints.iter().map(|mint| mint.connection).collect();
        assert_eq!(connections.len(), 4, "each has a connection of its own");
    }
    assert_eq!(running.pid(), process);
    running.finish().await;
}

/// One of four gets a token with too many permissions, one meets a server error, one a rejected JWT.
#[tokio::test]
async fn concurrent_invocations_fail_one_by_one() {
    let mut running = concurrent(4).start().await;
    let wider = |body: &mut serde_json::Value| body["permissions"]["contents"] = "write".into();
    running.faults(Call::Mint, Schedule::First(Fault::edit(wider)));
    running.faults(Call::Confirm, Schedule::First(Fault::Status(404)));
    let outcomes = running.invoke_at_once(4).await;
    let mut results: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            outcome.result.error().map_or("token".to_owned(), |error| {
                error["errorType"].as_str().unwrap().to_owned()
            })
        })
        .collect();
    results.sort();
    assert_eq!(
        results,
        ["AppNotInstalled", "TokenNotProven", "token", "token"]
    );
    let unproven = outcomes.iter().find(|outcome| {
        outcome
            .lines("error")
            .iter()
            .any(|line| line["errorType"] == "TokenNotProven")
    });
    assert_eq!(unproven.unwrap().lines("error")[0]["token_revoked"], true);
    for outcome in running.invoke_at_once(4).await {
        outcome.token();
    }
    running.finish().await;
}

#[tokio::test]
async fn unreadable_concurrency_means_one() {
    for value in ["", "0", "-1", "many", "1.5"] {
        let scenario = Scenario::default().variable("AWS_LAMBDA_MAX_CONCURRENCY", value);
        scenario.run().await.token();
    }
}

const ACCESS_KEY: &str = "ASIACONTAINER";
const SECRET_KEY: &str = "secret-key-of-the-container-endpoint";
const SESSION_TOKEN: &str = "session-token-of-the-container-endpoint";

/// A container credentials endpoint, and the value of `Authorization` in each request that it received.
struct CredentialsEndpoint {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CredentialsEndpoint {
    /// Its credentials expire in this time. It accepts only `token`, and ends each connection after the response.
    async fn start(token: &'static str, lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/v1/credentials?x=1",
            listener.local_addr().unwrap()
        );
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if client.read_line(&mut head).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                if head.is_empty() {
                    continue;
                }
                assert!(
                    head.starts_with("GET /v1/credentials?x=1 HTTP/1.1\r\n"),
                    "{head}"
                );
                let header = head.lines().find_map(|line| {
                    line.to_lowercase()
                        .starts_with("authorization: ")
                        .then(|| line[15..].to_owned())
                });
                let found = header.unwrap_or_default();
                let is_accepted = found == token;
                seen.lock().unwrap().push(found);
                let expiration = DateTime::from(SystemTime::now() + lifetime)
                    .fmt(Format::DateTime)
                    .unwrap();
                let body = serde_json::json!({
                    "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": SESSION_TOKEN, "Expiration": expiration,
                });
                let (status, body) = if is_accepted {
                    ("200 OK", body.to_string())
                } else {
                    ("401 Unauthorized", String::new())
                };
                let response = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                drop(client.write_all(response.as_bytes()).await);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A function without credentials in its environment, which finds these here.
    fn scenario(&self) -> Scenario {
        Scenario::default()
            .without_variable("AWS_ACCESS_KEY_ID")
            .without_variable("AWS_SECRET_ACCESS_KEY")
            .without_variable("AWS_SESSION_TOKEN")
            .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &self.url)
            .signer(Signer::new(
                ACCESS_KEY,
                SECRET_KEY,
                Some(SESSION_TOKEN),
                "us-east-1",
            ))
    }
}

#[tokio::test]
async fn container_credentials_sign_and_are_fetched_once() {
    let endpoint = CredentialsEndpoint::start("a-token", Duration::from_hours(1)).await;
    let scenario = endpoint
        .scenario()
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token");
    let mut running = scenario
        .variable("AWS_LAMBDA_MAX_CONCURRENCY", "4")
        .start()
        .await;
    for _ in 0..2 {
        for outcome in running.invoke_at_once(4).await {
            outcome.token();
            assert!(
                !outcome.stdout.contains(SECRET_KEY) && !outcome.stdout.contains(SESSION_TOKEN)
            );
        }
    }
    running.finish().await;
    assert_eq!(endpoint.requests(), ["a-token"]);
}

#[tokio::test]
async fn container_credentials_are_fetched_again_before_they_expire() {
    let endpoint = CredentialsEndpoint::start("", Duration::from_mins(4)).await;
    let mut running = endpoint.scenario().start().await;
    for _ in 0..3 {
        running.invoke("null").await.token();
    }
    running.finish().await;
    assert_eq!(endpoint.requests().len(), 3);
}

#[tokio::test]
async fn token_file_is_read_for_each_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let endpoint = CredentialsEndpoint::start("second", Duration::from_mins(4)).await;
    let scenario = endpoint.scenario();
    let mut running = scenario
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "ignored")
        .variable(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            file.to_str().unwrap(),
        )
        .start()
        .await;
    let missing = running.invoke("null").await.error();
    assert_eq!(missing.0, "ParametersRefused");
    assert!(
        missing.1.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        "{}",
        missing.1
    );
    fs::write(&file, "first\n").unwrap();
    assert_eq!(running.invoke("null").await.error().0, "ParametersRefused");
    fs::write(&file, "second\n").unwrap();
    running.invoke("null").await.token();
    running.finish().await;
    assert_eq!(endpoint.requests(), ["first", "second"]);
}

#[tokio::test]
async fn token_file_that_is_a_pipe_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let endpoint = CredentialsEndpoint::start("", Duration::from_hours(1)).await;
    let scenario = endpoint.scenario();
    let outcome = scenario
        .variable(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            pipe.to_str().unwrap(),
        )
        .timeout(Duration::from_secs(3))
        .run()
        .await;
    assert_eq!(outcome.error().0, "ParametersRefused");
}

#[tokio::test]
async fn credentials_endpoint_that_does_not_respond_is_named() {
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused_at = refused.local_addr().unwrap();
    drop(refused);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [refused_at, silent.local_addr().unwrap()] {
        let endpoint = CredentialsEndpoint {
            url: format!("http://{address}/"),
            requests: Arc::default(),
        };
        let (error_type, message) = endpoint.scenario().run().await.error();
        assert_eq!(error_type, "ParametersUnavailable", "{message}");
        assert!(
            message.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn credentials_are_used_until_they_expire_if_the_endpoint_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "a-token").unwrap();
    let endpoint = CredentialsEndpoint::start("a-token", Duration::from_mins(4)).await;
    let scenario = endpoint.scenario();
    let mut running = scenario
        .variable(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            file.to_str().unwrap(),
        )
        .start()
        .await;
    running.invoke("null").await.token();
    fs::write(&file, "rejected").unwrap();
    running.invoke("null").await.token();
    running.finish().await;
    assert_eq!(endpoint.requests(), ["a-token", "rejected"]);
}

#[tokio::test]
async fn static_credentials_take_precedence() {
    let endpoint = CredentialsEndpoint::start("", Duration::from_hours(1)).await;
    let scenario =
        Scenario::default().variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url);
    scenario.run().await.token();
    assert!(endpoint.requests().is_empty());
}
