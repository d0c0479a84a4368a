//! The way to a server: endpoints, proxies, certificates, timeouts, and the next step if AWS refuses.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use sandbox::SelfSigned;

use crate::support::{
    Client, World,
    server::{Response, Server, client, minted},
};

const ROLE: &str = "arn:aws:iam::123456789012:role/caller";

#[test]
fn unusable_endpoint_is_named_and_not_repeated() {
    let server = Server::start(|_| Response::new(200, minted()));
    let with_password = format!("http://user:s3cr3t@{}", server.host());
    for url in [
        with_password.as_str(),
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "nonsense",
        "ftp://s3cr3t.example",
    ] {
        for variable in [
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_LAMBDA",
            "AWS_ENDPOINT_URL_STS",
        ] {
            let stderr = client(&server.url(), &["token", "--verbose"])
                .env(variable, url)
                .fails(1);
            assert!(
                stderr.contains(&format!("{variable} is not a valid endpoint. Set it to"))
                    && !stderr.contains(url)
                    && !stderr.contains("s3cr3t"),
                "{stderr}"
            );
        }
    }
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    fs::write(
        &config,
        format!("[default]\nendpoint_url = {with_password}\n"),
    )
    .unwrap();
    let stderr = client("", &["token"])
        .without("AWS_ENDPOINT_URL")
        .env("AWS_CONFIG_FILE", &config)
        .fails(1);
    assert!(
        stderr.contains("`endpoint_url` in the AWS configuration is not a valid endpoint")
            && !stderr.contains("s3cr3t"),
        "{stderr}"
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn unusable_proxy_is_named_and_not_repeated() {
    let server = Server::start(|_| Response::new(200, minted()));
    for variable in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        for url in [
            "http://us:pa#ss@proxy.example:3128",
            "http://us:pa?ss@proxy.example:3128",
            "http://127.0.0.1:99999",
            "socks5://us:pass@proxy.example",
        ] {
            let stderr = client(&server.url(), &["token"])
                .env(variable, url)
                .fails(1);
            assert!(
                stderr.contains(&format!("{variable} must be the http:// URL of a proxy"))
                    && !stderr.contains("us:pa"),
                "{stderr}"
            );
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn no_proxy_has_the_functions_rules() {
    let proxy = Server::start(|_| Response::new(502, ""));
    let direct = Server::start(|_| Response::new(200, minted()));
    for no_proxy in [direct.host(), "*".to_owned(), "127.0.0.0/8".to_owned()] {
        client(&direct.url(), &["token"])
            .env("HTTP_PROXY", proxy.url())
            .env("NO_PROXY", no_proxy)
            .stdout();
    }
    // No server has this name.
    client("https://lambda.example.invalid", &["token"])
        .env("HTTPS_PROXY", proxy.url())
        .env("NO_PROXY", "*.example.invalid")
        .fails(1);
    assert_eq!(proxy.requests().len(), 0);
    client(&direct.url(), &["token"])
        .env("HTTP_PROXY", proxy.url())
        .env("NO_PROXY", "127.0.0.1:1")
        .fails(1);
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn proxy_gets_its_password() {
    let proxy = Server::start(|_| Response::new(200, minted()));
    let with_password = proxy.url().replace("http://", "http://us:p%40ss@");
    client("http://lambda.example", &["token"])
        .env("ALL_PROXY", &with_password)
        .stdout();
    let stderr = client("https://lambda.example", &["token", "--verbose"])
        .env("HTTPS_PROXY", &with_password)
        .fails(1);
    assert!(
        !stderr.contains("p%40ss") && !stderr.contains("p@ss"),
        "{stderr}"
    );
    for request in proxy.requests() {
        // printf us:p@ss | base64
        assert_eq!(
            request.header("proxy-authorization"),
            Some("Basic dXM6cEBzcw==")
        );
    }
    assert_eq!(proxy.requests()[1].method, "CONNECT");
}

/// A proxy that opens one tunnel. Returns its URL, and the head of the request that opened the tunnel.
fn tunnel() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heads, received) = mpsc::channel();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        heads.send(head).unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from_client, mut to_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        // Each direction ends when a side closes the connection.
        thread::spawn(move || io::copy(&mut from_client, &mut to_server));
        let _ = io::copy(&mut server, &mut client);
    });
    (url, received)
}

#[test]
fn tls_goes_through_the_tunnel_of_a_proxy() {
    let world = World::with(sandbox::Scenario::tls);
    let (proxy, heads) = tunnel();
    world
        .client(&["token"])
        .env("SSL_CERT_FILE", world.sandbox().ca_bundle().unwrap())
        .env("HTTPS_PROXY", proxy)
        .stdout();
    let aws = world.sandbox().aws_url().replace("https://", "");
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {aws} HTTP/1.1\r\n")),
        "{head}"
    );
}

#[test]
fn self_signed_certificate_in_the_trusted_file_is_accepted() {
    for kind in [SelfSigned::Authority, SelfSigned::EndEntity] {
        let world = World::with(|scenario| scenario.self_signed(kind));
        let bundle = world.sandbox().ca_bundle().unwrap();
        for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
            world
                .client(&["token", "--no-cache"])
                .env(variable, &bundle)
                .stdout();
        }
    }
    for kind in [
        SelfSigned::Expired,
        SelfSigned::WrongHost,
        SelfSigned::Unlisted,
    ] {
        let world = World::with(|scenario| scenario.self_signed(kind));
        let bundle = world.sandbox().ca_bundle().unwrap();
        let stderr = world
            .client(&["token"])
            .env("SSL_CERT_FILE", &bundle)
            .fails(1);
        assert!(stderr.contains("certificate"), "{stderr}");
    }
}

#[test]
fn unusable_certificates_are_named() {
    let server = Server::start(|_| Response::new(200, minted()));
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    fs::write(path("empty.pem"), "no certificate").unwrap();
    // Nobody writes to this pipe.
    Client::program("mkfifo").args(&[&path("pipe")]).stdout();
    for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        for name in ["missing.pem", "empty.pem", "pipe"] {
            let stderr = client(&server.url(), &["token"])
                .env(variable, path(name))
                .fails(1);
            assert!(
                stderr.contains(&format!(
                    "cannot use the certificates in {} ({variable}",
                    path(name)
                )),
                "{stderr}"
            );
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn role_in_a_job_without_oidc_names_the_permission() {
    let server = Server::start(|_| Response::new(200, minted()));
    let client = |args: &[&str]| {
        client(&server.url(), args)
            .without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
            .env("GITHUB_ACTIONS", "true")
    };
    let stderr = client(&["token", "--role-arn", ROLE]).fails(1);
    assert!(
        stderr.contains("`permissions: id-token: write`"),
        "{stderr}"
    );
    // Without a role, the job's OIDC token is not used.
    let stderr = client(&["token"]).fails(1);
    assert!(stderr.contains("no AWS credentials found"), "{stderr}");
}

#[test]
fn operators_refusals_have_a_next_step() {
    for (code, next) in [
        (
            "AccessDeniedException",
            "Allow kms:GetPublicKey to this identity",
        ),
        (
            "NotFoundException",
            "Check the name, the region (--region) and the account (--profile)",
        ),
        (
            "KMSInvalidStateException",
            "Retry; if it persists, look up the code in the AWS documentation of kms:GetPublicKey",
        ),
    ] {
        let server = Server::start(move |_| {
            Response::new(400, r#"{"message":"ghs_text"}"#).header("x-amzn-errortype", code)
        });
        let stderr = client(&server.url(), &["key", "fingerprint", "--key-id", "k"]).fails(1);
        assert_eq!(
            stderr,
            format!("github-token-broker: AWS refused kms:GetPublicKey: {code}. {next}\n")
        );
    }
}

#[test]
fn text_that_is_not_an_error_code_is_not_repeated() {
    let long = "A".repeat(81);
    for code in ["ghs_secret", "Two words", "", &long] {
        let xml = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
        let server = Server::start(move |_| Response::new(400, xml.clone()));
        let stderr = client(&server.url(), &["key", "fingerprint", "--key-id", "k"]).fails(1);
        assert!(
            stderr.contains("the response to kms:GetPublicKey is not one of AWS"),
            "{stderr}"
        );
    }
}

#[test]
fn operators_read_that_times_out_is_not_sent_again() {
    let (server, _requests, end) = Server::silent();
    let args = ["key", "fingerprint", "--key-id", "k", "--timeout", "1s"];
    let stderr = client(&server.url(), &args).fails(1);
    assert!(stderr.contains("within 1 s"), "{stderr}");
    assert_eq!(server.requests().len(), 1);
    drop(end);
}

#[test]
fn longest_duration_is_a_day() {
    for option in ["--timeout", "--min-ttl"] {
        let stderr = Client::new(&["token", option, "500000000000y"]).fails(2);
        assert!(stderr.contains(option), "{stderr}");
        let stderr = Client::new(&["token", option, "25h"]).fails(2);
        assert!(stderr.contains("the longest duration is 1day"), "{stderr}");
    }
    let server = Server::start(|_| Response::new(200, minted()));
    client(&server.url(), &["token", "--timeout", "24h"]).stdout();
}

#[test]
fn implied_port_of_the_host_is_the_same_server() {
    let server = Server::start(|_| Response::new(200, minted()));
    let print = r#"echo "${GH_TOKEN-} ${GH_ENTERPRISE_TOKEN-} ${GH_HOST-} $GH_REPO""#;
    let stdout = client(&server.url(), &["exec", "--", "sh", "-c", print])
        .env("GH_HOST", "github.com:443")
        .stdout();
    assert_eq!(stdout, "ghs_scripted   octo-org/octo-repo\n");
    let asked = "protocol=https\nhost=github.com:443\npath=octo-org/octo-repo\n\n";
    let stdout = client(&server.url(), &["git-credential", "get"])
        .stdin(asked)
        .stdout();
    assert!(stdout.contains("password=ghs_scripted\n"), "{stdout}");
}
