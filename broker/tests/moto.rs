//! The broker with a real AWS client, the AWS CLI, and an independent AWS, moto.
//!
//! `make test` installs both at pinned versions. These tests also compare the sandbox's SSM with moto.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use base64ct::{Base64, Encoding as _};
use sandbox::{Call, PrivateKey, PublicKey, Scenario};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A program that `make test` installed into the virtual environment.
fn installed(program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("venv/bin").join(program);
    assert!(
        path.is_file(),
        "{} does not exist: `make test` installs it",
        path.display()
    );
    path
}

/// moto on a free port. It ends with the test.
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
                // Drain its access log, so that it never blocks.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Self {
                    url,
                    _process: process,
                };
            }
        }
    }
}

/// Runs the AWS CLI with placeholder credentials.
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
async fn broker_mints_with_parameters_from_moto() {
    let moto = Moto::start().await;
    let outcome = Scenario::default().aws_endpoint(&moto.url).run().await;
    outcome.token();
    assert_eq!(
        outcome.calls(Call::GetParameters),
        0,
        "no call to the sandbox's SSM"
    );
    let missing = Scenario::default()
        .aws_endpoint(&moto.url)
        .variable("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/no/such/parameter");
    let (error_type, message) = missing.run().await.error();
    assert_eq!(error_type, "ParametersMissing");
    assert!(
        message.starts_with("missing GitHub App SSM parameters: [/no/such/parameter]"),
        "{message}"
    );
}

/// An emulator on a different host works, with a warning. `0.0.0.0` is not a loopback address but reaches this machine.
#[tokio::test]
async fn plain_http_endpoint_works_with_a_warning() {
    let moto = Moto::start().await;
    let not_loopback = moto.url.replace("127.0.0.1", "0.0.0.0");
    let outcome = Scenario::default().aws_endpoint(&not_loopback).run().await;
    outcome.token();
    let [line] = outcome.lines("warn")[..] else {
        panic!("{}", outcome.stdout)
    };
    assert!(line["message"].as_str().unwrap().contains("http"), "{line}");
}

#[tokio::test]
async fn aws_cli_invokes_the_function() {
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
async fn sandbox_ssm_responds_like_moto() {
    let moto = Moto::start().await;
    let running = Scenario::default().start().await;
    let pem = PrivateKey::rsa(2048).pem();
    let commands: [&[&str]; 9] = [
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
    for arguments in commands {
        let arguments = [&["ssm"], arguments].concat();
        let [ours, motos] = [running.aws_url(), moto.url.clone()];
        let (ours, motos) = tokio::join!(aws(&ours, &arguments), aws(&motos, &arguments));
        assert_eq!(
            comparable(&ours),
            comparable(&motos),
            "{}",
            arguments[..4.min(arguments.len())].join(" ")
        );
    }
    // Not `finish`, which fails because these requests do not have the function's credentials.
    drop(running);
}

/// The comparable part of the output: the error code, or the result without times and account.
fn comparable(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some((_, rest)) = stderr.split_once("An error occurred (") {
        return rest.split(')').next().into();
    }
    let mut result = json_of(output);
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(parameter) = result.get_mut("Parameter") {
        parameters.push(parameter.take());
    }
    if let Some(Value::Array(found)) = result.get_mut("Parameters") {
        parameters.append(found);
        parameters.sort_by_key(|parameter| parameter["Name"].to_string());
    }
    let fields = |parameter: &Value| {
        json!([
            parameter["Name"],
            parameter["Type"],
            parameter["Value"],
            parameter["Version"]
        ])
    };
    json!({
        "parameters": parameters.iter().map(fields).collect::<Vec<_>>(),
        "invalid": result["InvalidParameters"],
        "version": result["Version"],
    })
}

/// The commands of "Keep the key in KMS", with the files of the current folder. They end with a comparison of fingerprints.
const IMPORT: &str = r#"
KEY_ID=$(aws kms create-key \
  --origin EXTERNAL \
  --key-spec RSA_2048 \
  --key-usage SIGN_VERIFY \
  --description 'Signs for the GitHub App of github-token-broker' \
  --query KeyMetadata.KeyId --output text)
aws kms get-parameters-for-import \
  --key-id "${KEY_ID:?}" \
  --wrapping-algorithm RSA_AES_KEY_WRAP_SHA_256 \
  --wrapping-key-spec RSA_4096 \
  --query '[PublicKey, ImportToken]' --output text > parameters
cut -f1 parameters | openssl base64 -d -A > wrapping-key.der
cut -f2 parameters | openssl base64 -d -A > import-token.bin
openssl rand 32 > aes-key.bin
openssl pkcs8 -topk8 -nocrypt -in key.pem -outform DER |
  openssl enc -id-aes256-wrap-pad -iv A65959A6 \
    -K "$(od -An -tx1 -v aes-key.bin | tr -d ' \n')" -out wrapped-key.bin
openssl pkeyutl -encrypt -pubin -keyform DER -inkey wrapping-key.der \
  -in aes-key.bin -out wrapped-aes-key.bin \
  -pkeyopt rsa_padding_mode:oaep \
  -pkeyopt rsa_oaep_md:sha256 \
  -pkeyopt rsa_mgf1_md:sha256
cat wrapped-aes-key.bin wrapped-key.bin > material.bin
aws kms import-key-material \
  --key-id "${KEY_ID:?}" \
  --encrypted-key-material fileb://material.bin \
  --import-token fileb://import-token.bin \
  --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE
aws kms create-alias --alias-name alias/imported --target-key-id "${KEY_ID:?}"
test "$(aws kms describe-key --key-id alias/imported --query KeyMetadata.KeyState --output text)" = Enabled
aws kms get-public-key --key-id "${KEY_ID:?}" --query PublicKey --output text | openssl base64 -d -A > public.der
openssl rsa -in key.pem -pubout -outform DER | cmp - public.der
"#;

#[tokio::test]
async fn key_imported_with_the_documented_commands_signs() {
    let scenario = Scenario::default().kms_key();
    let mut running = scenario
        .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", "alias/imported")
        .prepare()
        .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), PrivateKey::rsa(2048).pem()).unwrap();
    let programs = installed("aws").parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", IMPORT])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("AWS_ENDPOINT_URL", running.aws_url())
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let outcome = running.invoke("null").await;
    outcome.token();
    assert_eq!(outcome.calls(Call::Sign), 1);
    assert_eq!(outcome.calls(Call::GetParameters), 0);
    running.finish().await;
}

#[tokio::test]
async fn broker_mints_with_a_key_of_motos_kms() {
    let moto = Moto::start().await;
    let create = [
        "kms",
        "create-key",
        "--key-spec",
        "RSA_2048",
        "--key-usage",
        "SIGN_VERIFY",
    ];
    let created = json_of(&aws(&moto.url, &create).await);
    let arn = created["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let get = ["kms", "get-public-key", "--key-id", &arn];
    let public = json_of(&aws(&moto.url, &get).await);
    let public = Base64::decode_vec(public["PublicKey"].as_str().unwrap()).unwrap();
    let public = PublicKey::from_spki(&public).unwrap();
    let scenario = Scenario::default()
        .aws_endpoint(&moto.url)
        .kms_key()
        .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", &arn)
        .github(|github| github.app_mut().keys = vec![public]);
    scenario.run().await.token();
}

/// What `github-token-broker check` reads, read by an independent client.
#[tokio::test]
async fn aws_cli_reads_what_an_operator_checks() {
    let policy = json!({ "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction" }] });
    let running = Scenario::default()
        .kms_key()
        .function_policy(policy)
        .deny("ssm:DescribeParameters")
        .prepare()
        .await;
    let url = running.aws_url();
    let call = async |words: &str| {
        let output = aws(&url, &words.split(' ').collect::<Vec<_>>()).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (json_of(&output), stderr)
    };
    let role = "arn:aws:iam::123456789012:role/github-token-broker";
    let (identity, _) = call("sts get-caller-identity").await;
    assert_eq!(identity["Account"], "123456789012");
    let assume = format!("sts assume-role --role-session-name test --role-arn {role}");
    let (assumed, _) = call(&assume).await;
    assert!(
        assumed["Credentials"]["SessionToken"].is_string(),
        "{assumed}"
    );
    let (_, unknown) = call(&format!("{assume}-unknown")).await;
    assert!(unknown.contains("(AccessDenied)"), "{unknown}");
    let by_token =
        "sts assume-role-with-web-identity --role-session-name test --web-identity-token a.b.c";
    let (assumed, stderr) = call(&format!("{by_token} --role-arn {role}")).await;
    assert!(
        assumed["Credentials"]["AccessKeyId"].is_string(),
        "{stderr}"
    );

    let function = "--function-name github-token-broker";
    let (described, _) = call(&format!("lambda get-function-configuration {function}")).await;
    assert_eq!(described["Role"], role);
    let variables = &described["Environment"]["Variables"];
    let key_arn = variables["GITHUB_TOKEN_BROKER_KMS_KEY_ID"]
        .as_str()
        .unwrap();
    let (policy, _) = call(&format!("lambda get-policy {function}")).await;
    assert!(
        policy["Policy"]
            .as_str()
            .unwrap()
            .contains("lambda:InvokeFunction")
    );

    let simulate = format!(
        "iam simulate-principal-policy --policy-source-arn {role} --action-names kms:Sign --resource-arns {key_arn}"
    );
    let decision = |simulated: &Value| simulated["EvaluationResults"][0]["EvalDecision"].clone();
    let (simulated, _) = call(&simulate).await;
    assert_eq!(
        decision(&simulated),
        "implicitDeny",
        "the conditions are missing"
    );
    let entry = |key: &str, value: &str| {
        format!("ContextKeyName={key},ContextKeyType=string,ContextKeyValues={value}")
    };
    let algorithm = entry("kms:SigningAlgorithm", "RSASSA_PKCS1_V1_5_SHA_256");
    let raw = entry("kms:MessageType", "RAW");
    let (simulated, stderr) =
        call(&format!("{simulate} --context-entries {algorithm} {raw}")).await;
    assert_eq!(decision(&simulated), "allowed", "{stderr}");
    let role = "--role-name github-token-broker";
    let (names, _) = call(&format!("iam list-role-policies {role}")).await;
    assert_eq!(names["PolicyNames"], json!(["github-token-broker-policy"]));
    let name = "--policy-name github-token-broker-policy";
    let (document, _) = call(&format!("iam get-role-policy {role} {name}")).await;
    assert_eq!(
        document["PolicyDocument"]["Statement"][0]["Action"],
        "kms:Sign"
    );
    let (_, denied) = call("ssm describe-parameters").await;
    assert!(denied.contains("(AccessDeniedException)"), "{denied}");
}
