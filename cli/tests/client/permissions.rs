//! The IAM actions of the operator commands: the book's table is what the commands send, not less and not more.

use std::collections::BTreeSet;

use github_token_broker::aws::operator::ACTIONS;

use crate::support::{World, operator::Operator};

fn documented(command: &str) -> BTreeSet<String> {
    let found = ACTIONS.iter().find(|(name, _)| *name == command);
    found.unwrap().1.iter().map(ToString::to_string).collect()
}

/// All actions of these runs, each with a PEM on standard input, without and with KMS.
fn sent(runs: &[&[&str]]) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for kms in [false, true] {
        let new = sandbox::PrivateKey::fresh(2048);
        let public = new.public();
        let world = World::with(|scenario| {
            let scenario = scenario.github(move |github| github.app_mut().keys.push(public));
            let scenario = scenario.deny("kms:CreateAlias");
            if kms {
                scenario
                    .kms_key()
                    .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", sandbox::KMS_ALIAS)
            } else {
                scenario
            }
        });
        let operator = Operator::new(&world);
        if kms {
            crate::key::use_alias(
                &mut operator.account(),
                &["arn:aws:kms:us-east-1:123456789012:key/*"],
            );
        }
        for run in runs {
            operator.client(run).stdin(new.pem()).run();
        }
        actions.extend(operator.actions());
    }
    actions
}

#[test]
fn operators_need_exactly_the_documented_actions() {
    let check = documented("check");
    assert_eq!(sent(&[&["check"]]), check);
    let union = |command: &str| {
        check
            .union(&documented(command))
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(sent(&[&["check", "--as-app"]]), union("check --as-app"));
    assert_eq!(sent(&[&["check", "--mint"]]), union("check --mint"));
    let fingerprint: [&[&str]; 2] = [
        &["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS],
        &["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]],
    ];
    assert_eq!(sent(&fingerprint), documented("key fingerprint"));
    assert_eq!(
        sent(&[&["key", "import", "--ssm", "/k", "--key-id", "alias/k"]]),
        documented("key import --ssm")
    );
    assert_eq!(sent(&[&["key", "rotate"]]), documented("key rotate"));
    // With an alias that is denied, the clean-up looks at the key. Only an import that is denied schedules its deletion.
    let mut import = sent(&[&["key", "import", "--alias", "a"]]);
    assert!(import.insert("kms:ScheduleKeyDeletion".to_owned()));
    assert_eq!(import, documented("key import"));
}
