//! SSM Parameter Store as plain data, and the Secrets Manager secrets that it can refer to.
//!
//! Input: an operation and its JSON. Output: its JSON, or the error that AWS returns.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ACCOUNT;
use super::error::{AwsError, required};
use crate::clock::{self, Clock};

/// Parameters below this path are secrets of Secrets Manager.
const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// All parameters of the account in the region, and how SSM behaves.
#[derive(Debug, Clone, Default)]
pub struct Ssm {
    parameters: BTreeMap<String, Vec<Parameter>>,
    secrets: BTreeMap<String, Parameter>,
    /// Whether `GetParameters` returns the parameters in reverse order. SSM promises no order.
    pub reverse_order: bool,
    /// Whether the caller may not use the KMS key, so that decryption fails.
    pub kms_denied: bool,
}

/// One version of a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// The value: a secret if the kind is `SecureString`.
    pub value: String,
    /// When it was stored, in epoch seconds.
    pub modified: i64,
    /// The KMS key that encrypts a `SecureString`, as the operator named it.
    pub key_id: Option<String>,
}

impl Parameter {
    /// A `SecureString`, stored now.
    pub fn secure_string(value: impl Into<String>) -> Self {
        Self::new("SecureString", value)
    }

    /// A plain `String`, stored now.
    pub fn string(value: impl Into<String>) -> Self {
        Self::new("String", value)
    }

    fn new(kind: &str, value: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            value: value.into(),
            modified: Clock::default().now(),
            key_id: (kind == "SecureString").then(|| "alias/aws/ssm".to_owned()),
        }
    }

    /// The same parameter, stored this number of days ago.
    #[must_use]
    pub fn days_old(mut self, days: i64) -> Self {
        self.modified = Clock::default().now() - days * 24 * 60 * 60;
        self
    }

    /// The same parameter, encrypted with this KMS key.
    #[must_use]
    pub fn encrypted_with(mut self, key_id: &str) -> Self {
        self.key_id = Some(key_id.to_owned());
        self
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.kind == "SecureString"
    }
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parameter({}, ..)", self.kind)
    }
}

impl Ssm {
    /// Stores a parameter: its first version, or its next.
    pub fn put(&mut self, name: impl Into<String>, parameter: Parameter) {
        self.parameters
            .entry(name.into())
            .or_default()
            .push(parameter);
    }

    /// Stores a secret in Secrets Manager, which SSM serves as `/aws/reference/secretsmanager/NAME`.
    pub fn put_secret(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.secrets
            .insert(name.into(), Parameter::secure_string(value));
    }

    /// Deletes a parameter with all its versions. Returns whether it existed.
    pub fn delete(&mut self, name: &str) -> bool {
        self.parameters.remove(name).is_some()
    }

    /// The latest version of a parameter.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)?.last()
    }

    /// The latest version of every parameter.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (&String, &Parameter)> {
        self.parameters
            .iter()
            .filter_map(|(name, versions)| Some((name, versions.last()?)))
    }

    /// The value of every version of every `SecureString`, and of every secret.
    pub(crate) fn secret_values(&self) -> impl Iterator<Item = &str> {
        let parameters = self.parameters.values().flatten();
        parameters
            .chain(self.secrets.values())
            .filter(|parameter| parameter.is_secure())
            .map(|parameter| parameter.value.as_str())
    }

    /// Performs an operation.
    pub(crate) fn operate(
        &mut self,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "GetParameters" => self.get_parameters(region, input),
            "GetParameter" => {
                let found = self.select(region, required(input, "Name")?)?;
                let found = found.ok_or_else(|| AwsError::new("ParameterNotFound", ""))?;
                Ok(json!({ "Parameter": self.output(region, &found, decrypt(input))? }))
            }
            "PutParameter" => self.put_parameter(input),
            "DeleteParameter" => {
                let existed = self.delete(required(input, "Name")?);
                existed
                    .then(|| json!({}))
                    .ok_or_else(|| AwsError::new("ParameterNotFound", ""))
            }
            "GetParametersByPath" => self.get_parameters_by_path(region, input),
            "DescribeParameters" => Ok(self.describe_parameters(input)),
            other => Err(AwsError::unknown_operation(other)),
        }
    }

    fn get_parameters(&self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let names: Vec<&str> = input["Names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if names.is_empty() || names.len() > 10 {
            let count = "Member must have length less than or equal to 10 and at least 1";
            return Err(AwsError::new(
                "ValidationException",
                format!("Value at 'names' failed to satisfy constraint: {count}"),
            ));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            match self.select(region, name)? {
                Some(selected) => found.push(self.output(region, &selected, decrypt(input))?),
                None => invalid.push(name),
            }
        }
        if self.reverse_order {
            found.reverse();
        }
        Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
    }

    fn put_parameter(&mut self, input: &Value) -> Result<Value, AwsError> {
        let (name, value) = (required(input, "Name")?, required(input, "Value")?);
        let before = self.get(name).map(|parameter| parameter.kind.clone());
        if before.is_some() && !input["Overwrite"].as_bool().unwrap_or(false) {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(AwsError::new("ParameterAlreadyExists", message));
        }
        let invalid = |message: &str| AwsError::new("ValidationException", message);
        let kind = input["Type"].as_str().map(str::to_owned).or(before);
        let kind = kind
            .ok_or_else(|| invalid("A parameter type is required when you create a parameter."))?;
        if value.is_empty() || value.len() > 4096 {
            return Err(invalid(
                "Standard tier parameters support a maximum parameter value of 4096 characters.",
            ));
        }
        let mut parameter = Parameter::new(&kind, value);
        if let Some(key_id) = input["KeyId"].as_str() {
            parameter.key_id = Some(key_id.to_owned());
        }
        self.put(name, parameter);
        Ok(json!({ "Version": self.parameters[name].len(), "Tier": "Standard" }))
    }

    fn get_parameters_by_path(&self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let path = required(input, "Path")?.trim_end_matches('/');
        let recursive = input["Recursive"].as_bool().unwrap_or(false);
        let mut found = Vec::new();
        for name in self.parameters.keys() {
            let below = name
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('/'));
            if below.is_some_and(|below| recursive || !below.contains('/'))
                && let Some(selected) = self.select(region, name)?
            {
                found.push(self.output(region, &selected, decrypt(input))?);
            }
        }
        Ok(json!({ "Parameters": found }))
    }

    /// Supports the filter on names, which the client uses.
    fn describe_parameters(&self, input: &Value) -> Value {
        let filters = input["ParameterFilters"].as_array().into_iter().flatten();
        let filters: Vec<_> = filters.filter(|filter| filter["Key"] == "Name").collect();
        let is_wanted = |name: &str| {
            filters.iter().all(|filter| {
                let values = filter["Values"].as_array().into_iter().flatten();
                values.into_iter().any(|value| value == name)
            })
        };
        let wanted = self.parameters.iter().filter(|(name, _)| is_wanted(name));
        let described = wanted.filter_map(|(name, versions)| {
            let latest = versions.last()?;
            let mut description = json!({
                "Name": name,
                "Type": latest.kind,
                "LastModifiedDate": latest.modified,
                "Version": versions.len(),
                "Tier": "Standard",
                "DataType": "text",
            });
            if let Some(key_id) = &latest.key_id {
                description["KeyId"] = key_id.as_str().into();
            }
            Some(description)
        });
        json!({ "Parameters": described.collect::<Value>() })
    }

    /// Finds a parameter by its name or ARN, with or without `:version`.
    fn select<'a>(
        &'a self,
        region: &str,
        wanted: &'a str,
    ) -> Result<Option<Selected<'a>>, AwsError> {
        let prefix = format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter");
        let bare = wanted.strip_prefix(prefix.as_str()).unwrap_or(wanted);
        if let Some(secret) = bare.strip_prefix(SECRETS_MANAGER) {
            let parameter = self.secrets.get(secret).ok_or_else(|| {
                let message = format!("An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret {bare} not found.");
                AwsError::new("ParameterNotFound", message)
            })?;
            return Ok(Some(Selected {
                name: bare,
                version: 0,
                parameter,
                secret: Some(secret),
            }));
        }
        let version = |versions: &[Parameter]| match bare.split_once(':') {
            Some((_, version)) => version.parse().ok(),
            None => Some(versions.len()),
        };
        let name = bare.split(':').next().unwrap_or(bare);
        let Some((name, versions)) = self.parameters.get_key_value(name) else {
            return Ok(None);
        };
        let version = version(versions).and_then(|number: usize| number.checked_sub(1));
        let selected = version.and_then(|index| Some((index + 1, versions.get(index)?)));
        Ok(selected.map(|(version, parameter)| Selected {
            name,
            version,
            parameter,
            secret: None,
        }))
    }

    fn output(
        &self,
        region: &str,
        selected: &Selected<'_>,
        decrypt: bool,
    ) -> Result<Value, AwsError> {
        let Selected {
            name,
            version,
            parameter,
            secret,
        } = *selected;
        if secret.is_some() && !decrypt {
            let message =
                "WithDecryption flag must be True for retrieving a Secret Manager secret.";
            return Err(AwsError::new("ValidationException", message));
        }
        if parameter.is_secure() && decrypt && self.kms_denied {
            let message = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                           or you are not allowed to access.";
            return Err(AwsError::new("AccessDeniedException", message));
        }
        let value = if parameter.is_secure() && !decrypt {
            "AQICAHg="
        } else {
            &parameter.value
        };
        let mut output = json!({
            "ARN": format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter{name}"),
            "DataType": "text",
            "LastModifiedDate": parameter.modified,
            "Name": name,
            "Type": parameter.kind,
            "Value": value,
            "Version": version,
        });
        if let Some(secret) = secret {
            let source = json!({
                "ARN": format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{secret}-AbCdEf"),
                "createdDate": clock::rfc3339(parameter.modified),
                "name": secret,
                "secretString": value,
                "versionId": "0f5b3b5e-0c52-4a3a-9f4e-1a2b3c4d5e6f",
                "versionStages": ["AWSCURRENT"],
            });
            output["SourceResult"] = source.to_string().into();
        }
        Ok(output)
    }
}

/// A parameter that a request names.
#[derive(Clone, Copy)]
struct Selected<'a> {
    name: &'a str,
    version: usize,
    parameter: &'a Parameter,
    /// The name of the secret, if the parameter is a reference to Secrets Manager.
    secret: Option<&'a str>,
}

fn decrypt(input: &Value) -> bool {
    input["WithDecryption"].as_bool().unwrap_or(false)
}

#[cfg(test)]
mod tests;
