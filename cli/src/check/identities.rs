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

fn subjects(statement: &Statement) -> Subjects {
    let claims = statement.conditions.iter().filter_map(|(key, values)| {
        let (issuer, claim) = key.split_once(':')?;
        issuer
            .eq_ignore_ascii_case(GITHUB_ACTIONS)
            .then(|| (claim.to_ascii_lowercase(), values))
    });
    let (mut is_limited, mut old) = (false, None);
    for (claim, values) in claims.filter(|(claim, _)| claim != "aud") {
        if claim != "sub" {
            is_limited = true;
            continue;
        }
        for subject in values {
            let repository = subject.strip_prefix("repo:").unwrap_or(subject);
            let repository = repository.split(':').next().unwrap_or_default();
            if repository.starts_with('*') {
                return Subjects::Any;
            }
            is_limited = true;
            if subject.starts_with("repo:") && !repository.contains('@') {
                old = Some(subject.clone());
            }
        }
    }
    match old {
        Some(subject) => Subjects::OldForm(subject),
        None if is_limited => Subjects::Limited,
        None => Subjects::Any,
    }
}
