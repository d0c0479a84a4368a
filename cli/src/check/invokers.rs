//! Who may invoke the function: its resource policy, and the policies of the account's identities.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use super::{
    Subject, not_checked,
    policy::{self, Statement},
    report::{Finding, Report},
    xml,
};
use crate::aws::session::Session;

const ACTION: &str = "lambda:InvokeFunction";

/// Checks who may invoke the function.
pub async fn check(session: &Session, deployed: &Subject, report: &mut Report) {
    let policy = session
        .lambda(
            &deployed.name,
            "/policy",
            deployed.qualifier.as_deref(),
            "GetPolicy",
        )
        .await;
    report.add(match policy {
        Ok(answer) => match answer.body["Policy"].as_str().and_then(policy::parse) {
            Some(statements) => resource_policy(&statements, deployed),
            None => Finding::skip(
                "function.invokers",
                "the resource policy cannot be read",
                "Retry",
            ),
        },
        Err(error) if error.code() == Some("ResourceNotFoundException") => Finding::pass(
            "function.invokers",
            "there is no resource policy: only identities of the account can invoke the function",
        ),
        Err(error) => not_checked("function.invokers", &error),
    });
    report.add(identities(session, deployed).await);
}

/// The identities of the account whose own policies allow the invocation.
async fn identities(session: &Session, deployed: &Subject) -> Finding {
    const ID: &str = "identity.invokers";
    let (mut details, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut parameters = vec![("MaxItems".to_owned(), "1000".to_owned())];
        parameters.extend(marker.take().map(|marker| ("Marker".to_owned(), marker)));
        match session
            .iam("GetAccountAuthorizationDetails", &parameters)
            .await
        {
            Ok(xml) => {
                marker = xml::texts(&xml, "Marker").pop();
                details.push(xml);
            }
            Err(error) => return not_checked(ID, &error),
        }
        if marker.is_none() {
            break;
        }
    }
    let Some(found) = identity_policies(&details, deployed) else {
        return Finding::skip(ID, "IAM's response cannot be read", "Retry");
    };
    let names = |list: &[String]| list.join(", ");
    if !found.broad.is_empty() {
        return Finding::warn(
            ID,
            format!(
                "the policies of {} allow lambda:InvokeFunction on every function",
                names(&found.broad)
            ),
            format!(
                "Name the functions that they need: each of them gets tokens for the repository of {}",
                deployed.name
            ),
        );
    }
    if found.exact.is_empty() {
        return Finding::pass(
            ID,
            format!(
                "no identity policy allows it; administrators: {}",
                found.administrators
            ),
        );
    }
    Finding::pass(
        ID,
        format!(
            "the policies of {} allow it; administrators: {}",
            names(&found.exact),
            found.administrators
        ),
    )
}

/// Who can invoke the function by a policy of their own.
#[derive(Default)]
struct Identities {
    /// With a policy for this function.
    exact: Vec<String>,
    /// With a policy for every function.
    broad: Vec<String>,
    /// With a policy for every action: how many.
    administrators: usize,
}

/// `None` if a response is not XML.
fn identity_policies(responses: &[String], deployed: &Subject) -> Option<Identities> {
    let documents: Option<Vec<_>> = responses
        .iter()
        .map(|xml| Document::parse(xml).ok())
        .collect();
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
    let mut found = Identities::default();
    for list in ["UserDetailList", "GroupDetailList", "RoleDetailList"] {
        for identity in members(list) {
            let inline = identity
                .descendants()
                .filter(|node| node.tag_name().name() == "PolicyDocument")
                .filter_map(|node| node.text());
            let attached = identity
                .descendants()
                .filter(|node| node.tag_name().name() == "PolicyArn")
                .filter_map(|node| node.text());
            let documents = inline
                .map(str::to_owned)
                .chain(attached.filter_map(|arn| managed.get(arn).cloned()));
            let statements: Vec<_> = documents
                .flat_map(|document| {
                    policy::parse(&xml::percent_decoded(&document)).unwrap_or_default()
                })
                .collect();
            let allows = |statement: &&Statement| {
                statement.is_allow
                    && statement.covers_action(ACTION)
                    && statement.covers_resource(&deployed.arn)
            };
            let name = xml::text(&identity, "Arn").unwrap_or_default();
            let allowing: Vec<_> = statements.iter().filter(allows).collect();
            if allowing
                .iter()
                .any(|statement| statement.covers_action("iam:CreateRole"))
            {
                found.administrators += 1;
            } else if allowing
                .iter()
                .any(|statement| statement.covers_resource(&format!("{}-other", deployed.arn)))
            {
                found.broad.push(name);
            } else if !allowing.is_empty() {
                found.exact.push(name);
            }
        }
    }
    Some(found)
}

fn resource_policy(statements: &[Statement], deployed: &Subject) -> Finding {
    let remedy = "Name the callers' role ARNs instead (Terraform input `invoker_role_arns`)";
    let (mut named, mut doubtful) = (Vec::new(), Vec::new());
    for statement in statements
        .iter()
        .filter(|statement| statement.is_allow && statement.covers_action(ACTION))
    {
        if statement.has_not_principal {
            return Finding::fail(
                "function.invokers",
                "a statement allows everybody except some principals (NotPrincipal)",
                remedy,
            );
        }
        for principal in &statement.principals {
            let conditions = statement.condition_keys.join(", ");
            if principal == "*" && !statement.is_conditional() {
                return Finding::fail(
                    "function.invokers",
                    "anyone in any AWS account can invoke the function (principal *)",
                    remedy,
                );
            }
            if principal == "*" {
                doubtful.push(format!(
                    "everybody who meets the conditions on {conditions}"
                ));
            } else if is_service(principal) && !statement.is_conditional() {
                doubtful.push(format!(
                    "{principal}, for any account (no aws:SourceArn or aws:SourceAccount condition)"
                ));
            } else if is_deleted(principal) {
                doubtful.push(format!("{principal}, a principal that was deleted"));
            } else if account(principal).is_some_and(|account| account != deployed.account)
                && is_whole_account(principal)
            {
                doubtful.push(format!(
                    "every identity that the account {} allows",
                    account(principal).unwrap_or_default()
                ));
            } else {
                named.push(principal.clone());
            }
        }
    }
    if !doubtful.is_empty() {
        return Finding::warn(
            "function.invokers",
            format!("the resource policy allows {}", doubtful.join("; ")),
            remedy,
        );
    }
    if named.is_empty() {
        return Finding::pass("function.invokers", "the resource policy allows nobody");
    }
    Finding::pass(
        "function.invokers",
        format!("the resource policy allows {}", named.join(", ")),
    )
}

fn is_service(principal: &str) -> bool {
    !principal.starts_with("arn:") && principal.contains(".amazonaws.com")
}

/// IAM shows the unique ID of a principal that no longer exists.
fn is_deleted(principal: &str) -> bool {
    principal.starts_with("AROA") || principal.starts_with("AIDA")
}

fn is_whole_account(principal: &str) -> bool {
    principal.ends_with(":root") || principal.chars().all(|c| c.is_ascii_digit())
}

fn account(principal: &str) -> Option<&str> {
    if principal.len() == 12 && principal.chars().all(|c| c.is_ascii_digit()) {
        return Some(principal);
    }
    principal
        .split(':')
        .nth(4)
        .filter(|account| account.len() == 12)
}
