//! Who is allowed to invoke the function: by its resource policy, or by a policy of their own.

use super::{
    Subject,
    identities::{self, Identities},
    not_checked, policy,
    principals::{self, Question},
    report::{Finding, Report},
};
use crate::aws::session::Session;

const ACTION: &str = "lambda:InvokeFunction";

/// Checks who is allowed to invoke the function.
pub async fn check(
    session: &Session,
    deployed: &Subject,
    identities: &Identities,
    report: &mut Report,
) {
    const ID: &str = "function.invokers";
    let qualifier = deployed.qualifier.as_deref();
    let policy = session
        .lambda(&deployed.arn, "/policy", qualifier, "GetPolicy")
        .await;
    let mut named = Vec::new();
    report.add(match policy {
        Ok(answer) => match answer.body["Policy"].as_str().and_then(policy::parse) {
            Some(statements) => {
                named = statements
                    .iter()
                    .flat_map(|statement| statement.principals.clone())
                    .collect();
                let question = Question {
                    id: ID,
                    action: ACTION,
                    verb: "invoke the function",
                    policy: "resource policy",
                    account: &deployed.account,
                    remedy: "Name the callers' role ARNs instead (Terraform input `invoker_role_arns`)",
                };
                principals::check(&question, &statements)
            }
            None => Finding::skip(ID, "the resource policy cannot be read", "Retry"),
        },
        Err(error) if error.code() == Some("ResourceNotFoundException") => Finding::pass(
            ID,
            "there is no resource policy: only identities of the account can invoke the function",
        ),
        Err(error) => not_checked(ID, &error),
    });
    report.add(identities::check(
        "identity.invokers",
        identities,
        ACTION,
        &deployed.arn,
        "function",
        &format!(
            "Name the functions that they need: each of them gets tokens for the repository of {}",
            deployed.name
        ),
    ));
    report.add(identities::github_actions(identities, deployed, &named));
}
