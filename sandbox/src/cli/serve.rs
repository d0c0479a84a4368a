//! `sandbox serve`: AWS and GitHub that keep running, for the tutorial, its test, and experiments by hand.
//!
//! Input: the state of GitHub, and where functions come from. Output: the commands of the tutorial with the right endpoints.
#![expect(clippy::print_stdout, reason = "it prints commands for the user")]

use std::io::{Error, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::demo::client_binary;
use crate::aws::ssm::Ssm;
use crate::clock::Clock;
use crate::faults::schedule::Faults;
use crate::github::GitHub;
use crate::github::model::Repository;
use crate::github::private_key::PrivateKey;
use crate::lambda::environment::Configuration;
use crate::lambda::remote::RemoteLambda;
use crate::lambda::variables::Variables;
use crate::sandbox::{InitialState, Sandbox, ServerOptions};
use crate::scenario::fixtures::{self, CLIENT_ID, INSTALLATION_ID, KMS_KEY_ARN};
use crate::scenario::running::binary_under_test;

/// The function of the tutorial. The user stores its parameters.
const FUNCTION: &str = "github-token-broker";
/// A function that needs no parameter, for a first try of the client.
const READY_FUNCTION: &str = "github-token-broker-demo";

/// The options of `sandbox serve`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A private repository on GitHub with the App installed; the first is the function's. Can be repeated
    #[arg(
        long = "repository",
        value_name = "OWNER/NAME",
        default_value = "octo-org/octo-repo"
    )]
    repositories: Vec<String>,
    /// The file for a new private key of the App. Can be repeated: GitHub knows all keys [default: a temporary file]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The App's client ID
    #[arg(long, default_value = CLIENT_ID)]
    client_id: String,
    /// The installation ID of the App
    #[arg(long, default_value_t = INSTALLATION_ID)]
    installation_id: u64,
    /// The function signs with a KMS key that has the App's key material, and reads no parameter
    #[arg(long)]
    kms: bool,
    /// The port of AWS; 0 means a free one
    #[arg(long, default_value_t = 0)]
    aws_port: u16,
    /// The port of GitHub; 0 means a free one
    #[arg(long, default_value_t = 0)]
    github_port: u16,
    /// A Lambda API, such as moto's, whose functions run here instead of the broker
    #[arg(long, value_name = "URL", requires = "zips")]
    functions_from: Option<String>,
    /// A folder with the zips of these functions, selected by their `CodeSha256`. Can be repeated
    #[arg(long, value_name = "FOLDER")]
    zips: Vec<PathBuf>,
    /// The SSM that the functions use [default: --functions-from, or the sandbox's own]
    #[arg(long, value_name = "URL")]
    ssm_endpoint: Option<String>,
    /// The functions of --functions-from use the SSM and KMS of the sandbox
    #[arg(long, requires = "functions_from", conflicts_with = "ssm_endpoint")]
    own_keys: bool,
    /// The command that runs arm64 programs: "qemu-aarch64-static -L /usr/aarch64-linux-gnu"
    #[arg(long, value_name = "COMMAND", default_value = "")]
    aarch64_runner: String,
    /// The file for the URLs and settings as JSON, written when everything is running
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
}

/// Serves until the future is dropped.
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
    let server_options = ServerOptions {
        aws_port: options.aws_port,
        github_port: options.github_port,
        ..ServerOptions::default()
    };
    let sandbox = Sandbox::start(
        &server_options,
        InitialState {
            github: github(&options, &keys)?,
            ssm: Ssm::default(),
            kms: fixtures::kms(&keys[0]),
            iam: fixtures::iam(options.kms),
            aws_clock: Clock::default(),
        },
        Faults::default(),
        None,
    )
    .await;
    let external_ssm = options
        .ssm_endpoint
        .clone()
        .or_else(|| options.functions_from.clone())
        .filter(|_| !options.own_keys);
    let ssm_url = external_ssm.unwrap_or_else(|| sandbox.aws_url());
    if let Some(endpoint) = &options.functions_from {
        sandbox.aws.lambda.set_remote(RemoteLambda {
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
            .aws
            .lambda
            .put(broker(&sandbox, &ssm_url, &options, FUNCTION, options.kms)?);
        let ready = broker(&sandbox, &ssm_url, &options, READY_FUNCTION, true)?;
        sandbox.aws.lambda.put(ready);
    }
    if let Some(path) = &options.describe {
        std::fs::write(path, description(&sandbox, &options, &paths).to_string())?;
    }
    print!("{}", instructions(&sandbox, &options, &paths[0]));
    std::io::stdout().flush()?;
    std::future::pending().await
}

fn github(options: &Options, keys: &[PrivateKey]) -> Result<GitHub, Error> {
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

/// A deployed broker, which signs with KMS or with the key that the user stores in SSM.
fn broker(
    sandbox: &Sandbox,
    ssm_url: &str,
    options: &Options,
    function: &str,
    kms: bool,
) -> Result<Configuration, Error> {
    let (owner, name) = split(&options.repositories[0])?;
    let mut variables = Variables::new(function, "us-east-1", 128);
    variables.set("AWS_ENDPOINT_URL", ssm_url);
    variables.set(
        "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
        sandbox.github_url(),
    );
    variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", owner);
    variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", name);
    if kms {
        variables.set("GITHUB_TOKEN_BROKER_CLIENT_ID", &options.client_id);
        variables.set(
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID",
            options.installation_id.to_string(),
        );
        variables.set("GITHUB_TOKEN_BROKER_KMS_KEY_ID", KMS_KEY_ARN);
    }
    Ok(Configuration {
        name: function.to_owned(),
        launcher: Vec::new(),
        binary: binary_under_test(),
        variables,
        timeout: Duration::from_secs(10),
        trace_id: None,
        freeze_after_init: false,
        edits: Vec::new(),
        policy: None,
        before_delivery: None,
    })
}

/// The URLs and settings, for a program.
fn description(sandbox: &Sandbox, options: &Options, keys: &[PathBuf]) -> Value {
    json!({
        "aws_url": sandbox.aws_url(),
        "github_url": sandbox.github_url(),
        "client_id": options.client_id,
        "installation_id": options.installation_id,
        "github_host": sandbox.github_host(),
        "repositories": options.repositories,
        "keys": keys,
        "kms_key_arn": options.kms.then_some(KMS_KEY_ARN),
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
    let credentials = if options.kms {
        format!("The App's key is in KMS, as {KMS_KEY_ARN}: there is no parameter to store.\n")
    } else {
        format!(
            r#"aws ssm put-parameter --endpoint-url {aws} \
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
"#
        )
    };
    let client = client_binary().map_or_else(
        || "github-token-broker".to_owned(),
        |client| client.display().to_string(),
    );
    let host = sandbox.github_host();
    format!(
        r#"AWS is at {aws}, GitHub at {github}. In another terminal:

export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox AWS_DEFAULT_REGION=us-east-1

{credentials}
aws lambda invoke --endpoint-url {aws} \
  --function-name github-token-broker \
  --payload 'null' \
  --cli-binary-format raw-in-base64-out \
  /tmp/out.json

jq . /tmp/out.json

TOKEN=$(jq -r .token /tmp/out.json)
curl -s -H "Authorization: token $TOKEN" {github}/repos/{repository} | jq .name

With the client, a clone of the private repository takes two commands:

export AWS_ENDPOINT_URL={aws} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox \
  GH_HOST={host} GITHUB_TOKEN_BROKER_FUNCTION={READY_FUNCTION}

{client} exec -- git clone http://{host}/{repository}

(Version 1 of the AWS CLI has no --cli-binary-format: omit that line.)
Press Ctrl-C to stop the sandbox.
"#
    )
}

fn split(full_name: &str) -> Result<(&str, &str), Error> {
    full_name
        .split_once('/')
        .ok_or_else(|| Error::other(format!("{full_name} does not have the form OWNER/NAME")))
}

/// Writes a new file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let named = |error: Error| {
        let message = format!("cannot create {}: {error}", path.display());
        Error::new(error.kind(), message)
    };
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(named)
}
