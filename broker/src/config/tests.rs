use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

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

fn refused(variable: &str, value: &str) -> String {
    config(&[(variable, value)]).map(drop).unwrap_err()
}

#[test]
fn unset_and_blank_variables_have_their_defaults() {
    for blank in ["", " ", "\t\n"] {
        let config = accepted("GITHUB_TOKEN_BROKER_PERMISSIONS", blank);
        assert_eq!(
            config.permissions.iter().collect::<Vec<_>>(),
            [("contents", "read")]
        );
        assert_eq!(config.api_base.to_string(), "https://api.github.com/");
        assert_eq!(
            config.parameters.private_key.as_str(),
            "/github-token-broker/app/private-key-pem"
        );
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_table() {
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
fn an_owner_and_a_name_are_one_path_segment() {
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
                refused(variable, value)
                    .starts_with(&format!("{variable} contains unsupported characters"))
            );
        }
    }
}

#[test]
fn a_parameter_is_an_absolute_literal_path() {
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
        let fault = format!("{variable} must be an absolute literal SSM parameter path");
        assert_eq!(refused(variable, value), fault, "{value}");
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
    let faults = [
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
    for (value, fault) in faults {
        assert_eq!(
            refused(variable, value),
            format!("{variable} {fault}"),
            "{value}"
        );
    }
}

#[test]
fn the_api_base_is_an_https_url_or_loopback() {
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
    let faults = [
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
    for (value, fault) in faults {
        assert_eq!(
            refused(variable, value),
            format!("GitHub API base URL {fault} ({variable})"),
            "{value}"
        );
    }
}

#[test]
fn the_optional_variables_have_rules_too() {
    assert_eq!(
        accepted("GITHUB_TOKEN_BROKER_REPOSITORY_ID", " 42 ").repository_id,
        Some(RepositoryId(42))
    );
    for value in ["0", "-1", "+7", "x", "1.5", "99999999999999999999"] {
        refused("GITHUB_TOKEN_BROKER_REPOSITORY_ID", value);
    }
    accepted("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", "Team/Token_Broker");
    for value in ["AWS/Lambda", ":a", "a b", "é", &"x".repeat(256)] {
        refused("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", value);
    }
    for value in ["debug", "INFO", "Warn", "error"] {
        accepted("GITHUB_TOKEN_BROKER_LOG_LEVEL", value);
    }
    for value in ["verbose", "trace", "fatal"] {
        refused("GITHUB_TOKEN_BROKER_LOG_LEVEL", value);
    }
}

#[test]
fn each_parameter_has_a_name_of_its_own() {
    let same = [
        ("GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM", "/a"),
        ("GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM", "/a"),
        ("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "/a"),
    ];
    let expected = "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM must name a parameter of its own; \
        GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM must name a parameter of its own";
    assert_eq!(config(&same).map(drop).unwrap_err(), expected);
}

#[test]
fn odd_certificates_in_a_bundle_are_left_out() {
    let authority = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap();
    let good = authority.cert.pem();
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    let read = |text: String| {
        std::fs::write(&file, text).unwrap();
        config(&[("SSL_CERT_FILE", file.to_str().unwrap())]).map(|config| config.network.roots)
    };
    for text in [
        good.clone(),
        format!("{odd}{good}"),
        format!("# a comment\n{good}{odd}"),
    ] {
        assert_eq!(read(text).unwrap().unwrap().len(), 1);
    }
    let too_long = format!("{good}{}", " ".repeat(4 * 1024 * 1024));
    for text in [
        String::new(),
        odd.to_owned(),
        "no certificate".to_owned(),
        too_long,
    ] {
        let fault = "SSL_CERT_FILE must name a readable file of PEM certificates";
        assert_eq!(read(text).map(drop).unwrap_err(), fault);
    }
    for endless in ["/dev/zero", "/dev"] {
        let fault = "SSL_CERT_FILE must name a readable file of PEM certificates";
        assert_eq!(refused("SSL_CERT_FILE", endless), fault);
    }
}

#[test]
fn metrics_have_the_level_of_lambdas_filter() {
    for (set, level) in [
        (None, "INFO"),
        (Some("warn"), "WARN"),
        (Some("FATAL"), "FATAL"),
        (Some("x"), "INFO"),
    ] {
        assert_eq!(platforms_filter(|_| set.map(str::to_owned)), level);
    }
}

#[test]
fn plain_http_to_aws_is_safe_only_on_loopback() {
    assert!(!accepted("AWS_ENDPOINT_URL", "http://127.0.0.1:1").reads_secrets_in_the_clear());
    assert!(!accepted("AWS_ENDPOINT_URL", "https://ssm.example.com").reads_secrets_in_the_clear());
    assert!(accepted("AWS_ENDPOINT_URL", "http://emulator:4566").reads_secrets_in_the_clear());
}

#[test]
fn our_log_level_goes_before_the_platforms() {
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
fn only_a_start_on_demand_has_an_invocation_waiting() {
    let waits = |kind: Option<&str>| invocation_waits(|_| kind.map(str::to_owned));
    assert!(waits(Some("on-demand")));
    for kind in [None, Some("provisioned-concurrency"), Some("")] {
        assert!(!waits(kind), "{kind:?}");
    }
}

proptest! {
    /// Whatever stands in the environment: a configuration whose names are what GitHub and SSM accept, or a fault.
    #[test]
    fn no_environment_panics_or_is_repeated(value in "(https?://)?\\PC{0,40}", variable in 0..18_usize) {
        let standard = [
            "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
            "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
        ];
        let names: Vec<_> = env::VARIABLES.iter().map(|ours| ours.name).chain(standard).collect();
        let name = names[variable % names.len()];
        match config(&[(name, &value)]) {
            Ok(config) => {
                prop_assert!(config.repository.to_string().matches('/').count() == 1);
                prop_assert!(config.parameters.client_id.as_str().starts_with('/'));
                prop_assert!(!config.permissions.is_empty());
            }
            // A short value may be a part of our own words.
            Err(error) => prop_assert!(value.trim().len() < 12 || !error.contains(value.trim())),
        }
    }
}

mod standard_variables;
