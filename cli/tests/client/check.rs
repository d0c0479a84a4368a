//! `check`: a healthy broker is green, and each misconfiguration fails exactly its own checks, with the right remedy.

use std::{collections::BTreeMap, fs};

use sandbox::{KMS_KEY_ARN, KMS_KEY_ID, Parameter, Scenario};
use serde_json::{Value, json};

use crate::support::{
    Client, World,
    operator::{Account, FUNCTION, Operator, ROLE},
};

const PREFIX: &str = "GITHUB_TOKEN_BROKER_";

/// Findings by ID: status, and detail with remedy.
type Findings = BTreeMap<String, (String, String)>;

fn findings(client: Client) -> (i32, Findings) {
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
        (
            text("id"),
            (
                text("status"),
                format!("{} | {}", text("detail"), text("remedy")),
            ),
        )
    });
    (finished.code, checks.collect())
}

fn ids(findings: &Findings, status: &str) -> Vec<String> {
    findings
        .iter()
        .filter(|(_, (of, _))| of == status)
        .map(|(id, _)| id.clone())
        .collect()
}

/// A world whose App has exactly what the broker needs.
fn narrow(scenario: Scenario) -> Scenario {
    scenario.github(|github| {
        let installation = github.installation_mut();
        installation.permissions = [("contents", "read"), ("metadata", "read")]
            .map(|(name, level)| (name.to_owned(), level.to_owned()))
            .into();
        installation.repository_ids = Some(vec![1_296_269]);
    })
}

/// The function signs with a KMS key.
fn with_kms(account: &mut Account) {
    set(account, "KMS_KEY_ID", KMS_KEY_ARN);
    set(account, "CLIENT_ID", sandbox::CLIENT_ID);
    set(
        account,
        "INSTALLATION_ID",
        &sandbox::INSTALLATION_ID.to_string(),
    );
    account.role_policy["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({
            "Effect": "Allow",
            "Action": "kms:Sign",
            "Resource": KMS_KEY_ARN,
            "Condition": { "StringEquals": {
                "kms:SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
                "kms:MessageType": "RAW",
            } },
        }));
}

#[test]
fn healthy_broker_is_green() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let (code, found) = findings(operator.client(&["check", "--json", "--as-app"]));
    assert_eq!(
        (code, ids(&found, "fail"), ids(&found, "warn")),
        (0, vec![], vec![]),
        "{found:#?}"
    );
    assert_eq!(ids(&found, "skip"), ["function.code"], "{found:#?}");
    assert!(
        found["aws.identity"]
            .1
            .contains("user/operator in us-east-1")
    );
    assert!(
        found["function.environment"]
            .1
            .contains("octo-org/octo-repo with contents=read")
    );
    assert_eq!(world.minted(), 0, "nothing is minted");
    // Nothing is changed either: no request but reads.
    for request in operator.requests() {
        let target = request
            .header("x-amz-target")
            .unwrap_or_default()
            .to_owned();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let operation = target.split('.').nth(1).map(str::to_owned).or_else(|| {
            body.split('&')
                .find_map(|pair| pair.strip_prefix("Action="))
                .map(str::to_owned)
        });
        let operation = operation.unwrap_or(request.method);
        assert!(
            ["Get", "GET", "List", "Describe", "Simulate"]
                .iter()
                .any(|verb| operation.starts_with(verb)),
            "{operation}"
        );
    }
}

#[test]
fn healthy_broker_with_kms_is_green() {
    let world = World::with(|scenario| narrow(scenario).kms_key());
    let operator = Operator::new(&world);
    with_kms(&mut operator.account());
    let (code, found) = findings(operator.client(&["check", "--json", "--as-app"]));
    assert_eq!(
        (code, ids(&found, "fail"), ids(&found, "warn")),
        (0, vec![], vec![]),
        "{found:#?}"
    );
    assert!(
        found["kms.sign"].1.contains("the operator's right only"),
        "{found:#?}"
    );
    let fingerprint = operator
        .client(&["key", "fingerprint", "--key-id", KMS_KEY_ID])
        .stdout();
    assert!(
        found["kms.fingerprint"].1.contains(fingerprint.trim()),
        "{found:#?}"
    );
}

#[test]
fn text_has_one_line_for_each_check_and_the_remedies() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    operator.account().function["Runtime"] = "provided.al2".into();
    let finished = operator.client(&["check"]).run();
    assert_eq!(finished.code, 1);
    let (_, found) = findings(operator.client(&["check", "--json"]));
    for (id, (status, _)) in &found {
        let shown = if ["fail", "warn"].contains(&status.as_str()) {
            status.to_uppercase()
        } else {
            status.clone()
        };
        let line = finished
            .stdout
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(id));
        assert!(
            line.is_some_and(|line| line.starts_with(&format!("{shown}  "))),
            "{id}: {}",
            finished.stdout
        );
    }
    assert!(
        finished
            .stdout
            .contains("Set the runtime to provided.al2023"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stdout.contains("1 failed, 0 warnings"),
        "{}",
        finished.stdout
    );
}

/// What is wrong, which checks fail, and what the first of them says.
type Case = (
    &'static str,
    fn(&mut Account),
    &'static [&'static str],
    &'static str,
);

fn set(account: &mut Account, name: &str, value: &str) {
    account
        .variables()
        .insert(format!("{PREFIX}{name}"), value.into());
}

fn remove_statement(account: &mut Account, index: usize) {
    account.role_policy["Statement"]
        .as_array_mut()
        .unwrap()
        .remove(index);
}

fn allow(account: &mut Account, principal: &Value, condition: Option<Value>) {
    let mut statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": FUNCTION });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    account.resource_policy = Some(json!({ "Statement": [statement] }));
}

const OF_THE_ACCOUNT: &[Case] = &[
    (
        "owner is missing",
        |account| {
            account
                .variables()
                .remove("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER");
        },
        &["function.environment"],
        "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required | Correct the Terraform input repository_owner",
    ),
    (
        "permissions are not JSON",
        |account| set(account, "PERMISSIONS", "read"),
        &["function.environment"],
        "permissions",
    ),
    (
        "two sources of the key",
        |account| {
            set(account, "KMS_KEY_ID", KMS_KEY_ID);
            set(account, "PRIVATE_KEY_PARAM", "/k");
        },
        &["function.environment"],
        "mutually exclusive",
    ),
    (
        "environment cannot be decrypted",
        |account| {
            account.function["Environment"] =
                json!({ "Error": { "ErrorCode": "AccessDeniedException", "Message": "x" } });
        },
        &["function.environment"],
        "cannot decrypt",
    ),
    (
        "old runtime",
        |account| account.function["Runtime"] = "provided.al2".into(),
        &["function.runtime"],
        "provided.al2023",
    ),
    (
        "failed deployment",
        |account| account.function["State"] = "Failed".into(),
        &["function.exists"],
        "Deploy the function again",
    ),
    (
        "parameter in a different path",
        |account| set(account, "CLIENT_ID_PARAM", "/other/client-id"),
        &["parameters.exist", "role.permissions"],
        "has no /other/client-id in us-east-1",
    ),
    (
        "role cannot read parameters",
        |account| remove_statement(account, 0),
        &["role.permissions"],
        "may not ssm:GetParameters on arn:aws:ssm:us-east-1:123456789012:parameter/github-token-broker/app/client-id",
    ),
    (
        "role cannot log",
        |account| remove_statement(account, 1),
        &["role.permissions"],
        "logs:PutLogEvents",
    ),
    (
        "role can do everything",
        |account| {
            account.role_policy["Statement"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }));
        },
        &["role.excess"],
        "ssm:GetParametersByPath",
    ),
    (
        "role can sign with every key",
        |account| {
            account.role_policy["Statement"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" }));
        },
        &["role.excess"],
        "may call kms:Decrypt, kms:Sign on every resource",
    ),
    (
        "alias in the role's policy",
        |account| {
            account.role_policy["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Allow", "Action": ["kms:Sign"], "Resource": "arn:aws:kms:us-east-1:123456789012:alias/app",
        }));
        },
        &["role.alias"],
        "alias/app, which allows nothing",
    ),
    (
        "anyone may invoke",
        |account| allow(account, &"*".into(), None),
        &["function.invokers"],
        "anyone in any AWS account",
    ),
    (
        "anyone may invoke, as a list",
        |account| allow(account, &json!({ "AWS": ["*"] }), None),
        &["function.invokers"],
        "anyone in any AWS account",
    ),
];

#[test]
fn each_misconfiguration_of_the_account_fails_its_own_check() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let healthy = {
        let account = operator.account();
        (account.function.clone(), account.role_policy.clone())
    };
    for (what, change, failing, text) in OF_THE_ACCOUNT {
        change(&mut operator.account());
        let (code, found) = findings(operator.client(&["check", "--json"]));
        assert_eq!(
            (code, ids(&found, "fail")),
            (1, failing.iter().map(ToString::to_string).collect()),
            "{what}: {found:#?}"
        );
        assert!(found[failing[0]].1.contains(text), "{what}: {found:#?}");
        let mut account = operator.account();
        (account.function, account.role_policy) = healthy.clone();
        account.resource_policy = None;
    }
}

#[test]
fn named_callers_are_right_and_doubtful_ones_are_warnings() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let status = |principal: Value, condition: Option<Value>| {
        allow(&mut operator.account(), &principal, condition);
        let (code, found) = findings(operator.client(&["check", "--json"]));
        assert_eq!(code, 0, "{found:#?}");
        found["function.invokers"].clone()
    };
    let role = "arn:aws:iam::123456789012:role/ci";
    assert_eq!(status(json!({ "AWS": role }), None).0, "pass");
    assert_eq!(
        status(json!({ "AWS": "arn:aws:iam::123456789012:root" }), None).0,
        "pass"
    );
    for (principal, condition, text) in [
        (
            json!("*"),
            Some(json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } })),
            "aws:PrincipalOrgID",
        ),
        (json!({ "AWS": "999999999999" }), None, "999999999999"),
        (
            json!({ "AWS": "arn:aws:iam::999999999999:root" }),
            None,
            "999999999999",
        ),
        (
            json!({ "Service": "events.amazonaws.com" }),
            None,
            "for any account",
        ),
        (json!({ "AWS": "AROAEXAMPLEEXAMPLE" }), None, "deleted"),
    ] {
        let (of, detail) = status(principal, condition);
        assert!(of == "warn" && detail.contains(text), "{detail}");
    }
    let source = json!({ "StringEquals": { "aws:SourceAccount": "123456789012" } });
    assert_eq!(
        status(json!({ "Service": "events.amazonaws.com" }), Some(source)).0,
        "pass"
    );
}

#[test]
fn identities_that_may_invoke_every_function_are_a_warning() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let found = |policy: Value| {
        operator.account().identity_policy = json!({ "Statement": policy });
        findings(operator.client(&["check", "--json"])).1["identity.invokers"].clone()
    };
    let allow = |action: &str, resource: &str| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    for (policy, status, text) in [
        (
            allow("lambda:InvokeFunction", FUNCTION),
            "pass",
            "user/octo allow it; administrators: 1",
        ),
        (
            allow("lambda:GetFunction", "*"),
            "pass",
            "no identity policy allows it; administrators: 1",
        ),
        (
            allow(
                "lambda:InvokeFunction",
                "arn:aws:lambda:us-east-1:123456789012:function:other",
            ),
            "pass",
            "no identity policy",
        ),
        (allow("*", "*"), "pass", "administrators: 2"),
        (
            allow("lambda:Invoke*", "*"),
            "warn",
            "user/octo allow lambda:InvokeFunction on every function",
        ),
    ] {
        let (of, detail) = found(policy);
        assert!(of == status && detail.contains(text), "{of} {detail}");
    }
}

#[test]
fn short_timeout_is_a_warning() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    operator.account().function["Timeout"] = 3.into();
    let (code, found) = findings(operator.client(&["check", "--json"]));
    assert_eq!(
        (code, ids(&found, "warn")),
        (0, vec!["function.timeout".to_owned()])
    );
}

#[test]
fn a_clock_that_is_off_is_a_warning() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    operator.account().clock_ahead = std::time::Duration::from_mins(3);
    let (code, found) = findings(operator.client(&["check", "--json"]));
    assert_eq!((code, ids(&found, "warn")), (0, vec!["clock".to_owned()]));
    assert!(found["clock"].1.contains("Synchronize"), "{found:#?}");
}

#[test]
fn parameters_of_the_wrong_type_or_content_fail() {
    let [client_id, installation_id, private_key] = sandbox::PARAMETERS;
    let cases: [(&str, Parameter, &str, &str); 4] = [
        (
            private_key,
            Parameter::string("-----BEGIN RSA PRIVATE KEY-----"),
            "parameters.private_key",
            "Rotate the App's key",
        ),
        (
            client_id,
            Parameter::string("-----BEGIN RSA PRIVATE KEY-----\nx"),
            "parameters.client_id",
            "rotate the key at once",
        ),
        (
            client_id,
            Parameter::string("4.47597e+06"),
            "parameters.client_id",
            "not a client ID",
        ),
        (
            installation_id,
            Parameter::string("0x12"),
            "parameters.installation_id",
            "not an installation ID",
        ),
    ];
    for (name, parameter, id, text) in cases {
        let world = World::with(|scenario| narrow(scenario).parameter(name, parameter));
        let operator = Operator::new(&world);
        let (code, found) = findings(operator.client(&["check", "--json"]));
        assert_eq!(
            (code, ids(&found, "fail")),
            (1, vec![id.to_owned()]),
            "{found:#?}"
        );
        let detail = &found[id].1;
        assert!(
            detail.contains(text) && !detail.contains("BEGIN"),
            "{detail}"
        );
    }
}

#[test]
fn each_state_of_the_kms_key_fails_its_own_check() {
    type Change = fn(Scenario) -> Scenario;
    let cases: [(&str, Change, &[&str], &str); 5] = [
        (
            "disabled",
            |scenario| scenario.kms(|kms| kms.disable(KMS_KEY_ID)),
            &["kms.state"],
            "Enable the key",
        ),
        (
            "pending deletion",
            |scenario| scenario.kms(|kms| kms.schedule_deletion(KMS_KEY_ID)),
            &["kms.state"],
            "Cancel the deletion",
        ),
        (
            "pending import",
            |scenario| scenario.kms(|kms| kms.delete_material(KMS_KEY_ID)),
            &["kms.state"],
            "key import --key-id",
        ),
        (
            "wrong usage",
            |scenario| scenario.kms(|kms| kms.set_usage(KMS_KEY_ID, "ENCRYPT_DECRYPT")),
            &["kms.kind"],
            "usage SIGN_VERIFY",
        ),
        ("healthy", |scenario| scenario, &[], ""),
    ];
    for (what, change, failing, text) in cases {
        let world = World::with(|scenario| change(narrow(scenario).kms_key()));
        let operator = Operator::new(&world);
        with_kms(&mut operator.account());
        let (_, found) = findings(operator.client(&["check", "--json"]));
        assert_eq!(ids(&found, "fail"), failing, "{what}: {found:#?}");
        let all: String = found.values().map(|(_, detail)| detail.as_str()).collect();
        assert!(all.contains(text), "{what}: {found:#?}");
    }
}

#[test]
fn kms_key_elsewhere_and_without_permission_fail() {
    let world = World::with(|scenario| narrow(scenario).kms_key());
    let operator = Operator::new(&world);
    with_kms(&mut operator.account());
    let other = KMS_KEY_ARN.replace("us-east-1", "eu-west-1");
    set(&mut operator.account(), "KMS_KEY_ID", &other);
    let (_, found) = findings(operator.client(&["check", "--json"]));
    assert_eq!(ids(&found, "fail"), ["kms.state"], "{found:#?}");
    assert!(found["kms.state"].1.contains("in eu-west-1"), "{found:#?}");

    with_kms(&mut operator.account());
    remove_statement(&mut operator.account(), 3);
    remove_statement(&mut operator.account(), 2);
    let (_, found) = findings(operator.client(&["check", "--json"]));
    assert_eq!(ids(&found, "fail"), ["role.permissions"], "{found:#?}");
    assert!(
        found["role.permissions"]
            .1
            .contains(&format!("kms:Sign on {KMS_KEY_ARN}")),
        "{found:#?}"
    );
}

#[test]
fn a_key_policy_that_does_not_mention_the_role_is_skipped() {
    for (principal, status) in [
        (ROLE, "pass"),
        ("arn:aws:iam::123456789012:root", "pass"),
        ("arn:aws:iam::123456789012:role/other", "skip"),
    ] {
        let policy = json!({ "Statement": [{ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "kms:*", "Resource": "*" }] });
        let world = World::with(move |scenario| {
            narrow(scenario)
                .kms_key()
                .kms(move |kms| kms.set_policy(KMS_KEY_ID, &policy))
        });
        let operator = Operator::new(&world);
        with_kms(&mut operator.account());
        let (_, found) = findings(operator.client(&["check", "--json"]));
        assert_eq!(found["kms.policy"].0, status, "{found:#?}");
        assert!(
            status == "pass" || found["kms.policy"].1.contains("cannot tell"),
            "{found:#?}"
        );
    }
}

#[test]
fn what_the_operator_may_not_see_is_skipped_with_the_reason() {
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
        let with_key = action.starts_with("kms:");
        let world = World::with(|scenario| {
            if with_key {
                narrow(scenario).kms_key()
            } else {
                narrow(scenario)
            }
        });
        let operator = Operator::new(&world);
        if with_key {
            with_kms(&mut operator.account());
        }
        operator.account().denied.insert(action);
        let (code, found) = findings(operator.client(&["check", "--json"]));
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
    let operator = Operator::new(&world);
    let (code, found) = findings(operator.client(&["check", "--json", "--function", "other"]));
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["function.exists".to_owned()])
    );
    assert_eq!(found.len(), 2);
    let without = operator
        .client(&["check", "--json"])
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    let (code, found) = findings(without);
    assert_eq!(
        (code, ids(&found, "fail")),
        (1, vec!["aws.identity".to_owned()])
    );
}

#[test]
fn code_is_compared_with_the_checksums_of_a_release() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let file = world.home.path().join("checksums.txt");
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (text, status, part) in [
        (
            format!("{sum}  github-token-broker.zip\n"),
            "pass",
            "the code is github-token-broker.zip",
        ),
        (
            format!("{}  github-token-broker.zip\n", "0".repeat(64)),
            "fail",
            "does not name",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let (_, found) =
            findings(operator.client(&["check", "--json", "--checksums", file.to_str().unwrap()]));
        assert!(
            found["function.code"].0 == status && found["function.code"].1.contains(part),
            "{found:#?}"
        );
    }
    let (_, found) = findings(operator.client(&["check", "--json"]));
    assert!(
        found["function.code"].0 == "skip" && found["function.code"].1.contains(sum),
        "{found:#?}"
    );
}

/// What is wrong at GitHub, which check fails or warns, and what it says.
type GitHubCase = (
    &'static str,
    fn(Scenario) -> Scenario,
    &'static str,
    &'static str,
    &'static str,
);

const AT_GITHUB: &[GitHubCase] = &[
    (
        "key of a different App",
        |scenario| {
            scenario.parameter(
                sandbox::PARAMETERS[2],
                Parameter::secure_string(sandbox::PrivateKey::fresh(2048).pem()),
            )
        },
        "app.key",
        "fail",
        "does not belong to the App",
    ),
    (
        "mangled key",
        |scenario| scenario.parameter(sandbox::PARAMETERS[2], Parameter::secure_string("MIIE")),
        "app.key",
        "fail",
        "unchanged",
    ),
    (
        "unknown client ID",
        |scenario| scenario.parameter(sandbox::PARAMETERS[0], Parameter::string("Iv23unknown")),
        "app.key",
        "fail",
        "does not know the client ID",
    ),
    (
        "wrong installation ID",
        |scenario| scenario.parameter(sandbox::PARAMETERS[1], Parameter::string("1")),
        "app.installation",
        "fail",
        "Store 12345678",
    ),
    (
        "not installed on the repository",
        |scenario| {
            scenario
                .github(|github| github.installation_mut().repository_ids = Some(vec![1_296_270]))
        },
        "app.installation",
        "fail",
        "not installed on octo-org/octo-repo",
    ),
    (
        "suspended",
        |scenario| scenario.github(|github| github.installation_mut().suspended = true),
        "app.installation",
        "fail",
        "Unsuspend",
    ),
    (
        "renamed",
        |scenario| scenario.github(|github| github.rename("octo-org/octo-repo", "octo-org/new")),
        "app.installation",
        "fail",
        "renamed or transferred",
    ),
    (
        "IP allow list",
        |scenario| scenario.github(|github| github.installation_mut().ip_allow_list = true),
        "app.installation",
        "fail",
        "allowed network",
    ),
    (
        "permission missing",
        |scenario| {
            scenario.github(|github| {
                github.installation_mut().permissions.remove("contents");
            })
        },
        "app.permissions",
        "fail",
        "does not have contents=read",
    ),
    (
        "more permissions than needed",
        |scenario| {
            scenario.github(|github| {
                github
                    .installation_mut()
                    .permissions
                    .insert("issues".to_owned(), "write".to_owned());
            })
        },
        "app.excess",
        "warn",
        "does not need issues=write",
    ),
    (
        "all repositories",
        |scenario| scenario.github(|github| github.installation_mut().repository_ids = None),
        "app.selection",
        "warn",
        "Select the one repository",
    ),
];

#[test]
fn each_misconfiguration_at_github_fails_its_own_check() {
    for (what, change, id, status, text) in AT_GITHUB {
        let world = World::with(|scenario| change(narrow(scenario)));
        let operator = Operator::new(&world);
        let (code, found) = findings(operator.client(&["check", "--json", "--as-app"]));
        assert_eq!(code, i32::from(*status == "fail"), "{what}: {found:#?}");
        let other = if *status == "fail" { "warn" } else { "fail" };
        assert_eq!(
            (ids(&found, status), ids(&found, other)),
            (vec![(*id).to_owned()], vec![]),
            "{what}: {found:#?}"
        );
        assert!(found[*id].1.contains(text), "{what}: {found:#?}");
        assert_eq!(world.minted(), 0);
    }
}

#[test]
fn permission_that_is_not_accepted_or_misspelled_fails() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    // The App has it; the installation does not.
    world.git.app_permissions(
        json!({ "contents": "write", "metadata": "read", "pull_requests": "write" }),
    );
    for (permissions, text) in [
        (r#"{"contents":"write"}"#, "has not accepted contents=write"),
        (
            r#"{"pull_requests":"write"}"#,
            "has not accepted pull_requests=write",
        ),
        (
            r#"{"pull-requests":"write"}"#,
            "GitHub writes pull_requests",
        ),
        (r#"{"contents":"admin"}"#, "does not have contents=admin"),
    ] {
        set(&mut operator.account(), "PERMISSIONS", permissions);
        let (_, found) = findings(operator.client(&["check", "--json", "--as-app"]));
        assert_eq!(ids(&found, "fail"), ["app.permissions"], "{found:#?}");
        assert!(found["app.permissions"].1.contains(text), "{found:#?}");
    }
}

#[test]
fn mint_compares_and_revokes_one_token() {
    let world = World::with(narrow);
    let operator = Operator::new(&world);
    let (code, found) = findings(operator.client(&["check", "--json", "--mint"]));
    assert_eq!(code, 0, "{found:#?}");
    assert_eq!(
        (
            found["mint.token"].0.as_str(),
            found["mint.revocation"].0.as_str()
        ),
        ("pass", "pass"),
        "{found:#?}"
    );
    assert_eq!(world.minted(), 1);
    assert!(!world.is_alive(&world.newest_token()));
    assert!(!world.cache().exists());

    // What the operator sees is not what runs.
    set(
        &mut operator.account(),
        "PERMISSIONS",
        r#"{"contents":"write"}"#,
    );
    let (_, found) = findings(operator.client(&["check", "--json", "--mint"]));
    assert_eq!(ids(&found, "fail"), ["mint.token"], "{found:#?}");
    assert!(
        found["mint.token"].1.contains("security event"),
        "{found:#?}"
    );
    assert!(!world.is_alive(&world.newest_token()));
}

#[test]
fn mint_reports_what_the_function_says() {
    let world = World::with(|scenario| {
        narrow(scenario).github(|github| github.installation_mut().suspended = true)
    });
    let operator = Operator::new(&world);
    let (code, found) = findings(operator.client(&["check", "--json", "--mint"]));
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
