//! `sandbox demo`: shows the broker at work, step by step.
//!
//! It ends with an error if anything differs from the contract.
#![expect(clippy::print_stdout, reason = "a demo prints")]

use std::io::Error;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use serde_json::{Value, json};

use super::timeline;
use crate::github::private_key::PrivateKey;
use crate::lambda::invoke_result::InvokeResult;
use crate::net::client;
use crate::net::recorder::Call;
use crate::scenario::Scenario;
use crate::scenario::fixtures::{self, PARAMETERS};

/// Runs the demo.
pub async fn demo() -> Result<(), Error> {
    println!("Starting AWS and GitHub on loopback, with a new RSA key for the App.");
    let key = PrivateKey::fresh(2048);
    let parameters = fixtures::parameters(&key);
    let without_parameters = PARAMETERS
        .iter()
        .fold(Scenario::default(), |scenario, name| {
            scenario.without_parameter(name)
        });
    let mut running = without_parameters.key(key).prepare().await;
    println!(
        "  AWS     {}\n  GitHub  {}",
        running.aws_url(),
        running.github_url()
    );

    println!("\nStoring the three parameters through the SSM API:");
    client::put_parameters(&running.aws_url(), "us-east-1", &parameters).await;
    for (name, parameter) in &parameters {
        println!("  {name} ({})", parameter.kind);
    }

    println!("\nStarting the function as Lambda does and invoking it with `null`. Its response:");
    let outcome = running.invoke("null").await;
    let InvokeResult::Response(body) = &outcome.result else {
        return failed(&format!("the invocation failed: {:?}", outcome.result));
    };
    println!("{}", String::from_utf8_lossy(body));
    println!(
        "  Calls to SSM: {}. Calls to GitHub: {}.",
        outcome.calls(Call::GetParameters),
        outcome.calls(Call::Confirm) + outcome.calls(Call::Mint)
    );

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
    if !rejected.requests.is_empty() {
        return failed("a rejected payload led to a request");
    }

    println!("\nThe first invocation over time, including the start of the process:");
    print!("{}", timeline::draw(&timeline::phases(&outcome)));
    running.finish().await;
    println!("\nNo secret in its output, and no calls except those three.");
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
