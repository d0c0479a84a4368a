//! IAM and STS as plain data: roles, their policies, and what they allow.
//!
//! Input: an operation and its form. Output: the XML of its result, or the error that AWS returns.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use super::ACCOUNT;
use super::error::AwsError;
use super::query::{Form, element, text};
use crate::clock::{self, Clock};
use crate::github::token::alphanumeric;

/// All roles of the account.
#[derive(Debug, Clone, Default)]
pub struct Iam {
    roles: BTreeMap<String, Role>,
}

/// A role and its inline policies.
#[derive(Debug, Clone, Default)]
struct Role {
    policies: BTreeMap<String, Value>,
}

/// What IAM knows about a request: context keys and their values.
type Context = BTreeMap<String, Vec<String>>;

impl Iam {
    /// Creates a role, or adds an inline policy to it.
    pub fn put_role_policy(&mut self, role: &str, name: &str, policy: Value) {
        let role = self.roles.entry(role.to_owned()).or_default();
        role.policies.insert(name.to_owned(), policy);
    }

    /// Deletes an inline policy.
    pub fn delete_role_policy(&mut self, role: &str, name: &str) {
        if let Some(role) = self.roles.get_mut(role) {
            role.policies.remove(name);
        }
    }

    /// Performs an operation of IAM.
    pub(crate) fn operate(&self, operation: &str, form: &Form) -> Result<String, AwsError> {
        match operation {
            "SimulatePrincipalPolicy" => self.simulate(form),
            "GetRole" => {
                let (name, _) = self.role(form.required("RoleName")?)?;
                let role = text("Path", "/")
                    + &text("RoleName", name)
                    + &text("RoleId", "AROASANDBOXSANDBOXROL")
                    + &text("Arn", &role_arn(name))
                    + &text("CreateDate", "2026-01-26T19:01:12Z")
                    + &text(
                        "AssumeRolePolicyDocument",
                        &percent_encoded(&trust_policy()),
                    );
                Ok(element("Role", &role))
            }
            "ListRolePolicies" => {
                let (_, role) = self.role(form.required("RoleName")?)?;
                let names = role.policies.keys().map(|name| text("member", name));
                let names = element("PolicyNames", &names.collect::<String>());
                Ok(names + &text("IsTruncated", "false"))
            }
            "GetRolePolicy" => {
                let (name, role) = self.role(form.required("RoleName")?)?;
                let policy_name = form.required("PolicyName")?;
                let policy = role.policies.get(policy_name).ok_or_else(|| {
                    no_such_entity(&format!(
                        "The role policy with name {policy_name} cannot be found."
                    ))
                })?;
                Ok(text("RoleName", name)
                    + &text("PolicyName", policy_name)
                    + &text("PolicyDocument", &percent_encoded(&policy.to_string())))
            }
            "ListAttachedRolePolicies" => {
                self.role(form.required("RoleName")?)?;
                Ok(element("AttachedPolicies", "") + &text("IsTruncated", "false"))
            }
            other => Err(invalid_action(other)),
        }
    }

    /// Performs an operation of STS.
    pub(crate) fn operate_sts(
        &self,
        operation: &str,
        access_key: &str,
        form: &Form,
    ) -> Result<String, AwsError> {
        match operation {
            "GetCallerIdentity" => Ok(text("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/sandbox"))
                + &text("UserId", access_key)
                + &text("Account", ACCOUNT)),
            "AssumeRole" => self.assume_role(form),
            "AssumeRoleWithWebIdentity" => {
                let token = form.required("WebIdentityToken")?;
                if token.split('.').count() != 3 {
                    let message = "The ID Token provided is not a valid JWT.";
                    return Err(AwsError::new("InvalidIdentityToken", message));
                }
                self.assume_role(form)
            }
            other => Err(invalid_action(other)),
        }
    }

    fn assume_role(&self, form: &Form) -> Result<String, AwsError> {
        let arn = form.required("RoleArn")?;
        let session = form.required("RoleSessionName")?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        if arn != role_arn(name) || !self.roles.contains_key(name) {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/sandbox is not authorized to perform: sts:AssumeRole on resource: {arn}"
            );
            let mut error = AwsError::new("AccessDenied", message);
            error.status = StatusCode::FORBIDDEN;
            return Err(error);
        }
        let expiration = clock::rfc3339(Clock::default().now() + 3600);
        let credentials = text(
            "AccessKeyId",
            &format!("ASIA{}", alphanumeric(16).to_uppercase()),
        ) + &text("SecretAccessKey", &alphanumeric(40))
            + &text("SessionToken", &alphanumeric(300))
            + &text("Expiration", &expiration);
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}");
        let user =
            text("AssumedRoleId", &format!("AROASANDBOXSANDBOXROL:{session}")) + &text("Arn", &arn);
        Ok(element("Credentials", &credentials) + &element("AssumedRoleUser", &user))
    }

    fn simulate(&self, form: &Form) -> Result<String, AwsError> {
        let principal = form.required("PolicySourceArn")?;
        let name = principal.rsplit('/').next().unwrap_or_default();
        let (_, role) = self.role(name)?;
        let mut context = Context::new();
        for number in 1.. {
            let entry = format!("ContextEntries.member.{number}");
            let Some(key) = form.get(&format!("{entry}.ContextKeyName")) else {
                break;
            };
            let values = form.list(&format!("{entry}.ContextKeyValues"));
            let values = values.into_iter().map(str::to_owned).collect();
            context.insert(key.to_ascii_lowercase(), values);
        }
        let mut resources = form.list("ResourceArns");
        if resources.is_empty() {
            resources.push("*");
        }
        let mut results = String::new();
        for action in form.list("ActionNames") {
            for resource in &resources {
                let decision = decide(role.policies.values(), action, resource, &context);
                let result = text("EvalActionName", action)
                    + &text("EvalResourceName", resource)
                    + &text("EvalDecision", decision);
                results += &element("member", &result);
            }
        }
        Ok(element("EvaluationResults", &results) + &text("IsTruncated", "false"))
    }

    fn role<'a>(&self, name: &'a str) -> Result<(&'a str, &Role), AwsError> {
        let role = self.roles.get(name).ok_or_else(|| {
            no_such_entity(&format!("The role with name {name} cannot be found."))
        })?;
        Ok((name, role))
    }
}

/// The decision of identity policies, in IAM's words. An explicit deny wins.
fn decide<'a>(
    policies: impl Iterator<Item = &'a Value>,
    action: &str,
    resource: &str,
    context: &Context,
) -> &'static str {
    let mut decision = "implicitDeny";
    for statement in policies.flat_map(|policy| list(&policy["Statement"])) {
        let applies = matches_any(&statement["Action"], action, true)
            && matches_any(&statement["Resource"], resource, false)
            && conditions_hold(&statement["Condition"], context);
        match statement["Effect"].as_str() {
            Some("Deny") if applies => return "explicitDeny",
            Some("Allow") if applies => decision = "allowed",
            _ => {}
        }
    }
    decision
}

/// Only `StringEquals` and `StringLike` with one value each: all that the broker's policies have.
fn conditions_hold(conditions: &Value, context: &Context) -> bool {
    let operators = conditions.as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, keys)| {
        assert!(
            ["StringEquals", "StringLike"].contains(&operator.as_str()),
            "the sandbox cannot evaluate the condition {operator}"
        );
        keys.as_object()
            .into_iter()
            .flatten()
            .all(|(key, expected)| {
                let found = context.get(&key.to_ascii_lowercase());
                found.is_some_and(|found| {
                    let mut found = found.iter();
                    found.any(|value| matches_any(expected, value, false))
                })
            })
    })
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    }
}

fn matches_any(patterns: &Value, text: &str, ignore_case: bool) -> bool {
    list(patterns).into_iter().any(|pattern| {
        let pattern = pattern.as_str().unwrap_or_default();
        if ignore_case {
            matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
        } else {
            matches(pattern, text)
        }
    })
}

/// Whether a pattern with `*` matches the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((prefix, rest)) => text.strip_prefix(prefix).is_some_and(|text| {
            let mut ends = (0..=text.len()).filter(|end| text.is_char_boundary(*end));
            ends.any(|end| matches(rest, &text[end..]))
        }),
    }
}

/// The ARN of a role.
pub(crate) fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn trust_policy() -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    })
    .to_string()
}

/// IAM percent-encodes policy documents (RFC 3986).
fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn no_such_entity(message: &str) -> AwsError {
    let mut error = AwsError::new("NoSuchEntity", message);
    error.status = StatusCode::NOT_FOUND;
    error
}

fn invalid_action(operation: &str) -> AwsError {
    let message = format!("Could not find operation {operation}");
    AwsError::new("InvalidAction", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decision(
        statements: &Value,
        action: &str,
        resource: &str,
        context: &[(&str, &str)],
    ) -> &'static str {
        let policy = json!({ "Statement": statements });
        let context = context
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), vec![(*value).to_owned()]))
            .collect();
        decide([&policy].into_iter(), action, resource, &context)
    }

    #[test]
    fn statement_allows_only_its_actions_and_resources() {
        let key = "arn:aws:kms:us-east-1:123456789012:key/1";
        let allow = json!({ "Effect": "Allow", "Action": "kms:Sign", "Resource": key });
        let allowed = |action, resource| decision(&allow, action, resource, &[]);
        assert_eq!(allowed("kms:Sign", key), "allowed");
        assert_eq!(allowed("KMS:sign", key), "allowed", "actions ignore case");
        assert_eq!(allowed("kms:Decrypt", key), "implicitDeny");
        assert_eq!(allowed("kms:Sign", "*"), "implicitDeny");
        let all =
            json!({ "Effect": "Allow", "Action": ["kms:*"], "Resource": "arn:aws:kms:*:key/*" });
        assert_eq!(decision(&all, "kms:Sign", key, &[]), "allowed");
        assert_eq!(
            decision(&all, "ssm:GetParameters", key, &[]),
            "implicitDeny"
        );
    }

    #[test]
    fn deny_wins() {
        let statements = json!([
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "kms:Sign", "Resource": "*" },
        ]);
        assert_eq!(decision(&statements, "kms:Sign", "a", &[]), "explicitDeny");
        assert_eq!(decision(&statements, "kms:Verify", "a", &[]), "allowed");
    }

    #[test]
    fn condition_must_hold() {
        let statement = json!({
            "Effect": "Allow",
            "Action": "kms:Sign",
            "Resource": "*",
            "Condition": { "StringEquals": { "kms:MessageType": "RAW" } },
        });
        let with = |context: &[_]| decision(&statement, "kms:Sign", "a", context);
        assert_eq!(with(&[("kms:messagetype", "RAW")]), "allowed");
        assert_eq!(with(&[("kms:MessageType", "DIGEST")]), "implicitDeny");
        assert_eq!(with(&[]), "implicitDeny");
    }
}
