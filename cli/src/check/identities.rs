//! The users, groups and roles of the account whose own policies allow an action, and the roles of GitHub Actions among them.
//!
//! Input: `iam:GetAccountAuthorizationDetails`, read once. Conditions of the policies are not evaluated.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use super::{
    Subject, not_checked,
    policy::{self, Statement},
    report::{Finding, Id},
    xml,
};
use crate::aws::{operator::CallError, session::Session};

/// The issuer of GitHub Actions' OIDC tokens.
const GITHUB_ACTIONS: &str = "token.actions.githubusercontent.com";

/// A user, a group or a role.
pub struct Identity {
    arn: String,
    statements: Vec<Statement>,
    /// Who is allowed to assume a role.
    trust: Vec<Statement>,
}

/// The account's identities, or why they are unknown.
pub type Identities = Result<Vec<Identity>, CallError>;

/// Who is allowed to perform an action.
#[derive(Default)]
struct Allowed<'a> {
    /// By a policy for this resource.
    exact: Vec<&'a str>,
    /// By a policy for every resource of its kind.
    broad: Vec<&'a str>,
    /// By a policy for every action: how many.
    administrators: usize,
}

/// Reads all identities, page by page.
///
/// # Errors
/// AWS refuses, or the response is not AWS's.
pub async fn read(session: &Session) -> Identities {
    const OPERATION: &str = "GetAccountAuthorizationDetails";
    let (mut pages, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut parameters = vec![("MaxItems".to_owned(), "1000".to_owned())];
        parameters.extend(marker.take().map(|marker| ("Marker".to_owned(), marker)));
        let xml = session.iam(OPERATION, &parameters).await?;
        marker = xml::texts(&xml, "Marker").pop();
        pages.push(xml);
        if marker.is_none() {
            break;
        }
    }
    parse(&pages).ok_or_else(|| CallError::Malformed {
        action: format!("iam:{OPERATION}"),
    })
}

/// `None` if a response is not XML.
fn parse(pages: &[String]) -> Option<Vec<Identity>> {
    let documents: Option<Vec<_>> = pages.iter().map(|xml| Document::parse(xml).ok()).collect();
    let documents = documents?;
    let members = |list: &'static str| {
        let lists = documents.iter().flat_map(|document| document.descendants());
        let lists = lists.filter(move |node| node.tag_name().name() == list);
        lists.flat_map(|node| node.children().filter(Node::is_element))
    };
    let managed: BTreeMap<String, String> = members("Policies")
        .filter_map(|policy| {
            let versions = xml::child(&policy, "PolicyVersionList")?;
            let default = versions.children().find(|version| {
                xml::text(version, "IsDefaultVersion").as_deref() == Some("true")
            })?;
            Some((xml::text(&policy, "Arn")?, xml::text(&default, "Document")?))
        })
        .collect();
    let statements = |document: &str| {
        let document = xml::percent_decoded(document);
        policy::parse(&document).unwrap_or_default()
    };
    let lists = ["UserDetailList", "GroupDetailList", "RoleDetailList"];
    let identities = lists.into_iter().flat_map(members).map(|identity| {
        let texts = |name: &'static str| {
            let nodes = identity.descendants();
            let nodes = nodes.filter(move |node| node.tag_name().name() == name);
            nodes.filter_map(|node| node.text())
        };
        let attached = texts("PolicyArn").filter_map(|arn| managed.get(arn));
        let documents = texts("PolicyDocument").chain(attached.map(String::as_str));
        Identity {
            arn: xml::text(&identity, "Arn").unwrap_or_default(),
            statements: documents.flat_map(statements).collect(),
            trust: texts("AssumeRolePolicyDocument")
                .flat_map(statements)
                .collect(),
        }
    });
    Some(identities.collect())
}

/// Who is allowed to perform this action on this resource. `every` is the resource's kind, in the plural.
pub fn check(
    id: Id,
    identities: &Identities,
    action: &str,
    resource: &str,
    every: &str,
    remedy: &str,
) -> Finding {
    let identities = match identities {
        Ok(identities) => identities,
        Err(error) => return not_checked(id, error),
    };
    let mut found = Allowed::default();
    for identity in identities {
        let mut allowing = identity.allowing(action, resource).peekable();
        if allowing.peek().is_none() {
            continue;
        }
        let allowing: Vec<_> = allowing.collect();
        let any = |covers: &dyn Fn(&Statement) -> bool| allowing.iter().any(|found| covers(found));
        if any(&|statement| statement.covers_action("iam:CreateRole")) {
            found.administrators += 1;
        } else if any(&|statement| statement.covers_resource(&format!("{resource}-other"))) {
            found.broad.push(&identity.arn);
        } else {
            found.exact.push(&identity.arn);
        }
    }
    let administrators = found.administrators;
    if !found.broad.is_empty() {
        let names = found.broad.join(", ");
        let detail = format!("the policies of {names} allow {action} on every {every}");
        return Finding::warn(id, detail, remedy);
    }
    let names = if found.exact.is_empty() {
        "no identity policy allows it".to_owned()
    } else {
        format!("allowed by their own policies: {}", found.exact.join(", "))
    };
    Finding::pass(id, format!("{names}; administrators: {administrators}"))
}

/// Which workflows of GitHub Actions can get a role that is allowed to invoke the function. `named` are the principals of the
/// function's resource policy.
pub fn github_actions(identities: &Identities, deployed: &Subject, named: &[String]) -> Finding {
    const ID: Id = "identity.github_actions";
    let identities = match identities {
        Ok(identities) => identities,
        Err(error) => return not_checked(ID, error),
    };
    let (mut right, mut old) = (Vec::new(), Vec::new());
    for identity in identities {
        let mut allowing = identity.allowing("lambda:InvokeFunction", &deployed.arn);
        if allowing.next().is_none() && !named.contains(&identity.arn) {
            continue;
        }
        for statement in identity.trust.iter().filter(|trust| trusts_github(trust)) {
            let role = identity.arn.as_str();
            match subjects(statement) {
                Subjects::Any => {
                    return Finding::fail(
                        ID,
                        format!("{role} trusts the workflows of any repository on GitHub"),
                        format!(
                            "Require one subject in the role's trust policy: {GITHUB_ACTIONS}:sub"
                        ),
                    );
                }
                Subjects::OldForm(subject) => old.push(format!("{role} trusts {subject}")),
                Subjects::Limited => right.push(role),
            }
        }
    }
    if !old.is_empty() {
        return Finding::warn(
            ID,
            format!("the subject has no IDs: {}", old.join("; ")),
            "Use repo:ORG@ORG_ID/REPO@REPO_ID:... if GitHub issues it: repositories that were created, renamed or transferred \
             since July 15, 2026 have only this form, and the old one also matches a repository that gets a deleted name",
        );
    }
    if right.is_empty() {
        return Finding::pass(
            ID,
            "no role of GitHub Actions is allowed to invoke the function",
        );
    }
    let roles = right.join(", ");
    Finding::pass(ID, format!("limited to their subjects: {roles}"))
}

impl Identity {
    fn allowing(&self, action: &str, resource: &str) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(move |statement| {
            statement.is_allow
                && statement.covers_action(action)
                && statement.covers_resource(resource)
        })
    }
}

fn trusts_github(statement: &Statement) -> bool {
    let provider = format!("oidc-provider/{GITHUB_ACTIONS}");
    let mut principals = statement.principals.iter();
    statement.is_allow && principals.any(|principal| principal.ends_with(&provider))
}

/// Whose workflows a trust policy accepts.
enum Subjects {
    /// Those of any repository.
    Any,
    /// Those of a name, without IDs.
    OldForm(String),
    /// Those of a repository with its IDs, or of something else that the policy names.
    Limited,
}

/// Claims that a workflow of a stranger cannot have. Any repository can have a branch or an environment of any name.
const OF_ONE_OWNER: [&str; 6] = [
    "sub",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "job_workflow_ref",
];

fn subjects(statement: &Statement) -> Subjects {
    let mut of_subjects = None;
    for condition in &statement.conditions {
        let claim = condition.key.split_once(':');
        let claim = claim.filter(|(issuer, _)| issuer.eq_ignore_ascii_case(GITHUB_ACTIONS));
        let claim = claim.map(|(_, claim)| claim.to_ascii_lowercase());
        let limits = claim
            .as_deref()
            .is_some_and(|claim| OF_ONE_OWNER.contains(&claim))
            && accepts_only_its_values(&condition.operator)
            && condition.values.iter().all(|value| names_an_owner(value));
        if !limits {
            continue;
        }
        if claim.as_deref() != Some("sub") {
            return Subjects::Limited;
        }
        let mut values = condition.values.iter();
        of_subjects = Some(values.find(|value| is_old_form(value)).cloned());
    }
    match of_subjects {
        None => Subjects::Any,
        Some(None) => Subjects::Limited,
        Some(Some(subject)) => Subjects::OldForm(subject),
    }
}

/// `ForAllValues` also holds if there is no value, and the negative operators accept all other values.
fn accepts_only_its_values(operator: &str) -> bool {
    let operator = operator.strip_prefix("ForAnyValue:").unwrap_or(operator);
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    let mut positive = ["StringEquals", "StringEqualsIgnoreCase", "StringLike"].iter();
    positive.any(|name| name.eq_ignore_ascii_case(operator))
}

/// Whether the part before the repository, or the whole value, has no wildcard.
fn names_an_owner(value: &str) -> bool {
    let name = value.strip_prefix("repo:").unwrap_or(value);
    let owner = name.split(['/', ':']).next().unwrap_or_default();
    !owner.is_empty() && !owner.contains(['*', '?'])
}

fn is_old_form(subject: &str) -> bool {
    let name = subject.strip_prefix("repo:");
    let repository = name.and_then(|name| name.split(':').next());
    repository.is_some_and(|repository| !repository.contains('@'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(condition: &Value) -> String {
        let trust = json!({ "Statement": { "Effect": "Allow", "Condition": condition } });
        let statements = policy::parse(&trust.to_string()).unwrap();
        match subjects(&statements[0]) {
            Subjects::Any => "any".to_owned(),
            Subjects::OldForm(subject) => subject,
            Subjects::Limited => "limited".to_owned(),
        }
    }

    fn claim(operator: &str, claim: &str, value: &Value) -> Value {
        json!({ operator: { format!("{GITHUB_ACTIONS}:{claim}"): value } })
    }

    #[test]
    fn only_claims_of_one_owner_limit_a_trust_policy() {
        let new = "repo:octo-org@1/octo-repo@2:ref:refs/heads/main";
        let old = "repo:octo-org/octo-repo:*";
        for (operator, name, value, expected) in [
            ("StringEquals", "sub", json!(new), "limited"),
            ("stringequals", "sub", json!(new), "limited"),
            ("StringLike", "sub", json!(old), old),
            ("StringLike", "sub", json!([new, old]), old),
            ("ForAnyValue:StringLike", "sub", json!(new), "limited"),
            ("StringEquals", "SUB", json!(new), "limited"),
            ("StringEquals", "repository_id", json!("2"), "limited"),
            ("StringEquals", "repository_owner_id", json!("1"), "limited"),
            // A workflow of any repository can have these.
            ("StringEquals", "ref", json!("refs/heads/main"), "any"),
            ("StringEquals", "environment", json!("production"), "any"),
            ("StringEquals", "aud", json!("sts.amazonaws.com"), "any"),
            // These accept all others.
            ("StringNotLike", "sub", json!(new), "any"),
            ("StringNotEquals", "repository_id", json!("2"), "any"),
            ("ForAllValues:StringLike", "sub", json!(new), "any"),
            ("Null", "sub", json!("false"), "any"),
            ("StringLike", "sub", json!("*"), "any"),
            ("StringLike", "sub", json!("repo:*"), "any"),
            ("StringLike", "sub", json!("repo:octo*/octo-repo:*"), "any"),
            ("StringLike", "sub", json!([new, "repo:*:ref:*"]), "any"),
            ("StringLike", "repository", json!("*/octo-repo"), "any"),
        ] {
            let condition = claim(operator, name, &value);
            assert_eq!(judged(&condition), expected, "{condition}");
        }
    }

    #[test]
    fn one_limit_is_enough() {
        let mut both = claim("StringLike", "sub", &json!("repo:*"));
        both["StringEquals"] =
            claim("StringEquals", "repository_id", &json!("2"))["StringEquals"].clone();
        assert_eq!(judged(&both), "limited");
        assert_eq!(
            judged(&json!({ "StringEquals": { "aws:sub": "x" } })),
            "any"
        );
    }
}
