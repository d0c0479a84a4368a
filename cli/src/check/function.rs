//! The function: that it exists and can run, its code, and its environment, parsed by the function's own code.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use base64ct::{Base64, Encoding as _};
use broker::{aws::endpoint::Partition, config::Config};
use serde_json::Value;

use super::{
    Options, not_checked,
    report::{Finding, Report},
};
use crate::{
    aws::{operator::Answer, session::Session},
    settings::Settings,
};

/// AWS and GitHub reject requests that are more than five minutes off. Half of that is time to act.
const SKEW_TO_WARN: u64 = 120;

/// The function's default timeout. With less, a slow response of GitHub can become a failure.
const USUAL_TIMEOUT: u64 = 10;

/// The function as Lambda describes it.
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// Its ARN, without a qualifier.
    pub arn: String,
    /// The version or alias that is invoked.
    pub qualifier: Option<String>,
    /// Its role.
    pub role_arn: String,
    /// The account.
    pub account: String,
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// Where it logs.
    pub log_group: String,
    environment: BTreeMap<String, String>,
}

/// Checks the function. `None` if there is nothing else to check.
pub async fn check(
    session: &Session,
    settings: &Settings,
    options: &Options,
    report: &mut Report,
) -> Option<Deployed> {
    let function = &settings.function;
    let qualifier = function.qualifier.as_deref();
    let answer = session
        .lambda(
            &function.name,
            "/configuration",
            qualifier,
            "GetFunctionConfiguration",
        )
        .await;
    let Answer { body, date } = match answer {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("ResourceNotFoundException") => {
            report.add(Finding::fail(
                "function.exists",
                format!("Lambda has no function {function} in {}", session.region),
                "Check --function, the region (--region) and the account (--profile)",
            ));
            return None;
        }
        Err(error) => {
            report.add(not_checked("function.exists", &error));
            return None;
        }
    };
    let Some(deployed) = deployed(&body, qualifier) else {
        report.add(Finding::fail(
            "function.exists",
            "Lambda's response has no function ARN and no role",
            "Check AWS_ENDPOINT_URL",
        ));
        return None;
    };
    report.add(state(&deployed, &body));
    report.add(runtime(&body));
    report.add(timeout(&body));
    report.add(code(&body, options.checksums.as_deref()));
    report.add(clock(date));
    if let Some(error) = body["Environment"]["Error"]["ErrorCode"].as_str() {
        report.add(Finding::fail(
            "function.environment",
            format!("Lambda cannot decrypt the function's environment: {error}"),
            "Check the function's kms_key_arn and the key policy, then deploy the function again",
        ));
        return None;
    }
    Some(deployed)
}

impl Deployed {
    /// The environment, as the function itself reads it.
    pub fn configuration(&self, report: &mut Report) -> Option<Config> {
        let config = Config::from_lookup(|name| self.lookup(name));
        match config {
            Ok(config) => {
                let repository = &config.scope.repository;
                let permissions: Vec<_> = config
                    .scope
                    .permissions
                    .iter()
                    .map(|(name, level)| format!("{name}={level}"))
                    .collect();
                report.add(Finding::pass(
                    "function.environment",
                    format!("tokens for {repository} with {}", permissions.join(", ")),
                ));
                Some(config)
            }
            Err(error) => {
                let inputs = error.terraform_inputs();
                let remedy = if inputs.is_empty() {
                    "Correct the function's environment variables".to_owned()
                } else {
                    format!(
                        "Correct the Terraform input {}, or the environment variables",
                        inputs.join(", ")
                    )
                };
                report.add(Finding::fail(
                    "function.environment",
                    error.to_string(),
                    remedy,
                ));
                None
            }
        }
    }

    /// What Lambda sets by itself, and what only the function's own file system has.
    fn lookup(&self, name: &str) -> Option<String> {
        match name {
            "AWS_REGION" => Some(self.region.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("set-by-lambda".to_owned()),
            "AWS_LAMBDA_FUNCTION_NAME" => Some(self.name.clone()),
            "SSL_CERT_FILE" => None,
            _ => self.environment.get(name).cloned(),
        }
    }

    /// The DNS suffix of AWS's hosts in the function's partition, such as `amazonaws.com`.
    pub fn dns_suffix(&self) -> &'static str {
        Partition::of(&self.region).suffix
    }

    /// The ARN of something in the function's account and region.
    pub fn arn_of(&self, service: &str, resource: &str) -> String {
        let Self {
            partition,
            region,
            account,
            ..
        } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

fn deployed(body: &Value, qualifier: Option<&str>) -> Option<Deployed> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let arn = text(&body["FunctionArn"])?;
    let parts: Vec<&str> = arn.split(':').collect();
    let [
        "arn",
        partition,
        "lambda",
        region,
        account,
        "function",
        name,
        ..,
    ] = parts.as_slice()
    else {
        return None;
    };
    let variables = body["Environment"]["Variables"].as_object();
    let variables = variables.into_iter().flatten();
    let environment = variables
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect();
    let log_group =
        text(&body["LoggingConfig"]["LogGroup"]).unwrap_or_else(|| format!("/aws/lambda/{name}"));
    Some(Deployed {
        name: (*name).to_owned(),
        arn: parts[..7].join(":"),
        qualifier: qualifier.map(str::to_owned),
        role_arn: text(&body["Role"])?,
        account: (*account).to_owned(),
        partition: (*partition).to_owned(),
        region: (*region).to_owned(),
        log_group,
        environment,
    })
}

fn state(deployed: &Deployed, body: &Value) -> Finding {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let version = text("Version");
    match (text("State"), text("LastUpdateStatus")) {
        // Lambda omits the state of a version that has none.
        ("Active" | "", "Successful" | "" | "InProgress") => Finding::pass(
            "function.exists",
            format!(
                "{} version {version}, deployed {}",
                deployed.arn,
                text("LastModified")
            ),
        ),
        ("Inactive", _) => Finding::warn(
            "function.exists",
            format!(
                "{} was idle for so long that Lambda deactivated it; the next invocation takes longer",
                deployed.name
            ),
            "Invoke it once",
        ),
        (state, update) => Finding::fail(
            "function.exists",
            format!(
                "{} is {state}, its last update {update}: {}{}",
                deployed.name,
                text("StateReasonCode"),
                text("LastUpdateStatusReasonCode")
            ),
            "Deploy the function again",
        ),
    }
}

fn runtime(body: &Value) -> Finding {
    let architecture = body["Architectures"][0].as_str().unwrap_or("x86_64");
    match body["Runtime"].as_str() {
        Some("provided.al2023") => Finding::pass(
            "function.runtime",
            format!("provided.al2023 on {architecture}"),
        ),
        Some(runtime) => Finding::fail(
            "function.runtime",
            format!("the runtime is {runtime}: the release needs provided.al2023"),
            "Set the runtime to provided.al2023",
        ),
        None => Finding::warn(
            "function.runtime",
            "the function is a container image, not a release",
            "Deploy the zip of a release, so that its checksum and attestation can be verified",
        ),
    }
}

fn timeout(body: &Value) -> Finding {
    let timeout = body["Timeout"].as_u64().unwrap_or_default();
    let memory = body["MemorySize"].as_u64().unwrap_or_default();
    if timeout < USUAL_TIMEOUT {
        return Finding::warn(
            "function.timeout",
            format!(
                "the timeout is {timeout} s: less than {USUAL_TIMEOUT} s leaves no time to retry"
            ),
            format!("Raise the Terraform input timeout to {USUAL_TIMEOUT}"),
        );
    }
    Finding::pass("function.timeout", format!("{timeout} s, {memory} MB"))
}

fn code(body: &Value, checksums: Option<&Path>) -> Finding {
    let actual = body["CodeSha256"]
        .as_str()
        .and_then(|text| Base64::decode_vec(text).ok())
        .map(hex::encode);
    let Some(actual) = actual else {
        return Finding::skip("function.code", "Lambda names no hash of the code", "Retry");
    };
    let Some(path) = checksums else {
        return Finding::skip(
            "function.code",
            format!("the code has the SHA-256 {actual}"),
            "Compare it with a release: pass the release's checksums.txt with --checksums",
        );
    };
    let Ok(text) = fs::read_to_string(path) else {
        return Finding::skip(
            "function.code",
            format!("{} cannot be read", path.display()),
            "Check --checksums",
        );
    };
    let found = text
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(sum, _)| sum.eq_ignore_ascii_case(&actual));
    match found {
        Some((_, name)) => Finding::pass(
            "function.code",
            format!("the code is {}", name.trim().trim_start_matches('*')),
        ),
        None => Finding::fail(
            "function.code",
            format!(
                "the code has the SHA-256 {actual}, which {} does not name",
                path.display()
            ),
            "Deploy the release that the file belongs to, or find out who deployed this code",
        ),
    }
}

fn clock(date: Option<SystemTime>) -> Finding {
    let Some(aws) = date else {
        return Finding::skip("clock", "AWS's response has no time", "Retry");
    };
    let now = SystemTime::now();
    let apart = now
        .duration_since(aws)
        .or_else(|_| aws.duration_since(now))
        .unwrap_or_default()
        .as_secs();
    if apart > SKEW_TO_WARN {
        return Finding::warn(
            "clock",
            format!("this machine's clock and AWS's are {apart} s apart"),
            "Synchronize this machine's clock: AWS rejects requests that are 5 minutes off",
        );
    }
    Finding::pass("clock", format!("{apart} s apart from AWS"))
}
