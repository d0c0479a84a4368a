//! The KMS key that signs: its state, its kind, its policy, and the permission to use it.

use sandbox::{KMS_KEY_ARN, KMS_KEY_ID, Scenario};
use serde_json::json;

use super::{Case, POLICY, ROLE, ROLE_ARN, check, narrow};
use crate::support::World;

fn with_policy(scenario: Scenario, principal: &'static str) -> Scenario {
    let statement = json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "kms:*", "Resource": "*" });
    scenario
        .kms_key()
        .kms(move |kms| kms.set_policy(KMS_KEY_ID, &json!({ "Statement": [statement] })))
}

const MISCONFIGURATIONS: &[Case] = &[
    Case {
        what: "disabled",
        change: |scenario| scenario.kms_key().kms(|kms| kms.disable(KMS_KEY_ID)),
        options: &[],
        status: "fail",
        ids: &["kms.state"],
        says: "Enable the key",
    },
    Case {
        what: "pending deletion",
        change: |scenario| {
            scenario
                .kms_key()
                .kms(|kms| kms.schedule_deletion(KMS_KEY_ID))
        },
        options: &[],
        status: "fail",
        ids: &["kms.state"],
        says: "Cancel the deletion",
    },
    Case {
        what: "pending import",
        change: |scenario| {
            scenario
                .kms_key()
                .kms(|kms| kms.delete_material(KMS_KEY_ID))
        },
        options: &[],
        status: "fail",
        ids: &["kms.state"],
        says: "key import --key-id",
    },
    Case {
        what: "wrong usage",
        change: |scenario| {
            scenario
                .kms_key()
                .kms(|kms| kms.set_usage(KMS_KEY_ID, "ENCRYPT_DECRYPT"))
        },
        options: &[],
        status: "fail",
        ids: &["kms.kind"],
        says: "usage SIGN_VERIFY",
    },
    Case {
        what: "symmetric key",
        change: |scenario| {
            let id = "11111111-2222-3333-4444-555555555555";
            scenario
                .kms_key()
                .kms(move |kms| kms.put_symmetric_key("us-east-1", id, "alias/symmetric"))
                .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", "alias/symmetric")
        },
        options: &[],
        status: "fail",
        ids: &["kms.kind", "role.permissions"],
        says: "GitHub needs an RSA key that signs",
    },
    Case {
        what: "material expires next year",
        change: |scenario| {
            let days = 365 * 24 * 60 * 60;
            scenario
                .kms_key()
                .kms(move |kms| kms.expire(KMS_KEY_ID, days))
        },
        options: &[],
        status: "warn",
        ids: &["kms.expiry"],
        says: "expires in 364 days",
    },
    Case {
        what: "material expires this month",
        change: |scenario| {
            let days = 10 * 24 * 60 * 60;
            scenario
                .kms_key()
                .kms(move |kms| kms.expire(KMS_KEY_ID, days))
        },
        options: &[],
        status: "fail",
        ids: &["kms.expiry"],
        says: "Import the same key material again, without expiry",
    },
    Case {
        what: "material has expired",
        change: |scenario| scenario.kms_key().kms(|kms| kms.expire(KMS_KEY_ID, -1)),
        options: &[],
        status: "fail",
        ids: &["kms.expiry", "kms.state"],
        says: "the key material has expired",
    },
    Case {
        what: "different region",
        change: |scenario| {
            let arn = KMS_KEY_ARN.replace("us-east-1", "eu-west-1");
            scenario
                .kms_key()
                .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", arn)
        },
        options: &[],
        status: "fail",
        ids: &["kms.state"],
        says: "in eu-west-1",
    },
    Case {
        what: "role is not allowed to sign",
        change: |scenario| {
            scenario.kms_key().iam(|iam| {
                let policy = iam.role_policy_mut(ROLE, POLICY);
                policy["Statement"].as_array_mut().unwrap().remove(0);
            })
        },
        options: &[],
        status: "fail",
        ids: &["role.permissions"],
        says: "kms:Sign on arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    },
    Case {
        what: "anyone is allowed to sign",
        change: |scenario| with_policy(scenario, "*"),
        options: &[],
        status: "fail",
        ids: &["kms.signers"],
        says: "anyone in any AWS account can sign",
    },
    Case {
        what: "a different account is allowed to sign",
        change: |scenario| with_policy(scenario, "arn:aws:iam::999999999999:root"),
        options: &[],
        status: "warn",
        ids: &["kms.signers"],
        says: "999999999999",
    },
    Case {
        what: "an identity is allowed to sign with every key",
        change: |scenario| {
            let statement = json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" });
            scenario.kms_key().iam(move |iam| {
                iam.put_user_policy("octo", "p", json!({ "Statement": statement }));
            })
        },
        options: &[],
        status: "warn",
        ids: &["identity.signers"],
        says: "user/octo allow kms:Sign on every key",
    },
];

#[test]
fn each_misconfiguration_of_the_key_fails_its_own_check() {
    MISCONFIGURATIONS.iter().for_each(Case::run);
}

#[test]
fn a_key_policy_that_does_not_mention_the_role_is_skipped() {
    for (principal, status) in [
        (ROLE_ARN, "pass"),
        ("arn:aws:iam::123456789012:root", "pass"),
        ("arn:aws:iam::123456789012:role/other", "skip"),
    ] {
        let world = World::with(|scenario| with_policy(narrow(scenario), principal));
        let (_, found) = check(&world, &[]);
        assert_eq!(found["kms.policy"].0, status, "{found:#?}");
        assert!(
            status == "pass" || found["kms.policy"].1.contains("cannot tell"),
            "{found:#?}"
        );
    }
}
