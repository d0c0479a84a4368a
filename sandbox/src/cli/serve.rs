//! `sandbox serve`: AWS and GitHub that stay up, to be tried by hand or by the tutorial's test. Comes in: what shall be at
//! GitHub, and where functions come from. Goes out: the commands of the tutorial, with the endpoint to give them.
#![expect(clippy::print_stdout, reason = "it tells a person what to type")]

use std::io::{Error, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::aws::ssm::Ssm;
use crate::faults::schedule::Faults;
use crate::github::GitHub;
use crate::github::model::Repository;
use crate::github::private_key::PrivateKey;
use crate::lambda::environment::Configuration;
use crate::lambda::remote::Source;
use crate::lambda::variables::Variables;
use crate::sandbox::{Sandbox, Setting};
use crate::scenario::fixtures;
use crate::scenario::running::binary_under_test;

/// What `sandbox serve` can be told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A private repository at GitHub, its owner's App installed on it; the first is the function's. Can be repeated
    #[arg(
        long = "repository",
        value_name = "OWNER/NAME",
        default_value = "octo-org/octo-repo"
    )]
    repositories: Vec<String>,
    /// Where to write a fresh private key of the App's; each of several is registered [default: a temporary file]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The App's client ID
    #[arg(long, default_value = crate::scenario::fixtures::CLIENT_ID)]
    client_id: String,
    /// The ID of the App's installation
    #[arg(long, default_value_t = crate::scenario::fixtures::INSTALLATION_ID)]
    installation_id: u64,
    /// The port of AWS; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    aws_port: u16,
    /// The port of GitHub; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    github_port: u16,
    /// A Lambda API, such as moto's, whose functions are run here in place of the broker
    #[arg(long, value_name = "URL", requires = "zips")]
    functions_from: Option<String>,
    /// A folder with the zips of those functions, found by their `CodeSha256`. Can be repeated
    #[arg(long, value_name = "FOLDER")]
    zips: Vec<PathBuf>,
    /// The SSM that functions use [default: that of --functions-from, else the sandbox's]
    #[arg(long, value_name = "URL")]
    ssm_endpoint: Option<String>,
    /// What runs a program for arm64 on another machine: "qemu-aarch64-static -L /usr/aarch64-linux-gnu"
    #[arg(long, value_name = "COMMAND", default_value = "")]
    aarch64_runner: String,
    /// Where to write, as JSON and once all is up, what a program has to know to use this
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
}

/// Serves until Ctrl-C, or until it is told to end.
pub async fn serve(options: Options) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let paths = if options.keys.is_empty() {
        vec![folder.path().join("key.pem")]
    } else {
        options.keys.clone()
    };
    let keys: Vec<_> = paths.iter().map(|_| PrivateKey::fresh(2048)).collect();
    for (path, key) in paths.iter().zip(&keys) {
        write_secret(path, &key.pem())?;
    }
    let setting = Setting {
        aws_port: options.aws_port,
        github_port: options.github_port,
        ..Setting::default()
    };
    let sandbox = Sandbox::start(
        &setting,
        at_github(&options, &keys)?,
        Ssm::default(),
        Faults::default(),
        None,
    )
    .await;
    let elsewhere = options
        .ssm_endpoint
        .clone()
        .or_else(|| options.functions_from.clone());
    let ssm_url = elsewhere.unwrap_or_else(|| sandbox.aws_url());
    if let Some(endpoint) = &options.functions_from {
        sandbox.lambda.take_functions_from(Source {
            endpoint: endpoint.clone(),
            zips: options.zips.clone(),
            ssm_url,
            github_url: sandbox.github_url(),
            aarch64_runner: options
                .aarch64_runner
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            unpacked: tempfile::tempdir()?,
        });
    } else {
        sandbox
            .lambda
            .put(broker(&sandbox, &ssm_url, &options.repositories[0])?);
    }
    if let Some(path) = &options.describe {
        std::fs::write(path, description(&sandbox, &options, &paths).to_string())?;
    }
    print!("{}", instructions(&sandbox, &options, &paths[0]));
    std::io::stdout().flush()?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    println!();
    Ok(())
}

fn at_github(options: &Options, keys: &[PrivateKey]) -> Result<GitHub, Error> {
    let mut github = fixtures::github(&keys[0]);
    github.app_mut().keys = keys.iter().map(PrivateKey::public).collect();
    github.app_mut().client_id.clone_from(&options.client_id);
    github.installation_mut().id = options.installation_id;
    github.repositories.clear();
    for (full_name, id) in options.repositories.iter().zip(1_296_269..) {
        let (owner, name) = split(full_name)?;
        let (owner, name, former_names) = (owner.to_owned(), name.to_owned(), Vec::new());
        github.installation_mut().account.clone_from(&owner);
        github.repositories.push(Repository {
            id,
            owner,
            name,
            private: true,
            former_names,
        });
    }
    Ok(github)
}

/// The function that the tutorial deploys, already deployed.
fn broker(sandbox: &Sandbox, ssm_url: &str, full_name: &str) -> Result<Configuration, Error> {
    let (owner, name) = split(full_name)?;
    let mut variables = Variables::new("github-token-broker", "us-east-1", 128);
    variables.set("AWS_ENDPOINT_URL", ssm_url);
    variables.set(
        "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
        sandbox.github_url(),
    );
    variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", owner);
    variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", name);
    Ok(Configuration {
        name: "github-token-broker".to_owned(),
        launcher: Vec::new(),
        binary: binary_under_test(),
        variables,
        timeout: Duration::from_secs(10),
        trace_id: None,
        freeze_after_init: false,
        before_delivery: None::<Arc<_>>,
    })
}

/// Where all is, for a program.
fn description(sandbox: &Sandbox, options: &Options, keys: &[PathBuf]) -> Value {
    json!({
        "aws_url": sandbox.aws_url(),
        "github_url": sandbox.github_url(),
        "client_id": options.client_id,
        "installation_id": options.installation_id,
        "repositories": options.repositories,
        "keys": keys,
    })
}

fn instructions(sandbox: &Sandbox, options: &Options, key: &Path) -> String {
    let (aws, github, key, repository) = (
        sandbox.aws_url(),
        sandbox.github_url(),
        key.display(),
        &options.repositories[0],
    );
    let Options {
        client_id,
        installation_id,
        ..
    } = options;
    format!(
        r#"AWS is at {aws}, GitHub at {github}. In another terminal:

export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox AWS_DEFAULT_REGION=us-east-1

aws ssm put-parameter --endpoint-url {aws} \
  --name /github-token-broker/app/client-id \
  --type String \
  --value "{client_id}"

aws ssm put-parameter --endpoint-url {aws} \
  --name /github-token-broker/app/installation-id \
  --type String \
  --value "{installation_id}"

aws ssm put-parameter --endpoint-url {aws} \
  --name /github-token-broker/app/private-key-pem \
  --type SecureString \
  --value "$(cat {key})"

aws lambda invoke --endpoint-url {aws} \
  --function-name github-token-broker \
  --payload 'null' \
  --cli-binary-format raw-in-base64-out \
  /tmp/out.json

jq . /tmp/out.json

TOKEN=$(jq -r .token /tmp/out.json)
curl -s -H "Authorization: token $TOKEN" {github}/repos/{repository} | jq .name

(Version 1 of the AWS CLI knows no --cli-binary-format: leave that line out.)
Ctrl-C ends the sandbox.
"#
    )
}

fn split(full_name: &str) -> Result<(&str, &str), Error> {
    full_name
        .split_once('/')
        .ok_or_else(|| Error::other(format!("{full_name} is not of the form OWNER/NAME")))
}

/// Writes a file that only its owner can read, and that was not there before.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(named)
}
