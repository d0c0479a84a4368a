//! What the function's role is allowed to do: all that it needs, and nothing more.

use broker::config::Config;

use super::{
    Subject, not_checked,
    parameters::Encrypted,
    policy,
    report::{Finding, Report, Status},
    xml,
};
use crate::aws::{operator::CallError, session::Session};

/// An action on a resource, with what IAM would know about the request.
struct Need {
    action: &'static str,
    resource: String,
    context: Vec<(&'static str, String)>,
}

/// What a broker's role must not be able to do to every resource.
const EXCESSIVE: [&str; 10] = [
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "ssm:PutParameter",
    "kms:Decrypt",
    "kms:Sign",
    "secretsmanager:GetSecretValue",
    "lambda:InvokeFunction",
    "iam:PassRole",
    "s3:GetObject",
];

/// Checks the role.
pub async fn check(
    session: &Session,
    config: &Config,
    deployed: &Subject,
    encrypted: &[Encrypted],
    signing_key: Option<&str>,
    report: &mut Report,
) {
    report.add(
        needs_are_met(
            session,
            &needs(config, deployed, encrypted, signing_key),
            deployed,
        )
        .await,
    );
    report.add(nothing_in_excess(session, deployed).await);
    report.add(no_alias(session, deployed).await);
}

/// Whether IAM lets the role sign with this KMS key. `None` if the operator is not allowed to simulate.
pub async fn can_sign(session: &Session, deployed: &Subject, arn: &str) -> Option<bool> {
    let finding = needs_are_met(session, &[signature(arn)], deployed).await;
    match finding.status {
        Status::Pass => Some(true),
        Status::Fail => Some(false),
        _ => None,
    }
}

fn signature(arn: &str) -> Need {
    let context = vec![
        (
            "kms:SigningAlgorithm",
            "RSASSA_PKCS1_V1_5_SHA_256".to_owned(),
        ),
        ("kms:MessageType", "RAW".to_owned()),
    ];
    Need {
        action: "kms:Sign",
        resource: arn.to_owned(),
        context,
    }
}

fn needs(
    config: &Config,
    deployed: &Subject,
    encrypted: &[Encrypted],
    signing_key: Option<&str>,
) -> Vec<Need> {
    let mut needs = Vec::new();
    let arn_of_parameter = |name: &str| deployed.arn_of("ssm", &format!("parameter{name}"));
    for name in config.app.parameters() {
        let name = name.as_str().split(':').next().unwrap_or_default();
        needs.push(Need {
            action: "ssm:GetParameters",
            resource: arn_of_parameter(name),
            context: Vec::new(),
        });
    }
    for parameter in encrypted {
        if let Some(key) = &parameter.key_id {
            let resource = if key.starts_with("arn:") {
                key.clone()
            } else {
                deployed.arn_of("kms", &format!("key/{key}"))
            };
            let context = vec![
                (
                    "kms:ViaService",
                    format!("ssm.{}.{}", deployed.region, deployed.dns_suffix()),
                ),
                (
                    "kms:EncryptionContext:PARAMETER_ARN",
                    arn_of_parameter(&parameter.name),
                ),
            ];
            needs.push(Need {
                action: "kms:Decrypt",
                resource,
                context,
            });
        }
    }
    needs.extend(signing_key.map(signature));
    let stream = deployed.arn_of(
        "logs",
        &format!("log-group:{}:log-stream:check", deployed.log_group),
    );
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        needs.push(Need {
            action,
            resource: stream.clone(),
            context: Vec::new(),
        });
    }
    needs
}

async fn needs_are_met(session: &Session, needs: &[Need], deployed: &Subject) -> Finding {
    let mut denied = Vec::new();
    for need in needs {
        let mut parameters = base(deployed);
        parameters.push(("ActionNames.member.1".to_owned(), need.action.to_owned()));
        parameters.push(("ResourceArns.member.1".to_owned(), need.resource.clone()));
        for (number, (key, value)) in (1..).zip(&need.context) {
            let entry = |name: &str, value: &str| {
                (
                    format!("ContextEntries.member.{number}.{name}"),
                    value.to_owned(),
                )
            };
            parameters.extend([
                entry("ContextKeyName", key),
                entry("ContextKeyType", "string"),
                entry("ContextKeyValues.member.1", value),
            ]);
        }
        match simulate(session, &parameters).await {
            Ok(decisions) if decisions.iter().all(|(_, decision)| decision == "allowed") => {}
            Ok(_) => denied.push(format!("{} on {}", need.action, need.resource)),
            Err(error) => return not_checked("role.permissions", &error),
        }
    }
    if denied.is_empty() {
        return Finding::pass(
            "role.permissions",
            format!(
                "{} is allowed to do all that this configuration needs",
                deployed.role_arn
            ),
        );
    }
    Finding::fail(
        "role.permissions",
        format!(
            "{} is not allowed to call {}",
            deployed.role_arn,
            denied.join("; ")
        ),
        "Apply the Terraform module again, or allow this in the role's policy. If the policy allows it, look for a permissions \
         boundary or a service control policy",
    )
}

async fn nothing_in_excess(session: &Session, deployed: &Subject) -> Finding {
    let mut parameters = base(deployed);
    for (number, action) in (1..).zip(EXCESSIVE) {
        parameters.push((format!("ActionNames.member.{number}"), action.to_owned()));
    }
    // Without a resource, IAM simulates `*`: only a policy for every resource allows that.
    let decisions = match simulate(session, &parameters).await {
        Ok(decisions) => decisions,
        Err(error) => return not_checked("role.excess", &error),
    };
    let allowed: Vec<_> = decisions
        .into_iter()
        .filter(|(_, decision)| decision == "allowed")
        .map(|(action, _)| action)
        .collect();
    if allowed.is_empty() {
        return Finding::pass(
            "role.excess",
            "no sensitive action is allowed on every resource",
        );
    }
    Finding::fail(
        "role.excess",
        format!(
            "the role is allowed to call {} on every resource",
            allowed.join(", ")
        ),
        "Remove the policies that the Terraform module did not create: a compromised function has these permissions too",
    )
}

/// IAM compares `kms:Sign` and `kms:Decrypt` with the ARN of the key. A statement with the ARN of an alias allows nothing.
async fn no_alias(session: &Session, deployed: &Subject) -> Finding {
    let role = deployed
        .role_arn
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let named = |name: &str| vec![("RoleName".to_owned(), name.to_owned())];
    let list = match session.iam("ListRolePolicies", &named(&role)).await {
        Ok(xml) => xml::texts(&xml, "member"),
        Err(error) => return not_checked("role.alias", &error),
    };
    for name in list {
        let mut parameters = named(&role);
        parameters.push(("PolicyName".to_owned(), name.clone()));
        let document = match session.iam("GetRolePolicy", &parameters).await {
            Ok(xml) => xml::texts(&xml, "PolicyDocument").pop().unwrap_or_default(),
            Err(error) => return not_checked("role.alias", &error),
        };
        let document = xml::percent_decoded(&document);
        let statements = policy::parse(&document).unwrap_or_default();
        let aliases = statements.iter().filter(|statement| {
            statement.covers_action("kms:Sign") || statement.covers_action("kms:Decrypt")
        });
        let aliases: Vec<_> = aliases
            .flat_map(|statement| &statement.resources)
            .filter(|arn| arn.contains(":alias/"))
            .collect();
        if let Some(alias) = aliases.first() {
            return Finding::fail(
                "role.alias",
                format!("the policy {name} allows a KMS action on {alias}, which allows nothing"),
                "Name the key's own ARN instead (aws kms describe-key shows it)",
            );
        }
    }
    Finding::pass("role.alias", "no policy of the role names a KMS alias")
}

fn base(deployed: &Subject) -> Vec<(String, String)> {
    vec![("PolicySourceArn".to_owned(), deployed.role_arn.clone())]
}

/// Action and decision.
async fn simulate(
    session: &Session,
    parameters: &[(String, String)],
) -> Result<Vec<(String, String)>, CallError> {
    let xml = session.iam("SimulatePrincipalPolicy", parameters).await?;
    let decisions: Vec<_> = xml::texts(&xml, "EvalActionName")
        .into_iter()
        .zip(xml::texts(&xml, "EvalDecision"))
        .collect();
    if decisions.is_empty() {
        return Err(CallError::Malformed {
            action: "iam:SimulatePrincipalPolicy".to_owned(),
        });
    }
    Ok(decisions)
}
