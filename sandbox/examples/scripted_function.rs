//! A function that does what its payload tells it, for the sandbox's own tests. Comes in: Lambda's environment and a
//! JSON string such as `"mint"` or `"crash"`. It is no broker: it retries nothing and proves nothing.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a function that is meant to fail in every way there is"
)]

use std::collections::BTreeMap;
use std::env::var;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

fn main() {
    let runtime = format!(
        "http://{}/2018-06-01/runtime",
        var("AWS_LAMBDA_RUNTIME_API").expect("started by Lambda")
    );
    match var("INIT").as_deref() {
        Ok("error") => {
            let body = json!({ "errorType": "Function.Broken", "errorMessage": "it cannot start" });
            let _ = send(
                "POST",
                &format!("{runtime}/init/error"),
                &[],
                &body.to_string(),
            );
            std::process::exit(1);
        }
        Ok("exit") => std::process::exit(3),
        Ok("hang") => std::thread::park(),
        _ => {}
    }
    loop {
        let (_, headers, payload) =
            send("GET", &format!("{runtime}/invocation/next"), &[], "").expect("Lambda answers");
        let id = header(&headers, "lambda-runtime-aws-request-id");
        let (end, body) = match serde_json::from_str(&payload)
            .unwrap_or(Value::String(payload.clone()))
            .as_str()
        {
            None if payload == "null" => mint(),
            None => (
                "error",
                json!({ "errorType": "Input", "errorMessage": payload }),
            ),
            Some("mint") => mint(),
            Some("environment") => (
                "response",
                json!(shown_variables().collect::<BTreeMap<_, _>>()),
            ),
            Some("headers") => ("response", json!(headers)),
            Some("leak") => {
                println!("{}", json!({ "level": "INFO", "secret": parameters()[2] }));
                ("response", json!({}))
            }
            Some("chatter") => {
                println!("not JSON");
                ("response", json!({}))
            }
            Some("meet") => {
                let mut meeting = TcpStream::connect(var("MEETING").expect("configured"))
                    .expect("somebody waits");
                meeting.read_exact(&mut [0]).expect("the other came too");
                ("response", json!(std::process::id()))
            }
            Some("crash") => std::process::exit(1),
            Some("abort") => std::process::abort(),
            Some("hang") => loop {
                std::thread::park();
            },
            Some(other) => ("response", json!(other)),
        };
        println!("{}", json!({ "level": "INFO", "message": "done" }));
        send(
            "POST",
            &format!("{runtime}/invocation/{id}/{end}"),
            &[],
            &body.to_string(),
        )
        .expect("Lambda takes an answer");
    }
}

/// Lambda's environment without the two secrets in it: the scenario fails for a response that has them.
fn shown_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| {
        !["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].contains(&name.as_str())
    })
}

/// SSM, lookup, mint, by the contract; any failure is reported with its status.
fn mint() -> (&'static str, Value) {
    let [client_id, installation_id, key] = parameters();
    let base = var("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL").expect("configured");
    let owner = var("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER").expect("configured");
    let name = var("GITHUB_TOKEN_BROKER_REPOSITORY_NAME").expect("configured");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let claims = json!({ "iss": client_id, "iat": now - 60, "exp": now + 540 });
    let der = pem_rfc7468::decode_vec(key.as_bytes()).expect("PEM").1;
    let jwt = jsonwebtoken::encode(
        &Header::new(Algorithm::RS256),
        &claims,
        &EncodingKey::from_rsa_der(&der),
    )
    .expect("signed");
    let authorization = format!("Bearer {jwt}");
    let headers = [
        ("accept", "application/vnd.github+json"),
        ("authorization", authorization.as_str()),
        ("user-agent", "github-token-broker"),
        ("x-github-api-version", "2022-11-28"),
        ("content-type", "application/json"),
    ];
    let permissions: Value = var("GITHUB_TOKEN_BROKER_PERMISSIONS").map_or_else(
        |_| json!({ "contents": "read" }),
        |text| text.parse().expect("JSON"),
    );
    let failed = |status| {
        (
            "error",
            json!({ "errorType": "GitHub", "errorMessage": format!("status {status}") }),
        )
    };
    match send(
        "GET",
        &format!("{base}/repos/{owner}/{name}/installation"),
        &headers[..4],
        "",
    ) {
        Ok((200, _, _)) => {}
        Ok((status, _, _)) => return failed(status),
        Err(_) => return failed(0),
    }
    let request = json!({ "repositories": [name], "permissions": permissions }).to_string();
    let url = format!("{base}/app/installations/{installation_id}/access_tokens");
    let Ok((status, _, body)) = send("POST", &url, &headers, &request) else {
        return failed(0);
    };
    if status != 201 {
        return failed(status);
    }
    let granted: Value = body.parse().expect("JSON");
    let full_name = format!("{owner}/{name}");
    let (token, expires_at) = (&granted["token"], &granted["expires_at"]);
    (
        "response",
        json!({ "token": token, "expires_at": expires_at, "repositories": [full_name], "permissions": permissions }),
    )
}

/// The three parameters, in the order of the contract.
fn parameters() -> [String; 3] {
    let names = ["client-id", "installation-id", "private-key-pem"]
        .map(|name| format!("/github-token-broker/app/{name}"));
    let request = json!({ "Names": names, "WithDecryption": true }).to_string();
    let url = format!("{}/", var("AWS_ENDPOINT_URL").expect("set"));
    let mut headers = vec![
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonSSM.GetParameters"),
    ];
    let signature = signature(&url, &headers, &request);
    headers.extend(signature.headers());
    let (_, _, body) = send("POST", &url, &headers, &request).expect("SSM answers");
    let found: Value = body.parse().expect("JSON");
    let find = |name: &String| {
        found["Parameters"]
            .as_array()?
            .iter()
            .find(|found| found["Name"] == **name)?["Value"]
            .as_str()
    };
    names
        .each_ref()
        .map(|name| find(name).unwrap_or_else(|| panic!("no {name}")).to_owned())
}

fn signature(url: &str, headers: &[(&str, &str)], body: &str) -> SigningInstructions {
    let variable = |name| var(name).expect("set");
    let identity = Credentials::new(
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
        Some(variable("AWS_SESSION_TOKEN")),
        None,
        "the environment",
    )
    .into();
    let region = variable("AWS_REGION");
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("ssm")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("complete");
    let body = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", url, headers.iter().copied(), body);
    sign(request.expect("a request"), &params.into())
        .expect("it can be signed")
        .into_parts()
        .0
}

/// Status, headers, body.
type Received = (u16, Vec<(String, String)>, String);

/// One request on a connection of its own.
fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Received> {
    let (authority, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("a plain URL");
    let mut stream = TcpStream::connect(authority)?;
    let mut request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or(std::io::ErrorKind::InvalidData)?;
    let fields = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok((status, fields.collect(), body.to_owned()))
}

fn header(headers: &[(String, String)], name: &str) -> String {
    headers
        .iter()
        .find(|(found, _)| found == name)
        .expect("Lambda sends it")
        .1
        .clone()
}
