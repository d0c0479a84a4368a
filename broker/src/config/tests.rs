use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::scope::RepositoryId;

fn config(changes: &[(&str, &str)]) -> Result<Config, String> {
    let mut environment = HashMap::from([
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
        ("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "octo-org"),
        ("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "octo-repo"),
    ]);
    environment.extend(changes.iter().copied());
    Config::from_lookup(|name| environment.get(name).map(|&value| value.to_owned()))
        .map_err(|error| error.to_string())
}

fn accepted(variable: &str, value: &str) -> Config {
    config(&[(variable, value)]).unwrap_or_else(|error| unreachable!("{value:?}: {error}"))
}

fn rejected(variable: &str, value: &str) -> String {
    config(&[(variable, value)]).map(drop).unwrap_err()
}

#[test]
fn unset_and_blank_variables_have_defaults() {
    for blank in ["", " ", "\t\n"] {
        let config = accepted("GITHUB_TOKEN_BROKER_PERMISSIONS", blank);
        assert_eq!(
            config.scope.permissions.iter().collect::<Vec<_>>(),
            [("contents", "read")]
        );
        assert_eq!(config.api_base.to_string(), "https://api.github.com/");
        assert_eq!(
            config.app.parameters().last().map(|name| name.as_str()),
            Some("/github-token-broker/app/private-key-pem")
        );
    }
}

#[test]
fn all_problems_are_listed_in_table_order() {
    let error = config(&[
        ("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", "api.github.com"),
        ("GITHUB_TOKEN_BROKER_PERMISSIONS", "{}"),
        ("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "client-id"),
        ("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "a/b"),
        ("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", ""),
        ("AWS_REGION", " "),
    ]);
    let expected = "AWS_REGION is required; \
        GITHUB_TOKEN_BROKER_REPOSITORY_OWNER is required; \
        GITHUB_TOKEN_BROKER_REPOSITORY_NAME contains unsupported characters; \
        GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM must be an absolute literal SSM parameter path; \
        GITHUB_TOKEN_BROKER_PERMISSIONS must request at least one permission; \
        GitHub API base URL must be absolute (GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL)";
    assert_eq!(error.map(drop).unwrap_err(), expected);
}

#[test]
fn owner_and_name_are_one_path_segment() {
    for variable in [
        "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
        "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
    ] {
        for value in ["a", " octo.org ", "A_b-c.9", "...", ".github"] {
            accepted(variable, value);
        }
        for value in [
            ".", "..", "a/b", "a b", "a%2e", "é", "a\0", "a?b", "a#b", "*",
        ] {
            assert!(
                rejected(variable, value)
                    .starts_with(&format!("{variable} contains unsupported characters"))
            );
        }
    }
}

#[test]
fn parameter_is_an_absolute_literal_path() {
    let variable = "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM";
    for value in ["/a", "/a/b_c.d-e", " /a "] {
        accepted(variable, value);
    }
    for value in [
        "/",
        "a",
        "a/b",
        "/a:1",
        "/a b",
        "/*",
        "arn:aws:ssm:eu-west-1:1:parameter/a",
        "/é",
    ] {
        let problem = format!("{variable} must be an absolute literal SSM parameter path");
        assert_eq!(rejected(variable, value), problem, "{value}");
    }
}

#[test]
fn permissions_are_a_json_object_of_strings() {
    let variable = "GITHUB_TOKEN_BROKER_PERMISSIONS";
    for value in [
        r#"{"contents":"write"}"#,
        r#" {"a_b":"admin","c":"read"} "#,
        r#"{"unknown":"level"}"#,
    ] {
        accepted(variable, value);
    }
    let problems = [
        ("[]", "must be a JSON object of string-to-string entries"),
        ("null", "must be a JSON object of string-to-string entries"),
        (
            "contents",
            "must be a JSON object of string-to-string entries",
        ),
        (
            r#"{"contents":1}"#,
            "must be a JSON object of string-to-string entries",
        ),
        (
            r#"{"contents":["read"]}"#,
            "must be a JSON object of string-to-string entries",
        ),
        (
            r#"{"contents":"read"} x"#,
            "must be a JSON object of string-to-string entries",
        ),
        (
            r#"{"a":"read","a":"write"}"#,
            "must be a JSON object of string-to-string entries",
        ),
        ("{}", "must request at least one permission"),
        (
            r#"{"":"read"}"#,
            "entries must have non-empty keys and values",
        ),
        (
            r#"{"contents":" "}"#,
            "entries must have non-empty keys and values",
        ),
    ];
    for (value, problem) in problems {
        assert_eq!(
            rejected(variable, value),
            format!("{variable} {problem}"),
            "{value}"
        );
    }
}

#[test]
fn api_base_is_an_https_url_or_loopback() {
    let variable = "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL";
    let good = [
        "https://api.github.com",
        "https://ghe.example.com/api/v3/",
        "https://api.octo.ghe.com:8443",
        "http://localhost:80",
        "http://127.9.9.9:1/api/v3",
        "http://[::1]:8080",
    ];
    for value in good {
        accepted(variable, value);
    }
    let problems = [
        ("api.github.com", "must be absolute"),
        ("/api/v3", "must be absolute"),
        ("https://", "must be absolute"),
        ("https:///api", "must be absolute"),
        ("https://a b", "must be absolute"),
        ("https://é.example.com", "must be absolute"),
        (
            "http://api.github.com",
            "must use https unless the host is loopback",
        ),
        (
            "http://localhost.example.com",
            "must use https unless the host is loopback",
        ),
        (
            "http://127.0.0.1.example.com",
            "must use https unless the host is loopback",
        ),
        (
            "ftp://127.0.0.1",
            "must use https unless the host is loopback",
        ),
        (
            "https://user:password@api.github.com",
            "must have no user info, query or fragment",
        ),
        (
            "https://api.github.com?a=b",
            "must have no user info, query or fragment",
        ),
        (
            "https://api.github.com/#a",
            "must have no user info, query or fragment",
        ),
    ];
    for (value, problem) in problems {
        assert_eq!(
            rejected(variable, value),
            format!("GitHub API base URL {problem} ({variable})"),
            "{value}"
        );
    }
}

#[test]
fn optional_variables_are_checked() {
    assert_eq!(
        accepted("GITHUB_TOKEN_BROKER_REPOSITORY_ID", " 42 ")
            .scope
            .repository_id,
        RepositoryId::parse("42")
    );
    for value in ["0", "-1", "+7", "x", "1.5", "99999999999999999999"] {
        rejected("GITHUB_TOKEN_BROKER_REPOSITORY_ID", value);
    }
    accepted("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Token_Broker");
    for value in ["AWS/Lambda", ":a", "a b", "é", &"x".repeat(256)] {
        rejected("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", value);
    }
    for value in ["debug", "INFO", "Warn", "error"] {
        accepted("GITHUB_TOKEN_BROKER_LOG_LEVEL", value);
    }
    for value in ["verbose", "trace", "fatal"] {
        rejected("GITHUB_TOKEN_BROKER_LOG_LEVEL", value);
    }
}

#[test]
fn parameters_are_distinct() {
    let same = [
        ("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/a"),
        ("GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM", "/a"),
        ("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "/a"),
    ];
    let expected = "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM must name a different parameter than the other variables; \
        GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM must name a different parameter than the other variables";
    assert_eq!(config(&same).map(drop).unwrap_err(), expected);
}

#[test]
fn unreadable_certificates_are_skipped() {
    let authority = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap();
    let good = authority.cert.pem();
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    let read = |text: String| {
        std::fs::write(&file, text).unwrap();
        config(&[("SSL_CERT_FILE", file.to_str().unwrap())]).map(|config| config.network.roots)
    };
    let longest = format!("{good}{}", " ".repeat(4_194_304 - good.len()));
    for text in [
        good.clone(),
        format!("{odd}{good}"),
        format!("# a comment\n{good}{odd}"),
        longest.clone(),
    ] {
        assert_eq!(read(text).unwrap().unwrap().store.len(), 1);
    }
    let too_long = longest + " ";
    for text in [
        String::new(),
        odd.to_owned(),
        "no certificate".to_owned(),
        too_long,
    ] {
        let problem = "SSL_CERT_FILE must name a readable file of PEM certificates";
        assert_eq!(read(text).map(drop).unwrap_err(), problem);
    }
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    for endless in ["/dev/zero", "/dev", "/dev/stdin", pipe.to_str().unwrap()] {
        let problem = "SSL_CERT_FILE must name a readable file of PEM certificates";
        assert_eq!(rejected("SSL_CERT_FILE", endless), problem);
    }
}

#[test]
fn metrics_level_passes_lambdas_filter() {
    for (set, level) in [
        (None, "INFO"),
        (Some("warn"), "WARN"),
        (Some("FATAL"), "FATAL"),
        (Some("x"), "INFO"),
    ] {
        assert_eq!(lambda_log_level(|_| set.map(str::to_owned)), level);
    }
}

#[test]
fn plain_http_to_aws_is_reported_outside_loopback() {
    let unencrypted = |url| accepted("AWS_ENDPOINT_URL", url).unencrypted_endpoints();
    assert_eq!(unencrypted("http://127.0.0.1:1"), []);
    assert_eq!(unencrypted("https://ssm.example.com"), []);
    assert_eq!(unencrypted("http://emulator:4566"), [Service::Ssm]);
}

const KEY_ARN: &str = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn each_value_replaces_its_parameter() {
    let parameters = |changes: &[(&str, &str)]| {
        let config = config(changes).unwrap_or_else(|error| unreachable!("{error}"));
        config.app.parameters().len()
    };
    let client_id = ("GITHUB_TOKEN_BROKER_CLIENT_ID", "Iv23liEXAMPLE");
    let installation_id = ("GITHUB_TOKEN_BROKER_INSTALLATION_ID", "12345678");
    let kms_key = ("GITHUB_TOKEN_BROKER_KMS_KEY_ID", KEY_ARN);
    assert_eq!(parameters(&[]), 3);
    assert_eq!(parameters(&[client_id]), 2);
    assert_eq!(parameters(&[installation_id]), 2);
    assert_eq!(parameters(&[kms_key]), 2);
    assert_eq!(parameters(&[client_id, kms_key]), 1);
    assert_eq!(parameters(&[client_id, installation_id, kms_key]), 0);
}

#[test]
fn value_and_parameter_are_mutually_exclusive() {
    let error = config(&[
        ("GITHUB_TOKEN_BROKER_CLIENT_ID", "Iv23liEXAMPLE"),
        ("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/a"),
        ("GITHUB_TOKEN_BROKER_INSTALLATION_ID", "1"),
        ("GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM", "/b"),
        ("GITHUB_TOKEN_BROKER_KMS_KEY_ID", "alias/a"),
        ("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "/c"),
        ("AWS_USE_FIPS_ENDPOINT", "maybe"),
    ]);
    let expected = "AWS_USE_FIPS_ENDPOINT must be true or false; \
        GITHUB_TOKEN_BROKER_CLIENT_ID and GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM are mutually exclusive; \
        GITHUB_TOKEN_BROKER_INSTALLATION_ID and GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM are mutually exclusive; \
        GITHUB_TOKEN_BROKER_KMS_KEY_ID and GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM are mutually exclusive";
    assert_eq!(error.map(drop).unwrap_err(), expected);
}

#[test]
fn blank_value_does_not_exclude_its_parameter() {
    let blank = [
        ("GITHUB_TOKEN_BROKER_CLIENT_ID", " "),
        ("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/a"),
    ];
    assert!(config(&blank).is_ok());
}

#[test]
fn new_values_are_checked() {
    for (variable, value, problem) in [
        (
            "GITHUB_TOKEN_BROKER_CLIENT_ID",
            "4.47597e+06",
            "contains unsupported characters",
        ),
        (
            "GITHUB_TOKEN_BROKER_CLIENT_ID",
            "undefined",
            "must be a GitHub App client ID or App ID",
        ),
        (
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID",
            "0",
            "must be a positive integer",
        ),
        (
            "GITHUB_TOKEN_BROKER_KMS_KEY_ID",
            "github-app",
            "must be a key ID, key ARN, alias/NAME or alias ARN",
        ),
    ] {
        assert_eq!(rejected(variable, value), format!("{variable} {problem}"));
    }
}

#[test]
fn name_with_owner_is_explained() {
    let hints = |variable: &'static str, value: &'static str| -> Vec<_> {
        let lookup = move |name: &str| (name == variable).then(|| value.to_owned());
        Config::from_lookup(lookup)
            .map(drop)
            .unwrap_err()
            .hints()
            .collect()
    };
    let name = "GITHUB_TOKEN_BROKER_REPOSITORY_NAME";
    for value in [
        "acme/widgets",
        "https://github.com/acme/widgets",
        "a/b/c",
        "acme/widgets.git",
    ] {
        assert!(rejected(name, value).ends_with(" contains unsupported characters"));
        assert_eq!(
            hints(name, value),
            [format!(
                "Set {name} to the name of the repository without the owner."
            )]
        );
    }
    assert!(hints(name, "a b").is_empty());
    assert!(hints("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "a/b").is_empty());
}

#[test]
fn port_is_from_1_to_65535() {
    for port in [
        ":99999", ":abc", ":0", ":443x", ":", ":-1", ":65536", ":+443", ": 443",
    ] {
        let url = format!("https://api.example.com{port}");
        let api_base = rejected("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", &url);
        assert!(
            api_base.starts_with("GitHub API base URL must"),
            "{api_base}"
        );
        for variable in [
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_SSM",
            "AWS_ENDPOINT_URL_KMS",
        ] {
            let problem = rejected(variable, &url);
            assert!(
                problem.starts_with(&format!("{variable} must be an absolute")),
                "{problem}"
            );
        }
        let problem = rejected("HTTPS_PROXY", &format!("http://proxy.example.com{port}"));
        assert!(problem.starts_with("HTTPS_PROXY must be"), "{problem}");
    }
    for url in ["https://http://host", "https://api.example.com:https"] {
        rejected("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", url);
    }
    for url in [
        "https://[::1]",
        "https://[::1]:65535",
        "https://a.example.com:1",
    ] {
        accepted("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", url);
    }
}

#[test]
fn terraform_inputs_are_named_once() {
    let lookup = |name: &str| name.ends_with("_PARAM").then(|| "no path".to_owned());
    let error = Config::from_lookup(lookup).map(drop).unwrap_err();
    assert_eq!(
        error.terraform_inputs(),
        ["repository_owner", "repository_name", "ssm_parameter_paths"]
    );
}

#[test]
fn our_log_level_takes_precedence() {
    let level = |ours: Option<&str>, platforms: Option<&str>| {
        log_level(|name| match name {
            "GITHUB_TOKEN_BROKER_LOG_LEVEL" => ours.map(str::to_owned),
            "AWS_LAMBDA_LOG_LEVEL" => platforms.map(str::to_owned),
            _ => None,
        })
    };
    assert_eq!(level(None, None), Level::INFO);
    assert_eq!(level(None, Some("DEBUG")), Level::DEBUG);
    assert_eq!(level(None, Some("FATAL")), Level::ERROR);
    assert_eq!(level(Some("warn"), Some("DEBUG")), Level::WARN);
}

#[test]
fn only_an_on_demand_start_is_awaited() {
    let waits = |kind: Option<&str>| is_on_demand_start(|_| kind.map(str::to_owned));
    assert!(waits(Some("on-demand")));
    for kind in [None, Some("provisioned-concurrency"), Some("")] {
        assert!(!waits(kind), "{kind:?}");
    }
}

proptest! {
    /// Any environment is a configuration with names that GitHub and SSM accept, or an error.
    #[test]
    fn arbitrary_environment_never_panics_or_is_repeated(value in "(https?://)?\\PC{0,40}", variable in 0..35_usize) {
        let name = env::VARIABLES.iter().chain(&env::STANDARD_VARIABLES).nth(variable).unwrap().name;
        match config(&[(name, &value)]) {
            Ok(config) => {
                prop_assert!(config.scope.repository.to_string().matches('/').count() == 1);
                prop_assert!(config.app.parameters().iter().all(|name| name.as_str().starts_with('/')));
                prop_assert!(!config.scope.permissions.is_empty());
            }
            // A short value can be part of our own words.
            Err(error) => prop_assert!(value.trim().len() < 12 || !error.contains(value.trim())),
        }
    }
}

mod standard_variables;
