//! The SSM parameters: that they exist, their types, and what encrypts them. No secret is read: nothing is decrypted.

use broker::{
    app::{
        ClientId,
        credentials::{KeySetting, Setting},
    },
    config::Config,
};
use serde_json::{Value, json};

use super::{
    Subject, not_checked,
    report::{Finding, Report},
};
use crate::aws::session::Session;

/// A parameter that the function decrypts, and the customer key that encrypts it.
pub struct Encrypted {
    /// The parameter's name.
    pub name: String,
    /// The key's ID, ARN or alias. `None` for the key that AWS manages.
    pub key_id: Option<String>,
}

/// Checks the parameters that the function reads. Returns those that it decrypts.
pub async fn check(
    session: &Session,
    config: &Config,
    deployed: &Subject,
    report: &mut Report,
) -> Vec<Encrypted> {
    let names: Vec<&str> = config
        .app
        .parameters()
        .into_iter()
        .map(broker::aws::ssm::ParameterName::as_str)
        .collect();
    if names.is_empty() {
        report.add(Finding::pass(
            "parameters.exist",
            "the function reads no parameter",
        ));
        return Vec::new();
    }
    let read = session
        .ssm(
            "GetParameters",
            &json!({ "Names": names, "WithDecryption": false }),
        )
        .await;
    let body = match read {
        Ok(body) => body,
        Err(error) => {
            report.add(not_checked("parameters.exist", &error));
            return Vec::new();
        }
    };
    let parameters = body["Parameters"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| {
        parameters
            .iter()
            .find(|parameter| parameter["Name"] == bare(name))
    };
    let missing: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| of(name).is_none())
        .collect();
    report.add(if missing.is_empty() {
        Finding::pass("parameters.exist", names.join(", "))
    } else {
        Finding::fail(
            "parameters.exist",
            format!(
                "Parameter Store has no {} in {}",
                missing.join(", "),
                deployed.region
            ),
            format!(
                "Create them in {}, or change the Terraform input ssm_parameter_paths",
                deployed.region
            ),
        )
    });
    if let Setting::Parameter(name) = &config.app.client_id
        && let Some(parameter) = of(name.as_str())
    {
        report.add(value(
            "parameters.client_id",
            name.as_str(),
            parameter,
            |text| ClientId::parse(text).is_some(),
            "is not a client ID or an App ID. If it is a private key, rotate the key at once",
        ));
    }
    if let Setting::Parameter(name) = &config.app.installation_id
        && let Some(parameter) = of(name.as_str())
    {
        report.add(value(
            "parameters.installation_id",
            name.as_str(),
            parameter,
            |text| broker::scope::positive_integer(text).is_some(),
            "is not an installation ID: the number at the end of the installation's URL on GitHub",
        ));
    }
    if let KeySetting::Parameter(name) = &config.app.key
        && let Some(parameter) = of(name.as_str())
    {
        report.add(private_key(name.as_str(), parameter));
    }
    let mut encrypted = Vec::new();
    for name in names
        .iter()
        .filter(|name| of(name).is_some_and(|parameter| parameter["Type"] == "SecureString"))
    {
        if name.starts_with(SECRETS_MANAGER) {
            continue;
        }
        let key_id = key_of(session, bare(name), report).await;
        encrypted.push(Encrypted {
            name: bare(name).to_owned(),
            key_id,
        });
    }
    encrypted
}

/// Parameter Store's name for a secret of Secrets Manager.
const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// SSM returns the name without `:version`.
fn bare(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

fn value(
    id: &'static str,
    name: &str,
    parameter: &Value,
    is_valid: impl Fn(&str) -> bool,
    wrong: &str,
) -> Finding {
    match (parameter["Type"].as_str(), parameter["Value"].as_str()) {
        (Some("String"), Some(text)) if is_valid(text.trim()) => {
            Finding::pass(id, format!("{name} is {}", text.trim()))
        }
        (Some("String"), _) => Finding::fail(
            id,
            format!("the content of {name} {wrong}"),
            format!("Store the right value in {name}"),
        ),
        (Some("SecureString"), _) => Finding::pass(
            id,
            format!("{name} is a SecureString; its content was not read"),
        ),
        (kind, _) => Finding::fail(
            id,
            format!("{name} is a {}", kind.unwrap_or("parameter without a type")),
            "Store it as a String",
        ),
    }
}

fn private_key(name: &str, parameter: &Value) -> Finding {
    if parameter["Type"] == "SecureString" {
        return Finding::pass(
            "parameters.private_key",
            format!("{name} is a SecureString"),
        );
    }
    Finding::fail(
        "parameters.private_key",
        format!(
            "{name} is a {}: any principal that can read parameters can read the key",
            parameter["Type"].as_str().unwrap_or("String")
        ),
        "Rotate the App's key, and store the new one as a SecureString",
    )
}

/// The customer key that encrypts a parameter. `None` for the key that AWS manages, and if it cannot be read.
pub async fn key_of(session: &Session, name: &str, report: &mut Report) -> Option<String> {
    let filter =
        json!({ "ParameterFilters": [{ "Key": "Name", "Option": "Equals", "Values": [name] }] });
    match session.ssm("DescribeParameters", &filter).await {
        Ok(body) => {
            let key = body["Parameters"][0]["KeyId"]
                .as_str()
                .unwrap_or("alias/aws/ssm")
                .to_owned();
            let is_default = key == "alias/aws/ssm";
            let key = if key.starts_with("alias/") && !is_default {
                match arn_of(session, &key).await {
                    Ok(arn) => arn,
                    Err(finding) => {
                        report.add(finding);
                        return None;
                    }
                }
            } else {
                key
            };
            report.add(Finding::pass(
                "parameters.encryption",
                if is_default {
                    format!("{name} is encrypted with the key that AWS manages (alias/aws/ssm)")
                } else {
                    format!("{name} is encrypted with {key}")
                },
            ));
            (!is_default).then_some(key)
        }
        Err(error) => {
            report.add(not_checked("parameters.encryption", &error));
            None
        }
    }
}

/// IAM compares a permission with the ARN of the key, and SSM names the key as the operator did: perhaps by an alias.
async fn arn_of(session: &Session, alias: &str) -> Result<String, Finding> {
    let described = session.kms("DescribeKey", &json!({ "KeyId": alias })).await;
    let body = described.map_err(|error| not_checked("parameters.encryption", &error))?;
    let arn = body["KeyMetadata"]["Arn"].as_str();
    arn.map(str::to_owned).ok_or_else(|| {
        let text = format!("KMS does not say which key {alias} is");
        Finding::skip("parameters.encryption", text, "Retry")
    })
}
