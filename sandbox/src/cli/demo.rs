//! `sandbox demo`: shows the broker at work, step by step.
//!
//! It ends with an error if anything differs from the contract.
#![expect(clippy::print_stdout, reason = "a demo prints")]

use std::io::Error;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::process::Command;

use super::timeline;
use crate::aws::kms::import;
use crate::github::private_key::PrivateKey;
use crate::lambda::invoke_result::InvokeResult;
use crate::net::client;
use crate::net::recorder::Call;
use crate::scenario::Scenario;
use crate::scenario::fixtures::{self, PARAMETERS};
use crate::scenario::running::Running;

const REGION: &str = "us-east-1";
/// The function of the KMS demo knows its key by this alias.
const ALIAS: &str = "alias/github-token-broker-demo";

/// Runs the demo, with the App's key in KMS or in SSM.
pub async fn demo(kms: bool) -> Result<(), Error> {
    println!("Starting AWS and GitHub on loopback, with a new RSA key for the App.");
    let key = PrivateKey::fresh(2048);
    let scenario = Scenario::default().key(key.clone());
    let scenario = if kms {
        scenario
            .kms_key()
            .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", ALIAS)
    } else {
        PARAMETERS
            .iter()
            .fold(scenario, |scenario, name| scenario.without_parameter(name))
    };
    let mut running = scenario.prepare().await;
    let aws = running.aws_url();
    println!("  AWS     {aws}\n  GitHub  {}", running.github_url());

    if kms {
        import_key(&aws, &key).await?;
    } else {
        store_parameters(&aws, &key).await;
    }

    println!("\nStarting the function as Lambda does and invoking it with `null`. Its response:");
    let outcome = running.invoke("null").await;
    let InvokeResult::Response(body) = &outcome.result else {
        return failed(&format!("the invocation failed: {:?}", outcome.result));
    };
    println!("{}", String::from_utf8_lossy(body));
    let calls = [Call::GetParameters, Call::Sign].map(|call| outcome.calls(call));
    println!(
        "  Calls to SSM: {}. Calls to KMS: {}. Calls to GitHub: {}.",
        calls[0],
        calls[1],
        outcome.calls(Call::Confirm) + outcome.calls(Call::Mint)
    );
    if calls != [usize::from(!kms), usize::from(kms)] {
        return failed("the function made a call that it does not need");
    }

    println!("\nUsing the token:");
    let (github, token) = (running.github_url(), outcome.token());
    let repository = "/repos/octo-org/octo-repo";
    let contents = "/repos/octo-org/octo-repo/contents/README.md";
    for (method, path, purpose, expected) in [
        (Method::GET, repository, "its repository", 200),
        (
            Method::GET,
            "/repos/octo-org/other-repo",
            "a different private repository",
            404,
        ),
        (Method::PUT, contents, "a write without permission", 403),
    ] {
        use_token(&github, &token, method, path, purpose, expected).await?;
    }

    println!("\nInvoking it with `{{}}`. It rejects the payload:");
    let rejected = running.invoke("{}").await;
    let InvokeResult::FunctionError(error) = &rejected.result else {
        return failed("the function accepted `{}`");
    };
    println!("  {error}");
    // The demo's own requests with the token are among them, as `Call::Other`.
    let mut requests = rejected.requests.iter();
    if requests.any(|request| request.call != Call::Other) {
        return failed("a rejected payload led to a request");
    }

    use_client(&running).await?;

    println!("\nThe first invocation over time, including the start of the process:");
    print!("{}", timeline::draw(&timeline::phases(&outcome)));
    running.finish().await;
    println!("\nNo secret in its output, and no calls except those three.");
    if kms {
        println!(
            "No private key in SSM or in the function: KMS signed, and it never returns the key."
        );
    }
    Ok(())
}

/// The client, if it was built next to this program.
pub(super) fn client_binary() -> Option<PathBuf> {
    let sandbox = std::env::current_exe().ok()?;
    let client = sandbox.with_file_name("github-token-broker");
    client.is_file().then_some(client)
}

/// Clones the private repository with the client, which invokes the function and never shows the token.
async fn use_client(running: &Running) -> Result<(), Error> {
    let Some(client) = client_binary() else {
        println!(
            "\nSkipping the client: build it with `cargo build --package github-token-broker`."
        );
        return Ok(());
    };
    println!("\nThe same with the client, without a token in sight:");
    let folder = tempfile::tempdir()?;
    let host = running.github_host();
    let url = format!("http://{host}/octo-org/octo-repo");
    for arguments in [
        &["exec", "--", "git", "clone", "--quiet", &url, "clone"][..],
        &["whoami"],
    ] {
        println!("  $ github-token-broker {}", arguments.join(" "));
        let output = Command::new(&client)
            .args(arguments)
            .current_dir(&folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("AWS_ENDPOINT_URL", running.aws_url())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "sandbox")
            .env("AWS_SECRET_ACCESS_KEY", "sandbox")
            .env("GH_HOST", &host)
            .kill_on_drop(true)
            .output()
            .await?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("  {line}");
        }
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return failed(&format!("the client failed: {}", stderr.trim()));
        }
    }
    let readme = std::fs::read_to_string(folder.path().join("clone/README.md"))?;
    println!("  $ cat clone/README.md\n  {}", readme.trim());
    Ok(())
}

async fn store_parameters(aws: &str, key: &PrivateKey) {
    println!("\nStoring the three parameters through the SSM API:");
    let parameters = fixtures::parameters(key);
    client::put_parameters(aws, REGION, &parameters).await;
    for (name, parameter) in &parameters {
        println!("  {name} ({})", parameter.kind);
    }
}

/// Imports the App's key as an operator does. From then on, no one can read it from AWS.
async fn import_key(aws: &str, key: &PrivateKey) -> Result<(), Error> {
    println!("\nImporting the key through the KMS API:");
    let kms = async |operation: &str, input: Value| {
        let target = format!("TrentService.{operation}");
        client::call_aws(aws, REGION, &target, &input).await
    };
    let empty = json!({ "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL" });
    let created = kms("CreateKey", empty).await;
    let (id, arn) = (
        &created["KeyMetadata"]["KeyId"],
        &created["KeyMetadata"]["Arn"],
    );
    println!(
        "  CreateKey               {}",
        arn.as_str().unwrap_or_default()
    );
    let wrapping = json!({
        "KeyId": id,
        "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256",
        "WrappingKeySpec": "RSA_2048",
    });
    let parameters = kms("GetParametersForImport", wrapping).await;
    println!("  GetParametersForImport  a public key to wrap the App's key with");
    let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default());
    let public_key = decoded(&parameters["PublicKey"]).map_err(Error::other)?;
    let wrapped = import::wrap(&public_key, key.pkcs8_der());
    let wrapped = wrapped.ok_or_else(|| Error::other("the key cannot be wrapped"))?;
    let material = json!({
        "KeyId": id,
        "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    });
    kms("ImportKeyMaterial", material).await;
    println!("  ImportKeyMaterial       the wrapped key, which never expires");
    let alias = json!({ "AliasName": ALIAS, "TargetKeyId": id });
    kms("CreateAlias", alias).await;
    println!("  CreateAlias             {ALIAS}");
    let public_key = kms("GetPublicKey", json!({ "KeyId": id })).await;
    let public_key = decoded(&public_key["PublicKey"]).map_err(Error::other)?;
    let fingerprint = STANDARD.encode(digest(&SHA256, &public_key));
    println!("  GetPublicKey            fingerprint SHA256:{fingerprint}");
    println!("  GitHub shows the same fingerprint on the settings page of the App.");
    Ok(())
}

/// Makes one call with the token and checks its status.
async fn use_token(
    github: &str,
    token: &str,
    method: Method,
    path: &str,
    purpose: &str,
    expected: u16,
) -> Result<(), Error> {
    let body = if method == Method::PUT {
        json!({ "message": "hello", "content": "aGVsbG8=" }).to_string()
    } else {
        String::new()
    };
    let request = Request::builder()
        .method(&method)
        .uri(format!("{github}{path}"))
        .header(ACCEPT, "application/vnd.github+json")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(USER_AGENT, "sandbox-demo")
        .header("x-github-api-version", "2022-11-28")
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body))
        .map_err(Error::other)?;
    let response = client::send(request).await?;
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let summary = body["full_name"].as_str().or(body["message"].as_str());
    println!(
        "  {method:<4} {path:<46} {status}  {}  ({purpose})",
        summary.unwrap_or_default()
    );
    if status == expected {
        Ok(())
    } else {
        failed(&format!("expected status {expected}"))
    }
}

fn failed(reason: &str) -> Result<(), Error> {
    Err(Error::other(reason.to_owned()))
}
