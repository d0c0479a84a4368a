//! SSM Parameter Store as plain data. Comes in: an operation and its JSON. Goes out: its JSON, or the error that AWS
//! would give. No HTTP here: `aws.rs` is the view of it.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::clock;

/// All parameters of the account in the region, and what SSM shall be like today.
#[derive(Debug, Clone, Default)]
pub struct Ssm {
    parameters: BTreeMap<String, Vec<Parameter>>,
    /// Whether `GetParameters` answers in another order than it was asked in; SSM promises none.
    pub reversed: bool,
    /// The KMS key may not be used by the caller: decryption fails.
    pub kms_denied: bool,
}

/// One version of a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// The value: a secret, when the kind says so.
    pub value: String,
}

impl Parameter {
    /// A `SecureString`.
    pub fn secure_string(value: impl Into<String>) -> Self {
        Self {
            kind: "SecureString".into(),
            value: value.into(),
        }
    }

    /// A plain `String`.
    pub fn string(value: impl Into<String>) -> Self {
        Self {
            kind: "String".into(),
            value: value.into(),
        }
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

/// An error as AWS's JSON 1.1 protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }
}

impl Ssm {
    /// Puts a parameter: its first version, or its next.
    pub fn put(&mut self, name: impl Into<String>, parameter: Parameter) {
        self.parameters
            .entry(name.into())
            .or_default()
            .push(parameter);
    }

    /// Takes a parameter away, with all its versions.
    pub fn delete(&mut self, name: &str) -> bool {
        self.parameters.remove(name).is_some()
    }

    /// The last version of a parameter.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)?.last()
    }

    /// The last version of every parameter.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (&String, &Parameter)> {
        self.parameters
            .iter()
            .filter_map(|(name, versions)| Some((name, versions.last()?)))
    }

    /// Every version of every parameter.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.values().flatten()
    }

    /// Does what an `X-Amz-Target` asks for.
    pub(crate) fn operate(
        &mut self,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "GetParameters" => self.get_parameters(region, input),
            "GetParameter" => {
                let name = text(input, "Name")?;
                let found = self
                    .select(region, name)
                    .ok_or_else(|| AwsError::new("ParameterNotFound", ""))?;
                Ok(json!({ "Parameter": self.shown(region, found, decrypt(input))? }))
            }
            "PutParameter" => self.put_parameter(input),
            "DeleteParameter" => {
                let existed = self.delete(text(input, "Name")?);
                existed
                    .then(|| json!({}))
                    .ok_or_else(|| AwsError::new("ParameterNotFound", ""))
            }
            "GetParametersByPath" => self.by_path(region, input),
            "DescribeParameters" => Ok(self.describe()),
            other => Err(AwsError::new(
                "UnknownOperationException",
                format!("the sandbox has no {other}"),
            )),
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
            match self.select(region, name) {
                Some(selected) => found.push(self.shown(region, selected, decrypt(input))?),
                None => invalid.push(name),
            }
        }
        if self.reversed {
            found.reverse();
        }
        Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
    }

    fn put_parameter(&mut self, input: &Value) -> Result<Value, AwsError> {
        let (name, value) = (text(input, "Name")?, text(input, "Value")?);
        let before = self.get(name).map(|parameter| parameter.kind.clone());
        if before.is_some() && !input["Overwrite"].as_bool().unwrap_or(false) {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(AwsError::new("ParameterAlreadyExists", message));
        }
        let missing = || {
            AwsError::new(
                "ValidationException",
                "A parameter type is required when you create a parameter.",
            )
        };
        let kind = input["Type"]
            .as_str()
            .map(str::to_owned)
            .or(before)
            .ok_or_else(missing)?;
        if value.is_empty() || value.len() > 4096 {
            let message =
                "Standard tier parameters support a maximum parameter value of 4096 characters.";
            return Err(AwsError::new("ValidationException", message));
        }
        self.put(
            name,
            Parameter {
                kind,
                value: value.to_owned(),
            },
        );
        Ok(json!({ "Version": self.parameters[name].len(), "Tier": "Standard" }))
    }

    fn by_path(&self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let path = text(input, "Path")?.trim_end_matches('/');
        let deep = input["Recursive"].as_bool().unwrap_or(false);
        let below = |name: &str| {
            let rest = name
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|rest| deep || !rest.contains('/'))
        };
        let names = self.parameters.keys().filter(|name| below(name));
        let selected = names.filter_map(|name| self.select(region, name));
        let shown: Result<Vec<_>, _> = selected
            .map(|selected| self.shown(region, selected, decrypt(input)))
            .collect();
        Ok(json!({ "Parameters": shown? }))
    }

    fn describe(&self) -> Value {
        let all = self.parameters.iter().filter_map(|(name, versions)| {
            Some(json!({ "Name": name, "Type": versions.last()?.kind, "Version": versions.len(), "Tier": "Standard" }))
        });
        json!({ "Parameters": all.collect::<Value>() })
    }

    /// A parameter by its name or ARN, with or without `:version`.
    fn select<'a>(&'a self, region: &str, asked: &'a str) -> Option<Selected<'a>> {
        let prefix = format!("arn:aws:ssm:{region}:123456789012:parameter");
        let bare = asked.strip_prefix(prefix.as_str()).unwrap_or(asked);
        let (name, version) = match bare.split_once(':') {
            Some((name, version)) => (name, Some(version.parse::<usize>().ok()?)),
            None => (bare, None),
        };
        let (name, versions) = self.parameters.get_key_value(name)?;
        let version = version.unwrap_or(versions.len());
        let parameter = versions.get(version.checked_sub(1)?)?;
        Some(Selected {
            name,
            version,
            parameter,
        })
    }

    fn shown(
        &self,
        region: &str,
        selected: Selected<'_>,
        decrypt: bool,
    ) -> Result<Value, AwsError> {
        let Selected {
            name,
            version,
            parameter,
        } = selected;
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
        Ok(json!({
            "ARN": format!("arn:aws:ssm:{region}:123456789012:parameter{name}"),
            "DataType": "text",
            "LastModifiedDate": clock::Clock::default().now(),
            "Name": name,
            "Type": parameter.kind,
            "Value": value,
            "Version": version,
        }))
    }
}

#[derive(Clone, Copy)]
struct Selected<'a> {
    name: &'a str,
    version: usize,
    parameter: &'a Parameter,
}

fn decrypt(input: &Value) -> bool {
    input["WithDecryption"].as_bool().unwrap_or(false)
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, AwsError> {
    let missing = || {
        AwsError::new(
            "ValidationException",
            format!("Value null at '{name}' failed to satisfy constraint"),
        )
    };
    input[name].as_str().ok_or_else(missing)
}

#[cfg(test)]
mod tests;
