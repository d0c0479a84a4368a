//! The network of the function: an HTTP proxy, which sees only hosts, and the certificates that it trusts.

use std::sync::{Arc, Mutex};

use sandbox::{Scenario, SelfSigned};
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
async fn no_proxy_is_read_as_in_go() {
    for (no_proxy, tunnels) in [
        ("*", 0),
        ("127.0.0.0/8", 0),
        ("example.com 127.0.0.1", 0),
        ("*.amazonaws.com, .github.com", 2),
        // The servers have different ports.
        ("127.0.0.1:1", 2),
    ] {
        let proxy = Proxy::start().await;
        let scenario = Scenario::default()
            .tls()
            .variable("HTTPS_PROXY", &proxy.url)
            .variable("NO_PROXY", no_proxy);
        scenario.run().await.token();
        assert_eq!(proxy.requests().len(), tunnels, "{no_proxy}");
    }
}

/// A proxy that sends this response to every request.
async fn refusing_proxy(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:pa55w0rd@{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut client = BufReader::new(client);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if client.read_line(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            drop(client.write_all(response.as_bytes()).await);
        }
    });
    url
}

#[tokio::test]
async fn refusal_of_the_proxy_is_reported() {
    let authentication = ["the proxy answered 407", "HTTPS_PROXY"];
    let refused = ["the proxy refused", "NO_PROXY"];
    for (response, texts) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n",
            authentication,
        ),
        ("HTTP/1.1 407 x\r\n\r\n", authentication),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", refused),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", refused),
        ("HTTP/1.0 503 Service Unavailable\r\n\r\n<html>", refused),
    ] {
        let url = refusing_proxy(response).await;
        let scenario = Scenario::default().tls().variable("HTTPS_PROXY", &url);
        let (error_type, message) = scenario.run().await.error();
        assert_eq!(error_type, "ParametersUnreachable", "{message}");
        for text in texts {
            assert!(message.contains(text), "{response:?}: {message}");
        }
        assert!(!message.contains("pa55w0rd"), "{message}");
    }
}

#[tokio::test]
async fn self_signed_certificate_in_the_trusted_file_is_accepted() {
    for kind in [SelfSigned::Authority, SelfSigned::EndEntity] {
        Scenario::default().self_signed(kind).run().await.token();
    }
    for kind in [
        SelfSigned::Expired,
        SelfSigned::WrongHost,
        SelfSigned::Unlisted,
    ] {
        let outcome = Scenario::default().self_signed(kind).run().await;
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "ParametersUnreachable", "{kind:?} {message}");
        assert!(
            message.contains("TLS handshake failed"),
            "{kind:?} {message}"
        );
        assert!(outcome.requests.is_empty());
    }
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
