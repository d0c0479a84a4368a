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

/// IAM returns as many identities as it likes on a page, but says if there are more.
const PAGE: usize = 2;

/// All roles and users of the account, and its managed policies.
#[derive(Debug, Clone, Default)]
pub struct Iam {
    roles: BTreeMap<String, Identity>,
    users: BTreeMap<String, Identity>,
    managed: BTreeMap<String, Value>,
}

/// A role or a user: its inline policies, and the ARNs of the managed policies that are attached.
#[derive(Debug, Clone, Default)]
struct Identity {
    policies: BTreeMap<String, Value>,
    attached: Vec<String>,
    /// Who is allowed to assume the role, if not Lambda.
    trust: Option<Value>,
}

/// What IAM knows about a request: context keys and their values.
type Context = BTreeMap<String, Vec<String>>;

impl Iam {
    /// Creates a role, or adds an inline policy to it.
    pub fn put_role_policy(&mut self, role: &str, name: &str, policy: Value) {
        let role = self.roles.entry(role.to_owned()).or_default();
        role.policies.insert(name.to_owned(), policy);
    }

    /// Creates a role, and attaches a managed policy to it, which is created too.
    pub fn attach_role_policy(&mut self, role: &str, arn: &str, policy: Value) {
        self.managed.insert(arn.to_owned(), policy);
        let role = self.roles.entry(role.to_owned()).or_default();
        role.attached.push(arn.to_owned());
    }

    /// Changes who is allowed to assume a role. By default, Lambda is.
    pub fn set_trust_policy(&mut self, role: &str, policy: Value) {
        let role = self.roles.entry(role.to_owned()).or_default();
        role.trust = Some(policy);
    }

    /// Creates a user, or adds an inline policy to it.
    pub fn put_user_policy(&mut self, user: &str, name: &str, policy: Value) {
        let user = self.users.entry(user.to_owned()).or_default();
        user.policies.insert(name.to_owned(), policy);
    }

    /// Changes an inline policy of a role.
    ///
    /// # Panics
    /// If there is no such policy.
    pub fn role_policy_mut(&mut self, role: &str, name: &str) -> &mut Value {
        let role = self.roles.get_mut(role);
        let policy = role.and_then(|role| role.policies.get_mut(name));
        policy.unwrap_or_else(|| panic!("the sandbox has no policy {name} of that role"))
    }

    /// Deletes an inline policy.
    pub fn delete_role_policy(&mut self, role: &str, name: &str) {
        if let Some(role) = self.roles.get_mut(role) {
            role.policies.remove(name);
        }
    }

    /// Performs an operation of IAM.
    pub(crate) fn operate(&mut self, operation: &str, form: &Form) -> Result<String, AwsError> {
        match operation {
            "SimulatePrincipalPolicy" => self.simulate(form),
            "GetAccountAuthorizationDetails" => self.authorization_details(form),
            "PutRolePolicy" => {
                let (role, name) = (form.required("RoleName")?, form.required("PolicyName")?);
                let policy = serde_json::from_str(form.required("PolicyDocument")?);
                let policy = policy.map_err(|_| {
                    AwsError::new("MalformedPolicyDocument", "Syntax errors in policy.")
                })?;
                self.role(role)?;
                self.put_role_policy(role, name, policy);
                Ok(String::new())
            }
            "GetRole" => {
                let (name, found) = self.role(form.required("RoleName")?)?;
                let role = text("Path", "/")
                    + &text("RoleName", name)
                    + &text("RoleId", "AROASANDBOXSANDBOXROL")
                    + &text("Arn", &role_arn(name))
                    + &text("CreateDate", "2026-01-26T19:01:12Z")
                    + &text(
                        "AssumeRolePolicyDocument",
                        &percent_encoded(&found.trust_policy()),
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
                let (_, role) = self.role(form.required("RoleName")?)?;
                Ok(role.attached_policies("AttachedPolicies") + &text("IsTruncated", "false"))
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

    /// Users, then roles, and with the last page the managed policies.
    fn authorization_details(&self, form: &Form) -> Result<String, AwsError> {
        let start = match form.get("Marker") {
            Some(marker) => marker
                .parse()
                .map_err(|_| AwsError::new("ValidationError", "Invalid Marker."))?,
            None => 0,
        };
        let (mut users, mut roles) = (String::new(), String::new());
        let all = self.users.iter().map(|(name, user)| (true, name, user));
        let all = all.chain(self.roles.iter().map(|(name, role)| (false, name, role)));
        for (is_user, name, identity) in all.skip(start).take(PAGE) {
            let own = text("Path", "/") + &text("CreateDate", "2026-01-26T19:01:12Z");
            let attached = identity.attached_policies("AttachedManagedPolicies");
            if is_user {
                let own = own
                    + &text("UserName", name)
                    + &text("UserId", "AIDASANDBOXSANDBOXUSR")
                    + &text("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/{name}"))
                    + &identity.inline_policies("UserPolicyList")
                    + &element("GroupList", "");
                users += &element("member", &(own + &attached));
            } else {
                let own = own
                    + &text("RoleName", name)
                    + &text("RoleId", "AROASANDBOXSANDBOXROL")
                    + &text("Arn", &role_arn(name))
                    + &text(
                        "AssumeRolePolicyDocument",
                        &percent_encoded(&identity.trust_policy()),
                    )
                    + &element("InstanceProfileList", "")
                    + &identity.inline_policies("RolePolicyList");
                roles += &element("member", &(own + &attached));
            }
        }
        let next = start + PAGE;
        let is_truncated = next < self.users.len() + self.roles.len();
        let managed = self.managed.iter().filter(|_| !is_truncated);
        let managed = managed.map(|(arn, policy)| managed_policy(arn, policy));
        let mut result = text("IsTruncated", if is_truncated { "true" } else { "false" })
            + &element("UserDetailList", &users)
            + &element("GroupDetailList", "")
            + &element("RoleDetailList", &roles)
            + &element("Policies", &managed.collect::<String>());
        if is_truncated {
            result += &text("Marker", &next.to_string());
        }
        Ok(result)
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
                let attached = role.attached.iter().filter_map(|arn| self.managed.get(arn));
                let policies = role.policies.values().chain(attached);
                let decision = decide(policies, action, resource, &context);
                let result = text("EvalActionName", action)
                    + &text("EvalResourceName", resource)
                    + &text("EvalDecision", decision);
                results += &element("member", &result);
            }
        }
        Ok(element("EvaluationResults", &results) + &text("IsTruncated", "false"))
    }

    fn role<'a>(&self, name: &'a str) -> Result<(&'a str, &Identity), AwsError> {
        let role = self.roles.get(name).ok_or_else(|| {
            no_such_entity(&format!("The role with name {name} cannot be found."))
        })?;
        Ok((name, role))
    }
}

impl Identity {
    fn trust_policy(&self) -> String {
        let lambda = || {
            serde_json::json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "lambda.amazonaws.com" },
                    "Action": "sts:AssumeRole",
                }],
            })
        };
        self.trust.clone().unwrap_or_else(lambda).to_string()
    }

    fn inline_policies(&self, list: &str) -> String {
        let policies = self.policies.iter().map(|(name, policy)| {
            let document = text("PolicyDocument", &percent_encoded(&policy.to_string()));
            element("member", &(text("PolicyName", name) + &document))
        });
        element(list, &policies.collect::<String>())
    }

    fn attached_policies(&self, list: &str) -> String {
        let policies = self.attached.iter().map(|arn| {
            let name = text("PolicyName", arn.rsplit('/').next().unwrap_or_default());
            element("member", &(name + &text("PolicyArn", arn)))
        });
        element(list, &policies.collect::<String>())
    }
}

/// A managed policy with its only version.
fn managed_policy(arn: &str, policy: &Value) -> String {
    let date = text("CreateDate", "2026-01-26T19:01:12Z");
    let version = text("Document", &percent_encoded(&policy.to_string()))
        + &text("VersionId", "v1")
        + &text("IsDefaultVersion", "true")
        + &date;
    let versions = element("PolicyVersionList", &element("member", &version));
    let own = text("PolicyName", arn.rsplit('/').next().unwrap_or_default())
        + &text("PolicyId", "ANPASANDBOXSANDBOXPOL")
        + &text("Arn", arn)
        + &text("Path", "/")
        + &text("DefaultVersionId", "v1")
        + &text("AttachmentCount", "1")
        + &text("IsAttachable", "true")
        + &date;
    element("member", &(own + &versions))
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

    #[test]
    fn every_identity_is_on_one_page() {
        let mut iam = Iam::default();
        for name in ["a", "b", "c"] {
            iam.put_role_policy(name, "p", json!({}));
        }
        iam.put_user_policy("octo", "p", json!({}));
        let everything =
            json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
        iam.attach_role_policy(
            "a",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            everything,
        );
        let mut pages = Vec::new();
        let mut marker = String::new();
        loop {
            let body = format!("Marker={marker}");
            let form = Form::parse(if marker.is_empty() {
                b""
            } else {
                body.as_bytes()
            });
            let page = iam
                .operate("GetAccountAuthorizationDetails", &form)
                .expect("the marker is right");
            let next = page.split_once("<Marker>").and_then(|(_, rest)| {
                let (marker, _) = rest.split_once('<')?;
                Some(marker.to_owned())
            });
            pages.push(page);
            match next {
                Some(next) => marker = next,
                None => break,
            }
        }
        let all = pages.concat();
        assert_eq!(pages.len(), 2);
        for name in ["role/a", "role/b", "role/c", "user/octo"] {
            assert_eq!(all.matches(&format!("{name}</Arn>")).count(), 1, "{name}");
        }
        // The managed policies come once, with the last page.
        assert!(!pages[0].contains("<PolicyVersionList>"));
        assert_eq!(all.matches("<PolicyVersionList>").count(), 1);
    }

    #[test]
    fn role_policy_is_replaced_and_a_malformed_one_is_refused() {
        let mut iam = Iam::default();
        iam.put_role_policy("r", "p", json!({}));
        let put = |iam: &mut Iam, role: &str, document: &str| {
            let body = format!("RoleName={role}&PolicyName=p&PolicyDocument={document}");
            let result = iam.operate("PutRolePolicy", &Form::parse(body.as_bytes()));
            result.map_err(|error| error.code)
        };
        assert_eq!(put(&mut iam, "r", "%7B%22a%22%3A1%7D"), Ok(String::new()));
        assert_eq!(*iam.role_policy_mut("r", "p"), json!({ "a": 1 }));
        assert_eq!(put(&mut iam, "r", "x"), Err("MalformedPolicyDocument"));
        assert_eq!(put(&mut iam, "other", "%7B%7D"), Err("NoSuchEntity"));
    }
}
