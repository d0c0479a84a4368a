//! A function that does what its payload says, for the sandbox's own tests.
//!
//! Input: Lambda's environment and a JSON string such as `"mint"` or `"crash"`. It is not a broker: it does not retry and
//! does not prove anything.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this function is supposed to fail in every possible way"
)]

use std::collections::BTreeMap;
use std::env::var;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sandbox::{Signer, send, sign};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let runtime = format!(
        "http://{}/2018-06-01/runtime",
        variable("AWS_LAMBDA_RUNTIME_API")
    );
    match var("INIT").as_deref() {
        Ok("error") => {
            let body = json!({ "errorType": "Function.Broken", "errorMessage": "it cannot start" });
            call("POST", &format!("{runtime}/init/error"), &[], &body).await;
            std::process::exit(1);
        }
        Ok("exit") => std::process::exit(3),
        Ok("hang") => hang(),
        _ => {}
    }
    let concurrency = var("AWS_LAMBDA_MAX_CONCURRENCY").ok();
    let concurrency = concurrency.and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut slots = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        slots.spawn(serve(runtime.clone()));
    }
    slots.join_all().await;
}

/// Takes one invocation after the other.
async fn serve(runtime: String) {
    loop {
        let next = call(
            "GET",
            &format!("{runtime}/invocation/next"),
            &[],
            &Value::Null,
        )
        .await;
        let next = next.expect("Lambda responds");
        let id = next.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .expect("printable");
        let payload = String::from_utf8_lossy(next.body()).into_owned();
        let (kind, body) = handle(&payload).await;
        let line = json!({ "level": "INFO", "requestId": id, "message": "done" });
        println!("{line}");
        let url = format!("{runtime}/invocation/{id}/{kind}");
        call("POST", &url, &[], &body)
            .await
            .expect("Lambda accepts a result");
    }
}

async fn handle(payload: &str) -> (&'static str, Value) {
    let command = serde_json::from_str(payload).unwrap_or_else(|_| Value::from(payload));
    match command.as_str() {
        None if payload != "null" => (
            "error",
            json!({ "errorType": "Input", "errorMessage": payload }),
        ),
        None | Some("mint") => mint().await,
        Some("environment") => {
            // Without the two secrets in it: the scenario fails for a response that contains them.
            let shown = std::env::vars().filter(|(name, _)| {
                !["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].contains(&name.as_str())
            });
            ("response", json!(shown.collect::<BTreeMap<_, _>>()))
        }
        Some("leak") => {
            let [_, _, key] = parameters().await;
            println!("{}", json!({ "level": "INFO", "secret": key }));
            ("response", json!({}))
        }
        Some("text") => {
            println!("not JSON");
            ("response", json!({}))
        }
        Some("pid") => ("response", json!(std::process::id())),
        Some("meet") => {
            let mut meeting = TcpStream::connect(variable("MEETING")).expect("the test listens");
            meeting
                .read_exact(&mut [0])
                .expect("the test releases both functions");
            ("response", json!(std::process::id()))
        }
        Some("crash") => std::process::exit(1),
        Some("hang") => hang(),
        Some(other) => ("response", json!(other)),
    }
}

/// Reports its process ID, if the test wants it, and never returns.
fn hang() -> ! {
    if let Ok(address) = var("MEETING") {
        let mut meeting = TcpStream::connect(address).expect("the test listens");
        let id = std::process::id().to_string();
        meeting.write_all(id.as_bytes()).expect("the test reads");
    }
    loop {
        std::thread::park();
    }
}

/// Load, sign, confirm, mint, by the contract. A failure is reported with its status.
async fn mint() -> (&'static str, Value) {
    let base = variable("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL");
    let owner = variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER");
    let name = variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME");
    let kms_key = var("GITHUB_TOKEN_BROKER_KMS_KEY_ID").ok();
    let [client_id, installation_id, key] = match &kms_key {
        Some(_) => [
            variable("GITHUB_TOKEN_BROKER_CLIENT_ID"),
            variable("GITHUB_TOKEN_BROKER_INSTALLATION_ID"),
            String::new(),
        ],
        None => parameters().await,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let claims = json!({ "iss": client_id, "iat": now - 60, "exp": now + 540 });
    let jwt = if let Some(kms_key) = kms_key {
        match sign_with_kms(&kms_key, &claims).await {
            Ok(jwt) => jwt,
            Err(code) => {
                return ("error", json!({ "errorType": "Kms", "errorMessage": code }));
            }
        }
    } else {
        let (_, der) = pem_rfc7468::decode_vec(key.as_bytes()).expect("PEM");
        let key = EncodingKey::from_rsa_der(&der);
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("signed")
    };
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
    let url = format!("{base}/repos/{owner}/{name}/installation");
    let confirmed = call("GET", &url, &headers[..4], &Value::Null).await;
    if let Some(failure) = failure(confirmed.as_ref(), 200) {
        return failure;
    }
    let url = format!("{base}/app/installations/{installation_id}/access_tokens");
    let request = json!({ "repositories": [name], "permissions": permissions });
    let minted = call("POST", &url, &headers, &request).await;
    if let Some(failure) = failure(minted.as_ref(), 201) {
        return failure;
    }
    let granted = minted.map(|response| serde_json::from_slice::<Value>(response.body()));
    let granted = granted.expect("checked above").expect("JSON");
    let body = json!({
        "token": granted["token"],
        "expires_at": granted["expires_at"],
        "repositories": [format!("{owner}/{name}")],
        "permissions": permissions,
    });
    ("response", body)
}

fn failure(response: Option<&Response<Bytes>>, expected: u16) -> Option<(&'static str, Value)> {
    let status = response.map_or(0, |response| response.status().as_u16());
    let error = json!({ "errorType": "GitHub", "errorMessage": format!("status {status}") });
    (status != expected).then_some(("error", error))
}

/// The three parameters, in the order of the contract.
async fn parameters() -> [String; 3] {
    let names = sandbox::PARAMETERS;
    let input = json!({ "Names": names, "WithDecryption": true });
    let output = call_aws("ssm", "AmazonSSM.GetParameters", &input).await;
    let find = |name: &str| {
        let mut found = output["Parameters"].as_array()?.iter();
        found.find(|found| found["Name"] == name)?["Value"].as_str()
    };
    names.map(|name| find(name).unwrap_or_else(|| panic!("no {name}")).to_owned())
}

/// The JWT, or the error code of KMS.
async fn sign_with_kms(key_id: &str, claims: &Value) -> Result<String, Value> {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let input = json!({
        "KeyId": key_id,
        "Message": STANDARD.encode(&message),
        "MessageType": "RAW",
        "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    });
    let output = call_aws("kms", "TrentService.Sign", &input).await;
    let Some(signature) = output["Signature"].as_str() else {
        return Err(output["__type"].clone());
    };
    let signature = STANDARD.decode(signature).expect("base64");
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

async fn call_aws(service: &str, target: &str, input: &Value) -> Value {
    let mut request = Request::post(format!("{}/", variable("AWS_ENDPOINT_URL")))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(Bytes::from(input.to_string()))
        .expect("a request");
    let signer = Signer::new(
        &variable("AWS_ACCESS_KEY_ID"),
        &variable("AWS_SECRET_ACCESS_KEY"),
        Some(&variable("AWS_SESSION_TOKEN")),
        &variable("AWS_REGION"),
    );
    sign(&mut request, &signer, service);
    let response = send(request).await.expect("AWS responds");
    serde_json::from_slice(response.body()).expect("JSON")
}

/// Sends one request; `None` if the connection failed.
async fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Option<Response<Bytes>> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "GET" {
        String::new()
    } else {
        body.to_string()
    };
    send(request.body(Bytes::from(body)).expect("a request"))
        .await
        .ok()
}

fn variable(name: &str) -> String {
    var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}
