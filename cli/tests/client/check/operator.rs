//! The operator's own identity: what it is not allowed to see is skipped, and without AWS nothing can be checked.

use super::{check, findings, ids, narrow};
use crate::support::World;

#[test]
fn what_the_operator_is_not_allowed_to_see_is_skipped_with_the_reason() {
    for (action, id) in [
        ("lambda:GetFunctionConfiguration", "function.exists"),
        ("lambda:GetPolicy", "function.invokers"),
        ("iam:GetAccountAuthorizationDetails", "identity.invokers"),
        ("iam:SimulatePrincipalPolicy", "role.permissions"),
        ("iam:ListRolePolicies", "role.alias"),
        ("iam:GetRolePolicy", "role.alias"),
        ("ssm:GetParameters", "parameters.exist"),
        ("ssm:DescribeParameters", "parameters.encryption"),
        ("kms:DescribeKey", "kms.state"),
        ("kms:Sign", "kms.sign"),
        ("kms:GetPublicKey", "kms.fingerprint"),
        ("kms:GetKeyPolicy", "kms.policy"),
    ] {
        let world = World::with(|scenario| {
            let scenario = narrow(scenario).deny(action);
            if action.starts_with("kms:") {
                scenario.kms_key()
            } else {
                scenario
            }
        });
        let (code, found) = check(&world, &[]);
        assert_eq!(
            (code, ids(&found, "fail")),
            (0, vec![]),
            "{action}: {found:#?}"
        );
        let (status, detail) = &found[id];
        assert!(
            status == "skip" && detail.contains(action),
            "{action}: {found:#?}"
        );
    }
}

#[test]
fn missing_function_and_credentials_stop_the_check() {
    let world = World::new();
    let (code, found) = check(&world, &["--function", "other"]);
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["function.exists".to_owned()])
    );
    assert_eq!(found.len(), 2);
    let without = world
        .client(&["check", "--json"])
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    let (code, found) = findings(without);
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["aws.identity".to_owned()])
    );
}
