//! The App as GitHub sees it, with `--as-app`.

use sandbox::{PARAMETERS, Parameter, Scenario};
use serde_json::json;

use super::{Case, check, ids, narrow};
use crate::support::World;

/// A case with `--as-app`.
const fn at_github(
    what: &'static str,
    change: fn(Scenario) -> Scenario,
    status: &'static str,
    ids: &'static [&'static str],
    says: &'static str,
) -> Case {
    Case {
        what,
        change,
        options: &["--as-app"],
        status,
        ids,
        says,
    }
}

const MISCONFIGURATIONS: &[Case] = &[
    at_github(
        "key of a different App",
        |scenario| {
            let key = sandbox::PrivateKey::fresh(2048).pem();
            scenario.parameter(PARAMETERS[2], Parameter::secure_string(key))
        },
        "fail",
        &["app.key"],
        "does not belong to the App",
    ),
    at_github(
        "mangled key",
        |scenario| scenario.parameter(PARAMETERS[2], Parameter::secure_string("MIIE")),
        "fail",
        &["app.key"],
        "unchanged",
    ),
    at_github(
        "unknown client ID",
        |scenario| scenario.parameter(PARAMETERS[0], Parameter::string("Iv23unknown")),
        "fail",
        &["app.key"],
        "does not know the client ID",
    ),
    at_github(
        "wrong installation ID",
        |scenario| scenario.parameter(PARAMETERS[1], Parameter::string("1")),
        "fail",
        &["app.installation"],
        "Store 12345678",
    ),
    at_github(
        "not installed on the repository",
        |scenario| {
            scenario
                .github(|github| github.installation_mut().repository_ids = Some(vec![1_296_270]))
        },
        "fail",
        &["app.installation"],
        "not installed on octo-org/octo-repo",
    ),
    at_github(
        "suspended",
        |scenario| scenario.github(|github| github.installation_mut().suspended = true),
        "fail",
        &["app.installation"],
        "Unsuspend",
    ),
    at_github(
        "renamed",
        |scenario| scenario.github(|github| github.rename("octo-org/octo-repo", "octo-org/new")),
        "fail",
        &["app.installation"],
        "renamed or transferred",
    ),
    at_github(
        "IP allow list",
        |scenario| scenario.github(|github| github.installation_mut().ip_allow_list = true),
        "fail",
        &["app.installation"],
        "allowed network",
    ),
    at_github(
        "permission that the App does not have",
        |scenario| {
            scenario.github(|github| {
                github.app_mut().permissions.remove("contents");
                github.installation_mut().permissions.remove("contents");
            })
        },
        "fail",
        &["app.permissions"],
        "does not have contents=read",
    ),
    at_github(
        "permission that the organization has not accepted",
        |scenario| {
            scenario.github(|github| {
                github.installation_mut().permissions.remove("contents");
            })
        },
        "fail",
        &["app.permissions"],
        "octo-org has not accepted contents=read",
    ),
    at_github(
        "more permissions than needed",
        |scenario| {
            scenario.github(|github| {
                let issues = ("issues".to_owned(), "write".to_owned());
                github.app_mut().permissions.extend([issues.clone()]);
                github.installation_mut().permissions.extend([issues]);
            })
        },
        "warn",
        &["app.excess"],
        "does not need issues=write",
    ),
    at_github(
        "all repositories",
        |scenario| scenario.github(|github| github.installation_mut().repository_ids = None),
        "warn",
        &["app.selection"],
        "Select the one repository",
    ),
    at_github(
        "clock that differs from GitHub's",
        |scenario| scenario.github(|github| github.clock.shift(-40)),
        "warn",
        &["app.clock"],
        "Synchronize this machine's clock",
    ),
    at_github(
        "few requests left",
        |scenario| scenario.github(|github| github.requests_this_hour = 4800),
        "warn",
        &["app.rate_limit"],
        "Find out what else uses the App",
    ),
    at_github(
        "wrong API base URL",
        |scenario| {
            scenario.variable(
                "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
                "http://127.0.0.1:1/api/v3",
            )
        },
        "fail",
        &["app.key"],
        "github_api_base_url",
    ),
];

#[test]
fn each_misconfiguration_at_github_fails_its_own_check() {
    MISCONFIGURATIONS.iter().for_each(Case::run);
}

#[test]
fn clock_with_which_github_rejects_the_jwt_fails() {
    let world = World::with(|scenario| narrow(scenario).github(|github| github.clock.shift(-3600)));
    let (_, found) = check(&world, &["--as-app"]);
    assert_eq!(ids(&found, "fail"), ["app.key"], "{found:#?}");
    assert_eq!(ids(&found, "warn"), ["app.clock"], "{found:#?}");
    let (_, says) = &found["app.key"];
    assert_eq!(
        says,
        "GitHub rejects the time in the JWT | Synchronize this machine's clock"
    );
}

#[test]
fn permission_that_is_not_accepted_or_misspelled_fails() {
    for (permission, level, text) in [
        ("contents", "write", "has not accepted contents=write"),
        (
            "pull_requests",
            "write",
            "has not accepted pull_requests=write",
        ),
        ("pull-requests", "write", "GitHub's name is pull_requests"),
        ("contents", "admin", "does not have contents=admin"),
    ] {
        let world = World::with(|scenario| {
            narrow(scenario)
                .permissions(&[(permission, level)])
                .github(|github| {
                    // The App has them; the installation does not.
                    let requested = [("contents", "write"), ("pull_requests", "write")];
                    let requested =
                        requested.map(|(name, level)| (name.to_owned(), level.to_owned()));
                    github.app_mut().permissions.extend(requested);
                })
        });
        let (_, found) = check(&world, &["--as-app"]);
        assert_eq!(ids(&found, "fail"), ["app.permissions"], "{found:#?}");
        assert!(found["app.permissions"].1.contains(text), "{found:#?}");
    }
}

#[test]
fn certificate_authority_that_is_not_trusted_is_named() {
    let world = World::with(|scenario| narrow(scenario).tls());
    let bundle = world.sandbox().ca_bundle().unwrap();
    let client = || {
        world
            .client(&["check", "--json", "--as-app"])
            .env("AWS_CA_BUNDLE", &bundle)
    };
    let (_, found) = super::findings(client().env("SSL_CERT_FILE", &bundle));
    assert_eq!(ids(&found, "fail"), Vec::<String>::new(), "{found:#?}");
    let (code, found) = super::findings(client());
    assert_eq!(code, 1, "{found:#?}");
    let said: String = found.values().map(|(_, says)| says.as_str()).collect();
    assert!(
        said.contains("certificate") && said.contains("SSL_CERT_FILE"),
        "{said}"
    );
}

#[test]
fn role_of_github_actions_with_a_subject_in_the_old_form_is_a_warning() {
    let found = |condition: serde_json::Value| {
        let world = World::with(|scenario| {
            narrow(scenario).iam(move |iam| {
                let invoke = json!({ "Statement": { "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": super::FUNCTION } });
                iam.put_role_policy("ci", "p", invoke);
                iam.set_trust_policy("ci", json!({ "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" },
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": condition,
                }] }));
            })
        });
        check(&world, &[]).1["identity.github_actions"].clone()
    };
    let subject = |operator: &str, subject: &str| {
        json!({ operator: {
        "token.actions.githubusercontent.com:sub": subject,
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
    } })
    };
    for (condition, status, text) in [
        (
            subject(
                "StringEquals",
                "repo:octo-org@1/octo-repo@1296269:ref:refs/heads/main",
            ),
            "pass",
            "role/ci",
        ),
        (
            subject("StringLike", "repo:octo-org/octo-repo:*"),
            "warn",
            "repo:octo-org/octo-repo:*",
        ),
        (
            subject("StringLike", "*"),
            "fail",
            "any repository on GitHub",
        ),
        (
            json!({ "StringEquals": { "token.actions.githubusercontent.com:aud": "sts.amazonaws.com" } }),
            "fail",
            "any repository on GitHub",
        ),
    ] {
        let (of, detail) = found(condition);
        assert!(of == status && detail.contains(text), "{of} {detail}");
    }
}
