//! Who a resource-based policy allows to perform an action: the function's resource policy, and the key policy of a KMS key.

use super::{
    policy::Statement,
    report::{Finding, Id},
};

/// A policy, and what to find out about it.
pub struct Question<'a> {
    /// The check.
    pub id: Id,
    /// The action, such as `kms:Sign`.
    pub action: &'a str,
    /// The action for people, such as "sign with the key".
    pub verb: &'a str,
    /// The policy for people, such as "key policy".
    pub policy: &'a str,
    /// The account of the function.
    pub account: &'a str,
    /// What to do about a principal that should not be there.
    pub remedy: &'a str,
}

/// Judges all principals that the policy allows to perform the action.
pub fn check(question: &Question<'_>, statements: &[Statement]) -> Finding {
    let Question {
        id,
        action,
        verb,
        policy,
        account,
        remedy,
    } = *question;
    let (mut named, mut doubtful) = (Vec::new(), Vec::new());
    let allowing = statements
        .iter()
        .filter(|statement| statement.is_allow && statement.covers_action(action));
    for statement in allowing {
        if statement.has_not_principal {
            let detail = format!(
                "a statement of the {policy} allows every principal except some (NotPrincipal)"
            );
            return Finding::fail(id, detail, remedy);
        }
        for principal in &statement.principals {
            if principal == "*" && !statement.is_conditional() {
                let detail = format!("anyone in any AWS account can {verb} (principal *)");
                return Finding::fail(id, detail, remedy);
            }
            if principal == "*" {
                let keys = statement.condition_keys();
                doubtful.push(format!("anyone who meets the conditions on {keys}"));
            } else if is_service(principal) && !statement.is_conditional() {
                doubtful.push(format!(
                    "{principal}, for any account (no aws:SourceArn or aws:SourceAccount condition)"
                ));
            } else if is_deleted(principal) {
                doubtful.push(format!("{principal}, a principal that was deleted"));
            } else if let Some(other) = account_of(principal).filter(|other| *other != account)
                && is_whole_account(principal)
            {
                doubtful.push(format!("every identity that the account {other} allows"));
            } else {
                named.push(principal.clone());
            }
        }
    }
    if !doubtful.is_empty() {
        let detail = format!("the {policy} allows {}", doubtful.join("; "));
        return Finding::warn(id, detail, remedy);
    }
    if named.is_empty() {
        return Finding::pass(id, format!("the {policy} allows no principal"));
    }
    Finding::pass(id, format!("the {policy} allows {}", named.join(", ")))
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

fn account_of(principal: &str) -> Option<&str> {
    if principal.len() == 12 && principal.chars().all(|c| c.is_ascii_digit()) {
        return Some(principal);
    }
    principal
        .split(':')
        .nth(4)
        .filter(|account| account.len() == 12)
}
