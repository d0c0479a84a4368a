//! The function, its parameters, its role, and the principals that are allowed to invoke it.

use std::fs;

use sandbox::{PARAMETERS, Parameter, Scenario};
use serde_json::{Value, json};

use super::{Case, FUNCTION, POLICY, ROLE, allow, check, ids, invocation, narrow};
use crate::support::World;

fn set(scenario: Scenario, name: &str, value: &str) -> Scenario {
    scenario.variable(&format!("GITHUB_TOKEN_BROKER_{name}"), value)
}

fn remove_statement(scenario: Scenario, index: usize) -> Scenario {
    scenario.iam(move |iam| {
        let policy = iam.role_policy_mut(ROLE, POLICY);
        policy["Statement"].as_array_mut().unwrap().remove(index);
    })
}

const MISCONFIGURATIONS: &[Case] = &[
    Case {
        what: "owner is missing",
        change: |scenario| scenario.without_variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER"),
        options: &[],
        status: "fail",
        ids: &["function.environment"],
        says: "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required | Correct the Terraform input repository_owner",
    },
    Case {
        what: "permissions are not JSON",
        change: |scenario| set(scenario, "PERMISSIONS", "read"),
        options: &[],
        status: "fail",
        ids: &["function.environment"],
        says: "permissions",
    },
    Case {
        what: "two sources of the key",
        change: |scenario| {
            let scenario = set(scenario, "KMS_KEY_ID", sandbox::KMS_KEY_ID);
            set(scenario, "PRIVATE_KEY_PARAM", "/k")
        },
        options: &[],
        status: "fail",
        ids: &["function.environment"],
        says: "mutually exclusive",
    },
    Case {
        what: "environment cannot be decrypted",
        change: |scenario| {
            scenario.function_configuration(|function| {
                function["Environment"] =
                    json!({ "Error": { "ErrorCode": "AccessDeniedException", "Message": "x" } });
            })
        },
        options: &[],
        status: "fail",
        ids: &["function.environment"],
        says: "cannot decrypt",
    },
    Case {
        what: "old runtime",
        change: |scenario| {
            scenario.function_configuration(|function| function["Runtime"] = "provided.al2".into())
        },
        options: &[],
        status: "fail",
        ids: &["function.runtime"],
        says: "provided.al2023",
    },
    Case {
        what: "failed deployment",
        change: |scenario| {
            scenario.function_configuration(|function| function["State"] = "Failed".into())
        },
        options: &[],
        status: "fail",
        ids: &["function.exists"],
        says: "Deploy the function again",
    },
    Case {
        what: "short timeout",
        change: |scenario| {
            scenario.function_configuration(|function| function["Timeout"] = 3.into())
        },
        options: &[],
        status: "warn",
        ids: &["function.timeout"],
        says: "Raise the Terraform input timeout to 10",
    },
    Case {
        what: "clock of this machine",
        change: |scenario| scenario.aws_clock(180),
        options: &[],
        status: "warn",
        ids: &["clock"],
        says: "Synchronize this machine's clock",
    },
    Case {
        what: "parameter missing, or in a different region",
        change: |scenario| scenario.without_parameter(PARAMETERS[0]),
        options: &[],
        status: "fail",
        ids: &["parameters.exist"],
        says: "Parameter Store has no /github-token-broker/app/client-id in us-east-1",
    },
    Case {
        what: "parameter in a different path",
        change: |scenario| set(scenario, "CLIENT_ID_PARAM", "/other/client-id"),
        options: &[],
        status: "fail",
        ids: &["parameters.exist", "role.permissions"],
        says: "change the Terraform input ssm_parameter_paths",
    },
    Case {
        what: "private key of the wrong type",
        change: |scenario| {
            scenario.parameter(
                PARAMETERS[2],
                Parameter::string("-----BEGIN RSA PRIVATE KEY-----"),
            )
        },
        options: &[],
        status: "fail",
        ids: &["parameters.private_key"],
        says: "Rotate the App's key",
    },
    Case {
        what: "private key in the parameter of the client ID",
        change: |scenario| {
            let key = Parameter::string("-----BEGIN RSA PRIVATE KEY-----\nx");
            scenario.parameter(PARAMETERS[0], key)
        },
        options: &[],
        status: "fail",
        ids: &["parameters.client_id"],
        says: "rotate the key at once",
    },
    Case {
        what: "client ID in exponent notation",
        change: |scenario| scenario.parameter(PARAMETERS[0], Parameter::string("4.47597e+06")),
        options: &[],
        status: "fail",
        ids: &["parameters.client_id"],
        says: "not a client ID",
    },
    Case {
        what: "installation ID that is no number",
        change: |scenario| scenario.parameter(PARAMETERS[1], Parameter::string("0x12")),
        options: &[],
        status: "fail",
        ids: &["parameters.installation_id"],
        says: "not an installation ID",
    },
    Case {
        what: "parameter under a key that the role is not allowed to use",
        change: |scenario| {
            let key = Parameter::secure_string("k");
            scenario.parameter(PARAMETERS[2], key.encrypted_with("1234abcd"))
        },
        options: &[],
        status: "fail",
        ids: &["role.permissions"],
        says: "kms:Decrypt on arn:aws:kms:us-east-1:123456789012:key/1234abcd",
    },
    Case {
        what: "parameter under an alias of such a key",
        change: |scenario| {
            let key = Parameter::secure_string("k").encrypted_with("alias/parameters");
            scenario
                .kms(|kms| kms.put_symmetric_key("us-east-1", "5678abcd", "alias/parameters"))
                .parameter(PARAMETERS[2], key)
        },
        options: &[],
        status: "fail",
        ids: &["role.permissions"],
        says: "kms:Decrypt on arn:aws:kms:us-east-1:123456789012:key/5678abcd",
    },
    Case {
        what: "role cannot read the parameters",
        change: |scenario| remove_statement(scenario, 0),
        options: &[],
        status: "fail",
        ids: &["role.permissions"],
        says: "is not allowed to call ssm:GetParameters on arn:aws:ssm:us-east-1:123456789012:parameter/github-token-broker/app/client-id",
    },
    Case {
        what: "role cannot log",
        change: |scenario| remove_statement(scenario, 1),
        options: &[],
        status: "fail",
        ids: &["role.permissions"],
        says: "logs:PutLogEvents",
    },
    Case {
        what: "role can do everything",
        change: |scenario| {
            let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
            allow(scenario, everything)
        },
        options: &[],
        status: "fail",
        ids: &["role.excess"],
        says: "ssm:GetParametersByPath",
    },
    Case {
        what: "role can do everything by a managed policy",
        change: |scenario| {
            let everything =
                json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
            let arn = "arn:aws:iam::aws:policy/AdministratorAccess";
            scenario.iam(move |iam| iam.attach_role_policy(ROLE, arn, everything))
        },
        options: &[],
        status: "fail",
        ids: &["role.excess"],
        says: "ssm:GetParametersByPath",
    },
    Case {
        what: "role can sign with every key",
        change: |scenario| {
            let every_key = json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" });
            allow(scenario, every_key)
        },
        options: &[],
        status: "fail",
        ids: &["role.excess"],
        says: "is allowed to call kms:Decrypt, kms:Sign on every resource",
    },
    Case {
        what: "alias in the role's policy",
        change: |scenario| {
            let alias = "arn:aws:kms:us-east-1:123456789012:alias/app";
            allow(
                scenario,
                json!({ "Effect": "Allow", "Action": ["kms:Sign"], "Resource": alias }),
            )
        },
        options: &[],
        status: "fail",
        ids: &["role.alias"],
        says: "alias/app, which allows nothing",
    },
    Case {
        what: "anyone is allowed to invoke",
        change: |scenario| scenario.function_policy(invocation(&"*".into(), None)),
        options: &[],
        status: "fail",
        ids: &["function.invokers"],
        says: "anyone in any AWS account",
    },
    Case {
        what: "anyone is allowed to invoke, as a list",
        change: |scenario| scenario.function_policy(invocation(&json!({ "AWS": ["*"] }), None)),
        options: &[],
        status: "fail",
        ids: &["function.invokers"],
        says: "anyone in any AWS account",
    },
];

#[test]
fn each_misconfiguration_of_the_account_fails_its_own_check() {
    MISCONFIGURATIONS.iter().for_each(Case::run);
}

#[test]
fn role_below_a_path_is_found() {
    let world = World::with(|scenario| {
        narrow(scenario).function_configuration(|function| {
            function["Role"] = "arn:aws:iam::123456789012:role/service/github-token-broker".into();
        })
    });
    let (_, found) = check(&world, &[]);
    assert_eq!(found["role.permissions"].0, "pass", "{found:#?}");
    assert_eq!(found["role.alias"].0, "pass", "{found:#?}");
}

#[test]
fn named_callers_are_right_and_doubtful_ones_are_warnings() {
    let status = |principal: Value, condition: Option<Value>| {
        let policy = invocation(&principal, condition);
        let world = World::with(|scenario| narrow(scenario).function_policy(policy));
        let (code, found) = check(&world, &[]);
        assert_eq!(code, 0, "{found:#?}");
        found["function.invokers"].clone()
    };
    let role = "arn:aws:iam::123456789012:role/ci";
    assert_eq!(status(json!({ "AWS": role }), None).0, "pass");
    let account = json!({ "AWS": "arn:aws:iam::123456789012:root" });
    assert_eq!(status(account, None).0, "pass");
    let organization = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
    for (principal, condition, text) in [
        (json!("*"), Some(organization), "aws:PrincipalOrgID"),
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
    let service = json!({ "Service": "events.amazonaws.com" });
    assert_eq!(status(service, Some(source)).0, "pass");
}

#[test]
fn identities_that_are_allowed_to_invoke_every_function_are_a_warning() {
    let everything = || json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let found = |statement: Value| {
        let world = World::with(|scenario| {
            narrow(scenario).iam(move |iam| {
                let arn = "arn:aws:iam::aws:policy/AdministratorAccess";
                iam.attach_role_policy("admin", arn, json!({ "Statement": everything() }));
                iam.put_user_policy("octo", "p", json!({ "Statement": statement }));
            })
        });
        check(&world, &[]).1["identity.invokers"].clone()
    };
    let allow = |action: &str, resource: &str| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    let other = "arn:aws:lambda:us-east-1:123456789012:function:other";
    for (statement, status, text) in [
        (
            allow("lambda:InvokeFunction", FUNCTION),
            "pass",
            "user/octo; administrators: 1",
        ),
        (
            allow("lambda:GetFunction", "*"),
            "pass",
            "no identity policy allows it; administrators: 1",
        ),
        (
            allow("lambda:InvokeFunction", other),
            "pass",
            "no identity policy",
        ),
        (everything(), "pass", "administrators: 2"),
        (
            allow("lambda:Invoke*", "*"),
            "warn",
            "user/octo allow lambda:InvokeFunction on every function",
        ),
    ] {
        let (of, detail) = found(statement);
        assert!(of == status && detail.contains(text), "{of} {detail}");
    }
}

#[test]
fn code_is_compared_with_the_checksums_of_a_release() {
    let world = World::with(narrow);
    let (_, found) = check(&world, &[]);
    let (status, detail) = &found["function.code"];
    assert_eq!(status, "skip", "{found:#?}");
    let sum = detail
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 64)
        .unwrap();
    let file = world.home.path().join("checksums.txt");
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
        let (_, found) = check(&world, &["--checksums", file.to_str().unwrap()]);
        let failed = if status == "fail" {
            vec!["function.code".to_owned()]
        } else {
            vec![]
        };
        assert_eq!(ids(&found, "fail"), failed, "{found:#?}");
        assert!(
            found["function.code"].0 == status && found["function.code"].1.contains(part),
            "{found:#?}"
        );
    }
}

/// A name alone would be a function in the caller's account.
#[test]
fn resource_policy_is_that_of_the_function_in_its_own_account() {
    let world = World::with(narrow);
    check(&world, &[]);
    let requests = world.aws_requests().into_iter();
    let paths: Vec<_> = requests
        .map(|request| request.path)
        .filter(|path| path.contains("/policy"))
        .collect();
    let arn = FUNCTION.replace(':', "%3A");
    assert_eq!(paths, [format!("/2015-03-31/functions/{arn}/policy")]);
}
