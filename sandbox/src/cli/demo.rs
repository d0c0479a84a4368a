//! `sandbox demo`: the broker at work, told step by step to a person at a terminal. It ends by itself, with an error
//! where anything is not as the contract has it.
#![expect(clippy::print_stdout, reason = "the one thing a demo does is print")]

use std::io::Error;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};

use crate::cli::timeline;
use crate::github::private_key::PrivateKey;
use crate::lambda::invoke_result::Answer;
use crate::net::client;
use crate::net::recorder::Call;
use crate::scenario::Scenario;
use crate::scenario::fixtures::{self, PARAMETERS};

/// Runs the demo.
pub async fn demo() -> Result<(), Error> {
    println!("A fresh RSA key; AWS and GitHub on loopback.");
    let key = PrivateKey::fresh(2048);
    let parameters = fixtures::parameters(&key);
    let empty = PARAMETERS
        .iter()
        .fold(Scenario::default(), |scenario, name| {
            scenario.without_parameter(name)
        });
    let mut running = empty.key(key).prepare().await;
    println!(
        "  AWS     {}\n  GitHub  {}",
        running.aws_url(),
        running.github_url()
    );

    println!("\nThe three parameters, put over SSM's API:");
    client::put_parameters(&running.aws_url(), "us-east-1", &parameters).await;
    for (name, parameter) in &parameters {
        println!("  {name} ({})", parameter.kind);
    }

    println!("\nThe function, started as Lambda starts it and invoked with `null`, answers:");
    let outcome = running.invoke("null").await;
    let Answer::Response(body) = &outcome.answer else {
        return failed(&format!("no token but {:?}", outcome.answer));
    };
    println!("{}", String::from_utf8_lossy(body));
    println!(
        "  It asked SSM {} time(s), GitHub {} time(s).",
        outcome.calls(Call::Ssm),
        outcome.calls(Call::Lookup) + outcome.calls(Call::Mint)
    );

    println!("\nThe token at work:");
    let (github, token) = (running.github_url(), outcome.token());
    show(
        &github,
        &token,
        "GET",
        "/repos/octo-org/octo-repo",
        "its repository",
        200,
    )
    .await?;
    show(
        &github,
        &token,
        "GET",
        "/repos/octo-org/other-repo",
        "another private one",
        404,
    )
    .await?;
    show(
        &github,
        &token,
        "PUT",
        "/repos/octo-org/octo-repo/contents/README.md",
        "a write that it was not given",
        403,
    )
    .await?;

    println!("\nInvoked with `{{}}`, it refuses:");
    let refused = running.invoke("{}").await;
    let Answer::FunctionError(error) = &refused.answer else {
        return failed("`{}` was not refused");
    };
    println!("  {error}");
    let calls = [Call::Ssm, Call::Lookup, Call::Mint].map(|call| refused.calls(call));
    if calls != [0, 0, 0] {
        return failed("a refused payload led to a request");
    }

    println!("\nThe first invocation in time, the start of the process included:");
    print!("{}", timeline::draw(&timeline::phases(&outcome)));
    running.finish().await;
    println!("\nNo secret in its output, no call but those three.");
    Ok(())
}

/// Makes one call with the token and says what came of it.
async fn show(
    github: &str,
    token: &str,
    method: &str,
    path: &str,
    what: &str,
    expected: u16,
) -> Result<(), Error> {
    let authorization = format!("Bearer {token}");
    let headers = [
        (ACCEPT.as_str(), "application/vnd.github+json"),
        (AUTHORIZATION.as_str(), authorization.as_str()),
        (USER_AGENT.as_str(), "sandbox-demo"),
        (CONTENT_TYPE.as_str(), "application/json"),
    ];
    let body = if method == "PUT" {
        json!({ "message": "hello", "content": "aGVsbG8=" }).to_string()
    } else {
        String::new()
    };
    let answer = client::send(method, &format!("{github}{path}"), &headers, body).await?;
    let status = answer.status().as_u16();
    let text: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let told = text["full_name"]
        .as_str()
        .or(text["message"].as_str())
        .unwrap_or_default();
    println!("  {method:<4} {path:<46} {status}  {told}  ({what})");
    if status == expected {
        Ok(())
    } else {
        failed(&format!("{expected} was expected"))
    }
}

fn failed(reason: &str) -> Result<(), Error> {
    Err(Error::other(reason.to_owned()))
}
