//! `check`: a healthy broker is green, and each misconfiguration fails exactly its own checks, with the right remedy.

mod account;
mod app;
mod keys;
mod operator;

use std::collections::BTreeMap;

use sandbox::{Call, Fault, KMS_KEY_ID, Scenario, Schedule};
use serde_json::{Value, json};

use crate::support::{World, aws_action};

/// The function's role, and its policy in the Terraform module.
const ROLE: &str = "github-token-broker";
const POLICY: &str = "github-token-broker-policy";
const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/github-token-broker";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:github-token-broker";

/// Findings by ID: status, and detail with remedy.
type Findings = BTreeMap<String, (String, String)>;

/// Runs `check --json` and more options.
fn check(world: &World, options: &[&str]) -> (i32, Findings) {
    findings(world.client(&["check", "--json"]).args(options))
}

fn findings(client: crate::support::Client) -> (i32, Findings) {
    let finished = client.run();
    assert_eq!(finished.stderr, "");
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        let link = text("link");
        assert!(
            text("status") == "pass" || link.contains("/docs/src/how-to/check-a-broker.md#"),
            "{check}"
        );
        let says = format!("{} | {}", text("detail"), text("remedy"));
        (text("id"), (text("status"), says))
    });
    (finished.code, checks.collect())
}

fn ids(findings: &Findings, status: &str) -> Vec<String> {
    let of_status = findings.iter().filter(|(_, (of, _))| of == status);
    of_status.map(|(id, _)| id.clone()).collect()
}

/// An App and an installation with exactly what the broker needs.
fn narrow(scenario: Scenario) -> Scenario {
    scenario.github(|github| {
        let permissions = [("contents", "read"), ("metadata", "read")];
        let permissions = permissions.map(|(name, level)| (name.to_owned(), level.to_owned()));
        github.app_mut().permissions = permissions.clone().into();
        let installation = github.installation_mut();
        installation.permissions = permissions.into();
        installation.repository_ids = Some(vec![1_296_269]);
    })
}

/// Adds a statement to the policy of the function's role.
fn allow(scenario: Scenario, statement: Value) -> Scenario {
    scenario.iam(move |iam| {
        let policy = iam.role_policy_mut(ROLE, POLICY);
        policy["Statement"].as_array_mut().unwrap().push(statement);
    })
}

/// What is wrong, how it comes about, which checks have the status, and what the first of them says.
struct Case {
    what: &'static str,
    change: fn(Scenario) -> Scenario,
    options: &'static [&'static str],
    status: &'static str,
    ids: &'static [&'static str],
    says: &'static str,
}

impl Case {
    /// The other checks pass, or are skipped.
    fn run(&self) {
        let world = World::with(|scenario| (self.change)(narrow(scenario)));
        let (code, found) = check(&world, self.options);
        let what = self.what;
        assert_eq!(code, i32::from(self.status == "fail"), "{what}: {found:#?}");
        let other = if self.status == "fail" {
            "warn"
        } else {
            "fail"
        };
        assert_eq!(
            (ids(&found, self.status), ids(&found, other)),
            (self.ids.iter().map(ToString::to_string).collect(), vec![]),
            "{what}: {found:#?}"
        );
        let (_, says) = &found[self.ids[0]];
        assert!(says.contains(self.says), "{what}: {found:#?}");
        assert!(!says.contains("BEGIN RSA"), "{what}: {says}");
        assert_eq!(world.minted(), 0, "{what}");
    }
}

#[test]
fn healthy_broker_is_green() {
    let world = World::with(narrow);
    let (code, found) = check(&world, &["--as-app"]);
    assert_eq!(
        (code, ids(&found, "fail"), ids(&found, "warn")),
        (0, vec![], vec![]),
        "{found:#?}"
    );
    assert_eq!(ids(&found, "skip"), ["function.code"], "{found:#?}");
    assert!(
        found["aws.identity"]
            .1
            .contains("user/sandbox in us-east-1")
    );
    assert!(
        found["function.environment"]
            .1
            .contains("octo-org/octo-repo with contents=read")
    );
    assert_eq!(world.minted(), 0, "nothing is minted");
    // Nothing is changed either: no request but reads.
    for request in world.aws_requests() {
        let action = aws_action(&request);
        let (_, operation) = action.split_once(':').unwrap();
        assert!(
            ["Get", "List", "Describe", "Simulate"]
                .iter()
                .any(|verb| operation.starts_with(verb)),
            "{action}"
        );
    }
}

#[test]
fn healthy_broker_with_kms_is_green() {
    let world = World::with(|scenario| narrow(scenario).kms_key());
    let (code, found) = check(&world, &["--as-app"]);
    assert_eq!(
        (code, ids(&found, "fail"), ids(&found, "warn")),
        (0, vec![], vec![]),
        "{found:#?}"
    );
    assert_eq!(ids(&found, "skip"), ["function.code"], "{found:#?}");
    assert!(
        found["kms.sign"].1.contains("not that the function's role"),
        "{found:#?}"
    );
    let fingerprint = world
        .client(&["key", "fingerprint", "--key-id", KMS_KEY_ID])
        .stdout();
    assert!(
        found["kms.fingerprint"].1.contains(fingerprint.trim()),
        "{found:#?}"
    );
}

#[test]
fn text_has_one_line_for_each_check_and_the_remedies() {
    let world = World::with(|scenario| {
        narrow(scenario)
            .function_configuration(|function| function["Runtime"] = "provided.al2".into())
    });
    let finished = world.client(&["check"]).run();
    assert_eq!(finished.code, 1);
    let (_, found) = check(&world, &[]);
    for (id, (status, _)) in &found {
        let shown = if ["fail", "warn"].contains(&status.as_str()) {
            status.to_uppercase()
        } else {
            status.clone()
        };
        let mut lines = finished.stdout.lines();
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some(id));
        assert!(
            line.is_some_and(|line| line.starts_with(&format!("{shown}  "))),
            "{id}: {}",
            finished.stdout
        );
    }
    for part in ["Set the runtime to provided.al2023", "1 failed, 0 warnings"] {
        assert!(finished.stdout.contains(part), "{}", finished.stdout);
    }
}

#[test]
fn mint_compares_and_revokes_one_token() {
    let world = World::with(narrow);
    let (code, found) = check(&world, &["--mint"]);
    assert_eq!(code, 0, "{found:#?}");
    for id in ["mint.token", "mint.revocation"] {
        assert_eq!(found[id].0, "pass", "{found:#?}");
    }
    assert_eq!(world.minted(), 1);
    assert!(!world.is_alive(&world.newest_token()));
    assert!(!world.cache().exists());
}

#[test]
fn mint_that_differs_from_the_configuration_is_a_security_event() {
    let world = World::with(|scenario| {
        narrow(scenario).function_configuration(|function| {
            function["Environment"]["Variables"]["GITHUB_TOKEN_BROKER_PERMISSIONS"] =
                r#"{"contents":"write"}"#.into();
        })
    });
    let (_, found) = check(&world, &["--mint"]);
    assert_eq!(ids(&found, "fail"), ["mint.token"], "{found:#?}");
    assert!(
        found["mint.token"].1.contains("security event"),
        "{found:#?}"
    );
    assert!(!world.is_alive(&world.newest_token()));
}

#[test]
fn mint_reports_the_functions_error() {
    let world = World::with(|scenario| {
        narrow(scenario).github(|github| github.installation_mut().suspended = true)
    });
    let (code, found) = check(&world, &["--mint"]);
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["mint.token".to_owned()]),
        "{found:#?}"
    );
    assert!(
        found["mint.token"].1.starts_with("InstallationSuspended: "),
        "{found:#?}"
    );
}

#[test]
fn token_that_github_does_not_revoke_is_named_by_its_hash() {
    let world = World::with(|scenario| {
        let unavailable = Schedule::Always(Fault::Status(503));
        narrow(scenario).faults(Call::Revoke, unavailable)
    });
    let (code, found) = check(&world, &["--mint"]);
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["mint.revocation".to_owned()]),
        "{found:#?}"
    );
    let (_, says) = &found["mint.revocation"];
    let token = world.newest_token();
    assert!(
        says.contains("was not revoked") && says.contains("It expires at"),
        "{says}"
    );
    assert!(!says.contains(&token), "{says}");
}

/// A statement of a resource policy that allows an invocation.
fn invocation(principal: &Value, condition: Option<Value>) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": FUNCTION });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    json!({ "Statement": [statement] })
}
