//! An HTTP proxy sees the hosts that the function connects to, and none of its traffic.

use std::sync::{Arc, Mutex};

use sandbox::Scenario;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// An HTTP proxy that supports `CONNECT`, and the requests that it received.
struct Proxy {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:pass@{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, seen.clone()));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn tunnel(client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let target = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head);
    let mut server = TcpStream::connect(target).await.unwrap();
    client
        .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
        .await
        .unwrap();
    // The tunnel ends when either side closes.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

#[tokio::test]
async fn both_hosts_are_reached_through_the_proxy() {
    let proxy = Proxy::start().await;
    let outcome = Scenario::default()
        .tls()
        .variable("HTTPS_PROXY", &proxy.url)
        .run()
        .await;
    outcome.token();
    let requests = proxy.requests();
    assert_eq!(requests.len(), 2, "one tunnel per host");
    for head in requests {
        assert!(head.starts_with("CONNECT "), "{head}");
        assert!(
            head.to_lowercase()
                .contains("proxy-authorization: basic dxnlcjpwyxnz"),
            "user and password"
        );
        assert!(!head.contains("Bearer"), "no GitHub token");
    }
}

#[tokio::test]
async fn no_proxy_hosts_are_reached_directly() {
    let proxy = Proxy::start().await;
    let scenario = Scenario::default()
        .tls()
        .variable("HTTPS_PROXY", &proxy.url)
        .variable("NO_PROXY", "localhost,127.0.0.1");
    scenario.run().await.token();
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn missing_proxy_is_reported() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let scenario = Scenario::default()
        .tls()
        .variable("HTTPS_PROXY", format!("http://{gone}"));
    assert_eq!(scenario.run().await.error().0, "ParametersUnreachable");
}
