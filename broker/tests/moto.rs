//! The broker with a real AWS client on one side and an independent AWS on the other: the AWS CLI and moto.
//!
//! `make test` installs both, pinned. The sandbox's own SSM is held to moto's answers here.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use sandbox::{Call, PrivateKey, Scenario};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A program that `make test` put into the virtual environment.
fn installed(program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("venv/bin").join(program);
    assert!(
        path.is_file(),
        "{} is not there: `make test` installs it",
        path.display()
    );
    path
}

/// moto on a free port; it ends with the test.
struct Moto {
    url: String,
    _process: Child,
}

impl Moto {
    async fn start() -> Self {
        let mut process = Command::new(installed("moto_server"))
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("moto ended"));
            if let Some((_, url)) = line.split_once("Running on ") {
                let url = url.trim().to_owned();
                // Its access log has to go somewhere.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Self {
                    url,
                    _process: process,
                };
            }
        }
    }
}

/// The AWS CLI, with credentials of nobody.
async fn aws(endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(installed("aws"));
    command
        .args([
            "--endpoint-url",
            endpoint,
            "--region",
            "us-east-1",
            "--output",
            "json",
        ])
        .args(arguments);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        command.env(name, value);
    }
    command.stdin(Stdio::null()).output().await.unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[tokio::test]
async fn the_broker_mints_with_parameters_from_moto() {
    let moto = Moto::start().await;
    let outcome = Scenario::default().ssm_endpoint(&moto.url).run().await;
    outcome.token();
    assert_eq!(
        outcome.calls(Call::Ssm),
        0,
        "the sandbox's own SSM was not asked"
    );
    let missing = Scenario::default()
        .ssm_endpoint(&moto.url)
        .variable("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/no/such/parameter");
    let (error_type, message) = missing.run().await.error();
    assert_eq!(error_type, "ParametersMissing");
    assert!(
        message.starts_with("missing GitHub App SSM parameters: [/no/such/parameter]"),
        "{message}"
    );
}

/// An emulator that is not on this machine works, with a warning. `0.0.0.0` is not loopback by its name, and is by its effect.
#[tokio::test]
async fn an_endpoint_in_the_clear_works_with_a_warning() {
    let moto = Moto::start().await;
    let elsewhere = moto.url.replace("127.0.0.1", "0.0.0.0");
    let outcome = Scenario::default().ssm_endpoint(&elsewhere).run().await;
    outcome.token();
    let [line] = outcome.lines("warn")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("crosses the network in the clear")
    );
}

#[tokio::test]
async fn the_cli_invokes_the_function_and_sees_what_lambda_shows() {
    let running = Scenario::default().start().await;
    let url = running.aws_url();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let invoke = async |name: &str, arguments: &[&str]| {
        let file = folder.join(name);
        let file_name = file.to_str().unwrap();
        let invoke = ["lambda", "invoke", "--function-name", "github-token-broker"];
        let output = aws(&url, &[&invoke[..], arguments, &[file_name]].concat()).await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let payload: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        std::fs::remove_file(&file).unwrap();
        (json_of(&output), payload)
    };

    let (metadata, payload) =
        invoke("null.json", &["--payload", "null", "--log-type", "Tail"]).await;
    assert_eq!(metadata["StatusCode"], 200);
    assert!(metadata.get("FunctionError").is_none());
    assert!(metadata["LogResult"].is_string());
    assert_eq!(payload["repositories"], json!(["octo-org/octo-repo"]));
    assert_eq!(
        payload["token"],
        running.github().tokens.last().unwrap().value
    );

    for (name, arguments) in [
        ("object.json", &["--payload", "{}"][..]),
        ("none.json", &[]),
    ] {
        let (metadata, payload) = invoke(name, arguments).await;
        assert_eq!(metadata["FunctionError"], "Unhandled");
        assert_eq!(payload["errorType"], "InputRefused");
    }
    running.finish().await;
}

#[tokio::test]
async fn the_sandboxs_ssm_answers_as_motos_does() {
    let moto = Moto::start().await;
    let running = Scenario::default().start().await;
    let pem = PrivateKey::rsa(2048).pem();
    let conversation: [&[&str]; 9] = [
        &[
            "put-parameter",
            "--name",
            "/a/id",
            "--type",
            "String",
            "--value",
            "1",
        ],
        &[
            "put-parameter",
            "--name",
            "/a/id",
            "--type",
            "String",
            "--value",
            "2",
        ],
        &[
            "put-parameter",
            "--name",
            "/a/id",
            "--type",
            "String",
            "--value",
            "2",
            "--overwrite",
        ],
        &[
            "put-parameter",
            "--name",
            "/a/key",
            "--type",
            "SecureString",
            "--value",
            &pem,
        ],
        &[
            "get-parameters",
            "--names",
            "/a/id",
            "/a/key",
            "/a/none",
            "--with-decryption",
        ],
        &["get-parameter", "--name", "/a/id"],
        &["get-parameter", "--name", "/a/none"],
        &["delete-parameter", "--name", "/a/id"],
        &["delete-parameter", "--name", "/a/id"],
    ];
    for arguments in conversation {
        let arguments = [&["ssm"], arguments].concat();
        let [ours, motos] = [running.aws_url(), moto.url.clone()];
        let (ours, motos) = (aws(&ours, &arguments).await, aws(&motos, &arguments).await);
        assert_eq!(
            essence(&ours),
            essence(&motos),
            "{}",
            arguments[..4.min(arguments.len())].join(" ")
        );
    }
    // Not `finish`, which holds every request to the function's credentials: these were the CLI's.
    drop(running);
}

/// What a client acts on: the error's code, or the answer without the times and account that differ anywhere.
fn essence(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some((_, rest)) = stderr.split_once("An error occurred (") {
        return rest.split(')').next().into();
    }
    let mut answer = json_of(output);
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(parameter) = answer.get_mut("Parameter") {
        parameters.push(parameter.take());
    }
    if let Some(Value::Array(found)) = answer.get_mut("Parameters") {
        parameters.append(found);
        parameters.sort_by_key(|parameter| parameter["Name"].to_string());
    }
    let acted_on = |parameter: &Value| {
        json!([
            parameter["Name"],
            parameter["Type"],
            parameter["Value"],
            parameter["Version"]
        ])
    };
    json!({
        "parameters": parameters.iter().map(acted_on).collect::<Vec<_>>(),
        "invalid": answer["InvalidParameters"],
        "version": answer["Version"],
    })
}
