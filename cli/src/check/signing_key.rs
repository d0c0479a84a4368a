//! The KMS key that signs: its state and kind, whether the operator can sign, and its fingerprint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    Subject,
    identities::{self, Identities},
    not_checked,
    policy::{self, Statement},
    principals::{self, Question},
    report::{Finding, Report, Status},
};
use crate::{aws::session::Session, key};

/// An imported key that expires within this time needs attention.
const EXPIRY_TO_WARN: Duration = Duration::from_hours(30 * 24);

/// Checks the key. Returns its ARN.
pub async fn check(
    session: &Session,
    id: &str,
    deployed: &Subject,
    identities: &Identities,
    report: &mut Report,
) -> Option<String> {
    let region = &session.region;
    let metadata = match session.kms("DescribeKey", &json!({ "KeyId": id })).await {
        Ok(body) => body["KeyMetadata"].clone(),
        Err(error) if error.code() == Some("NotFoundException") => {
            report.add(Finding::fail(
                "kms.state",
                format!("KMS has no key {id} in {region}"),
                "Check the key's region and account. A key in a different account is found by its ARN only",
            ));
            return None;
        }
        Err(error) => {
            report.add(not_checked("kms.state", &error));
            return None;
        }
    };
    let (state, kind) = (state(&metadata, id), kind(&metadata));
    let is_usable = [&state, &kind]
        .iter()
        .all(|finding| finding.status == Status::Pass);
    report.add(state);
    report.add(kind);
    report.add(expiry(&metadata));
    if is_usable {
        report.add(can_sign(session, id).await);
        report.add(fingerprint(session, id).await);
    } else {
        for id in ["kms.sign", "kms.fingerprint"] {
            report.add(Finding::skip(
                id,
                "the key cannot sign in this state",
                "Correct the failure above first",
            ));
        }
    }
    let arn = metadata["Arn"].as_str()?.to_owned();
    key_policy(session, &arn, deployed, report).await;
    report.add(identities::check(
        "identity.signers",
        identities,
        "kms:Sign",
        &arn,
        "key",
        "Name the keys that they need: an identity that signs with this key can mint for every installation of the App",
    ));
    Some(arn)
}

fn state(metadata: &Value, id: &str) -> Finding {
    let (state, arn) = (
        metadata["KeyState"].as_str().unwrap_or("unknown"),
        metadata["Arn"].as_str().unwrap_or(id),
    );
    let remedy = match state {
        "Enabled" if id.contains("alias/") => {
            return Finding::pass(
                "kms.state",
                format!("{id} is {arn}, which is enabled. Policies need this ARN, not the alias"),
            );
        }
        "Enabled" => return Finding::pass("kms.state", format!("{arn} is enabled")),
        "PendingImport" => "Import the App's key: github-token-broker key import --key-id KEY",
        "Disabled" => "Enable the key",
        "PendingDeletion" | "PendingReplicaDeletion" => {
            "Cancel the deletion at once: a deleted key cannot be recovered"
        }
        _ => "Check the key in the KMS console",
    };
    Finding::fail("kms.state", format!("{arn} is {state}"), remedy)
}

fn kind(metadata: &Value) -> Finding {
    let text = |name: &str| metadata[name].as_str().unwrap_or("unknown");
    let (usage, spec) = (text("KeyUsage"), text("KeySpec"));
    if usage != "SIGN_VERIFY" || !spec.starts_with("RSA_") {
        return Finding::fail(
            "kms.kind",
            format!(
                "the key's usage is {usage} and its spec {spec}: GitHub needs an RSA key that signs"
            ),
            "Create a key with the usage SIGN_VERIFY and the spec RSA_2048, and import the App's key into it",
        );
    }
    if text("Origin") != "EXTERNAL" {
        return Finding::fail(
            "kms.kind",
            format!(
                "the origin of the key is {}: GitHub does not know a key that KMS generated",
                text("Origin")
            ),
            "Import the App's key: github-token-broker key import",
        );
    }
    Finding::pass("kms.kind", format!("{spec}, imported, for signatures"))
}

fn expiry(metadata: &Value) -> Finding {
    let ends = metadata["ValidTo"]
        .as_f64()
        .filter(|_| metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES");
    let Some(ends) = ends.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        return Finding::pass("kms.expiry", "the key material does not expire");
    };
    let left = (UNIX_EPOCH + ends)
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    let remedy = "Import the same key material again, without expiry";
    if left.is_zero() {
        return Finding::fail("kms.expiry", "the key material has expired", remedy);
    }
    let text = format!(
        "the key material expires in {} days",
        left.as_secs() / 86_400
    );
    if left < EXPIRY_TO_WARN {
        Finding::fail("kms.expiry", text, remedy)
    } else {
        Finding::warn("kms.expiry", text, remedy)
    }
}

async fn can_sign(session: &Session, id: &str) -> Finding {
    let request = json!({
        "KeyId": id, "Message": "Y2hlY2s=", "MessageType": "RAW", "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256", "DryRun": true,
    });
    let note = "This proves that you can, not that the function's role can";
    match session.kms("Sign", &request).await {
        Err(error) if error.code() == Some("DryRunOperationException") => Finding::pass(
            "kms.sign",
            format!("this identity can sign (dry run). {note}"),
        ),
        Err(error) if error.is_denied() => not_checked("kms.sign", &error),
        Err(error) => match error.code() {
            Some(code) => Finding::fail(
                "kms.sign",
                format!("KMS would not sign: {code}"),
                "Correct the key's state, usage and spec",
            ),
            None => not_checked("kms.sign", &error),
        },
        Ok(_) => Finding::warn(
            "kms.sign",
            "KMS signed although a dry run was requested",
            "Check AWS_ENDPOINT_URL_KMS",
        ),
    }
}

async fn fingerprint(session: &Session, id: &str) -> Finding {
    match session.kms("GetPublicKey", &json!({ "KeyId": id })).await {
        Ok(body) => match body["PublicKey"]
            .as_str()
            .and_then(key::fingerprint_of_base64)
        {
            Some(fingerprint) => Finding::pass(
                "kms.fingerprint",
                format!("{fingerprint}. Compare it with the App's settings page, \"Private keys\""),
            ),
            None => Finding::skip("kms.fingerprint", "KMS returned no public key", "Retry"),
        },
        Err(error) => not_checked("kms.fingerprint", &error),
    }
}

/// IAM's simulation ignores key policies. The role can sign only if the policy names it, or leaves the decision to IAM.
async fn key_policy(session: &Session, arn: &str, deployed: &Subject, report: &mut Report) {
    let read = session
        .kms(
            "GetKeyPolicy",
            &json!({ "KeyId": arn, "PolicyName": "default" }),
        )
        .await;
    let statements = match read {
        Ok(body) => body["Policy"].as_str().and_then(policy::parse),
        Err(error) => {
            for id in ["kms.policy", "kms.signers"] {
                report.add(not_checked(id, &error));
            }
            return;
        }
    };
    let Some(statements) = statements else {
        for id in ["kms.policy", "kms.signers"] {
            report.add(Finding::skip(id, "the key policy cannot be read", "Retry"));
        }
        return;
    };
    report.add(policy_for_role(&statements, deployed));
    let question = Question {
        id: "kms.signers",
        action: "kms:Sign",
        verb: "sign with the key",
        policy: "key policy",
        account: &deployed.account,
        remedy: "Remove them from the key policy: a principal that signs with this key can mint for every installation of the App",
    };
    report.add(principals::check(&question, &statements));
}

fn policy_for_role(statements: &[Statement], deployed: &Subject) -> Finding {
    const ID: &str = "kms.policy";
    let root = format!("arn:{}:iam::{}:root", deployed.partition, deployed.account);
    let about_sign = |statement: &&Statement| statement.covers_action("kms:Sign");
    let denies = |statement: &Statement| !statement.is_allow;
    if statements.iter().filter(about_sign).any(denies) {
        return Finding::skip(
            ID,
            "cannot tell: the key policy has a Deny statement for kms:Sign",
            "Read the key policy",
        );
    }
    let grants = statements.iter().filter(about_sign).find_map(|statement| {
        let principals = &statement.principals;
        if principals.contains(&deployed.role_arn) {
            return Some("the key policy names the function's role");
        }
        let delegates = principals.contains(&root) || principals.contains(&deployed.account);
        (delegates && !statement.is_conditional())
            .then_some("the key policy leaves the decision to IAM")
    });
    match grants {
        Some(text) => Finding::pass(ID, text),
        None => Finding::skip(
            ID,
            "cannot tell: the key policy neither names the function's role nor delegates to IAM",
            format!("Allow kms:Sign to {} in the key policy", deployed.role_arn),
        ),
    }
}
