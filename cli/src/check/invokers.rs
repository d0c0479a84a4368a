//! Who may invoke the function: its resource policy, and the policies of the account's identities.

use super::{
    Subject, not_checked,
    policy::{self, Statement},
    report::{Finding, Report},
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
