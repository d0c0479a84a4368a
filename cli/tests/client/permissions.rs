//! The IAM policies of the operator commands: the book shows what the commands need, not less and not more.

use std::collections::{BTreeMap, BTreeSet};

use github_token_broker::aws::operator::ACTIONS;
use sandbox::RecordedRequest;
use serde_json::{Value, json};

use crate::{
    key::{EVERY_KEY, allow_signing, with_alias},
    support::{World, aws_action},
};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:github-token-broker";
const ROLE: &str = "arn:aws:iam::123456789012:role/github-token-broker";
const PARAMETERS: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/github-token-broker/*";
const ALIASES: &str = "arn:aws:kms:us-east-1:123456789012:alias/*";

/// The policy in the book for an operator that runs this command only.
pub(crate) fn policy(command: &str) -> Value {
    let mut by_resources = BTreeMap::<Vec<&str>, Vec<String>>::new();
    for action in documented(command) {
        by_resources
            .entry(resources(&action))
            .or_default()
            .push(action);
    }
    let statements = by_resources.iter().map(|(resources, actions)| {
        json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
    });
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Value>() })
}

/// What an action can be limited to.
fn resources(action: &str) -> Vec<&'static str> {
    match action.split_once(':').unwrap() {
        // They have no resource.
        (_, "CreateKey" | "DescribeParameters" | "GetAccountAuthorizationDetails") => vec!["*"],
        // AWS checks the alias and the key.
        (_, "CreateAlias" | "UpdateAlias") => vec![ALIASES, EVERY_KEY],
        ("kms", _) => vec![EVERY_KEY],
        ("ssm", _) => vec![PARAMETERS],
        ("lambda", _) => vec![FUNCTION],
        ("iam", _) => vec![ROLE],
        (other, _) => panic!("no resource of {other}"),
    }
}

/// What a request needs: an action, and the ARN of the resource as far as the request names it.
fn needs(request: &RecordedRequest) -> Vec<(String, String)> {
    let action = aws_action(request);
    let (service, operation) = action.split_once(':').unwrap();
    let (body, form) = (request.json(), url::form_urlencoded::parse(&request.body));
    let form: BTreeMap<_, _> = form.into_owned().collect();
    let names = [
        vec![body["Name"].clone()],
        body["Names"].as_array().cloned().unwrap_or_default(),
    ]
    .concat();
    let mut needs = Vec::new();
    let mut need = |action: &str, resource: String| needs.push((action.to_owned(), resource));
    match service {
        "ssm" if operation != "DescribeParameters" => {
            for name in names.iter().filter_map(Value::as_str) {
                need(
                    &action,
                    format!("arn:aws:ssm:us-east-1:123456789012:parameter{name}"),
                );
            }
        }
        "kms" if operation != "CreateKey" => need(&action, EVERY_KEY.replace('*', "an-id")),
        "lambda" => {
            let function = request.path.split('/').nth(3).unwrap();
            let name = function.rsplit("%3A").next().unwrap(); // it is a name or an ARN
            need(
                &action,
                format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
            );
        }
        "iam" if operation != "GetAccountAuthorizationDetails" => {
            let role = form
                .get("RoleName")
                .map(|name| format!("arn:aws:iam::123456789012:role/{name}"));
            need(
                &action,
                role.unwrap_or_else(|| form["PolicySourceArn"].clone()),
            );
        }
        _ => need(&action, "*".to_owned()),
    }
    // SSM uses the caller's permission.
    if body["WithDecryption"] == true {
        need("kms:Decrypt", EVERY_KEY.replace('*', "an-id"));
    }
    if body["Type"] == "SecureString" {
        need("kms:Encrypt", EVERY_KEY.replace('*', "an-id"));
    }
    if let Some(alias) = body["AliasName"].as_str() {
        need(
            &action,
            format!("arn:aws:kms:us-east-1:123456789012:{alias}"),
        );
    }
    needs
}

/// The actions that the client needed so far. Each is allowed by the policies of these commands.
pub(crate) fn needed(world: &World, commands: &[&str]) -> BTreeSet<String> {
    let policies: Vec<Value> = commands.iter().map(|command| policy(command)).collect();
    let allows = |action: &str, resource: &str| {
        let mut statements = policies
            .iter()
            .flat_map(|policy| policy["Statement"].as_array().unwrap());
        statements.any(|statement| {
            let lists = |name: &str, matches: &dyn Fn(&str) -> bool| {
                let mut list = statement[name].as_array().unwrap().iter();
                list.any(|text| matches(text.as_str().unwrap()))
            };
            lists("Action", &|text| text == action)
                && lists("Resource", &|text| match text.strip_suffix('*') {
                    Some(prefix) => resource.starts_with(prefix),
                    None => resource == text,
                })
        })
    };
    let requests = world.aws_requests();
    let requests = requests
        .iter()
        .filter(|request| aws_action(request) != "sts:GetCallerIdentity");
    let needs: Vec<_> = requests.flat_map(needs).collect();
    for (action, resource) in &needs {
        assert!(
            allows(action, resource),
            "{commands:?} cannot call {action} on {resource}"
        );
    }
    needs.into_iter().map(|(action, _)| action).collect()
}

/// The actions in the book's table.
pub(crate) fn documented(command: &str) -> BTreeSet<String> {
    let found = ACTIONS.iter().find(|(name, _)| *name == command);
    found.unwrap().1.iter().map(ToString::to_string).collect()
}

/// All actions that these runs need, each with a PEM on standard input, without and with KMS. The policies of these commands
/// allow them.
fn sent(runs: &[&[&str]], commands: &[&str]) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for kms in [false, true] {
        let new = sandbox::PrivateKey::fresh(2048);
        let public = new.public();
        let world = World::with(|scenario| {
            let scenario = scenario.github(move |github| github.app_mut().keys.push(public));
            if kms {
                with_alias(scenario).iam(|iam| allow_signing(iam, &[EVERY_KEY]))
            } else {
                let key = "11111111-2222-3333-4444-555555555555";
                let private_key = sandbox::PrivateKey::rsa(2048).pem();
                let parameter = sandbox::Parameter::secure_string(private_key);
                scenario
                    .kms(move |kms| kms.put_symmetric_key("us-east-1", key, "alias/parameters"))
                    .parameter(
                        sandbox::PARAMETERS[2],
                        parameter.encrypted_with("alias/parameters"),
                    )
            }
        });
        for run in runs {
            world.client(run).stdin(new.pem()).run();
        }
        actions.extend(needed(&world, commands));
    }
    actions
}

#[test]
fn operators_need_exactly_the_documented_actions() {
    let check = documented("check");
    assert_eq!(sent(&[&["check"]], &["check"]), check);
    for (option, command) in [("--as-app", "check --as-app"), ("--mint", "check --mint")] {
        let both = check.union(&documented(command)).cloned().collect();
        assert_eq!(sent(&[&["check", option]], &["check", command]), both);
    }
    let fingerprint: [&[&str]; 2] = [
        &["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS],
        &["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]],
    ];
    for (runs, command) in [
        (&fingerprint[..], "key fingerprint"),
        (
            &[&[
                "key",
                "import",
                "--ssm",
                "/github-token-broker/k",
                "--key-id",
                "alias/k",
            ]],
            "key import --ssm",
        ),
        (&[&["key", "rotate"]], "key rotate"),
    ] {
        assert_eq!(sent(runs, &[command]), documented(command), "{command}");
    }
    // Only an import that fails schedules the deletion of the key.
    let import: [&[&str]; 2] = [
        &["key", "import", "--alias", "a"],
        &["key", "import", "--key-id", sandbox::KMS_ALIAS],
    ];
    let mut import = sent(&import, &["key import"]);
    assert!(import.insert("kms:ScheduleKeyDeletion".to_owned()));
    assert_eq!(import, documented("key import"));
}
