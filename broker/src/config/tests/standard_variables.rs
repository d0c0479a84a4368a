//! The standard variables: endpoints, credentials, proxies.

use super::*;

#[test]
fn standard_variables_are_honored() {
    let both = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:2"),
    ];
    let endpoint = config(&both)
        .unwrap_or_else(|error| unreachable!("{error}"))
        .ssm
        .url;
    assert_eq!(endpoint.to_string(), "http://127.0.0.1:2/");
    let host = |variable, value| {
        let endpoint = accepted(variable, value).ssm.url;
        endpoint.host().unwrap().to_owned()
    };
    for (variable, value, expected) in [
        (
            "AWS_REGION",
            "cn-north-1",
            "ssm.cn-north-1.amazonaws.com.cn",
        ),
        (
            "AWS_USE_FIPS_ENDPOINT",
            "true",
            "ssm-fips.eu-west-1.amazonaws.com",
        ),
        ("AWS_USE_FIPS_ENDPOINT", "", "ssm.eu-west-1.amazonaws.com"),
        (
            "AWS_USE_DUALSTACK_ENDPOINT",
            "TRUE",
            "ssm.eu-west-1.api.aws",
        ),
    ] {
        assert_eq!(host(variable, value), expected);
    }
    for region in [
        "eu_west_1",
        "EU-WEST-1",
        "eu-west-1.evil.example",
        "a-name-that-is-longer-than-the-sixty-three-letters-of-a-host-s-label",
        "eu west",
        "é",
    ] {
        let problem = "AWS_REGION contains unsupported characters";
        assert_eq!(rejected("AWS_REGION", region), problem);
    }
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"] {
        for value in ["a\nb", "a b", "é", "a\0"] {
            let problem = format!("{variable} contains unsupported characters");
            assert_eq!(rejected(variable, value), problem);
        }
    }
    assert_eq!(
        rejected("AWS_USE_FIPS_ENDPOINT", "yes"),
        "AWS_USE_FIPS_ENDPOINT must be true or false"
    );
    assert_eq!(
        rejected("AWS_ACCESS_KEY_ID", ""),
        "AWS_ACCESS_KEY_ID is required"
    );
    let proxy = accepted("https_proxy", "proxy.example.com:3128")
        .network
        .https_proxy;
    assert_eq!(proxy.as_deref(), Some("http://proxy.example.com:3128"));
    accepted("HTTPS_PROXY", "http://user:p%23ss@proxy.example.com:3128");
    for value in [
        "socks5://proxy",
        "https://proxy",
        "http://",
        "a b",
        "http://user:p#ss@proxy.example.com",
        "http://user:p?ss@proxy.example.com",
        "user:p#ss@proxy.example.com:3128",
    ] {
        let problem = rejected("HTTPS_PROXY", value);
        assert!(
            problem.starts_with("HTTPS_PROXY must be the http:// URL of a proxy"),
            "{value}: {problem}"
        );
    }
}

#[test]
fn key_arn_decides_the_region_of_kms() {
    let endpoint = |changes: &[(&str, &str)]| match config(changes).unwrap().app.key {
        KeySetting::Kms(_, kms) => (kms.region, kms.url.host().unwrap().to_owned()),
        KeySetting::Parameter(_) => unreachable!("a KMS key is set"),
    };
    let arn = ("GITHUB_TOKEN_BROKER_KMS_KEY_ID", KEY_ARN);
    let alias = ("GITHUB_TOKEN_BROKER_KMS_KEY_ID", "alias/github-app");
    let of = |region: &str, host: &str| (region.to_owned(), host.to_owned());
    assert_eq!(
        endpoint(&[arn]),
        of("us-west-2", "kms.us-west-2.amazonaws.com")
    );
    assert_eq!(
        endpoint(&[alias]),
        of("eu-west-1", "kms.eu-west-1.amazonaws.com")
    );
    assert_eq!(
        endpoint(&[arn, ("AWS_USE_FIPS_ENDPOINT", "true")]),
        of("us-west-2", "kms-fips.us-west-2.amazonaws.com")
    );
    let urls = [
        ("AWS_ENDPOINT_URL", "http://any:1"),
        ("AWS_ENDPOINT_URL_KMS", "http://kms:2"),
    ];
    assert_eq!(endpoint(&[arn, urls[0]]), of("us-west-2", "any"));
    assert_eq!(endpoint(&[arn, urls[0], urls[1]]), of("us-west-2", "kms"));
    assert_eq!(
        config(&[arn, urls[0]]).unwrap().unencrypted_endpoints(),
        [Service::Ssm, Service::Kms]
    );
}

#[test]
fn texts_without_a_rule_are_taken_as_they_are() {
    let names = "example.com,.internal";
    let config = config(&[("NO_PROXY", names), ("AWS_SESSION_TOKEN", "session")]).unwrap();
    assert_eq!(config.network.no_proxy.as_deref(), Some(names));
    let CredentialSource::Fixed(keys) = &*config.aws_credentials else {
        unreachable!("both keys are set");
    };
    assert_eq!(
        (
            keys.access_key_id(),
            keys.secret_access_key(),
            keys.session_token()
        ),
        ("AKIAEXAMPLE", "not-a-secret", Some("session"))
    );
}

#[test]
fn container_credentials_replace_missing_static_ones() {
    let url = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    );
    let no_keys = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let source = |changes: &[(&str, &str)]| config(changes).map(|config| config.aws_credentials);
    let [no_access_key, no_secret_key] = no_keys;
    for good in [
        url.1,
        "http://[fd00:ec2::23]/v1/credentials",
        "http://127.0.0.1:1/credentials",
        "https://credentials.example.com",
    ] {
        let url = (url.0, good);
        let container = source(&[url, no_access_key, no_secret_key]).unwrap();
        assert!(matches!(*container, CredentialSource::Container(_)));
    }
    assert!(matches!(
        *source(&[url]).unwrap(),
        CredentialSource::Fixed(_)
    ));
    // Half of a pair is a mistake, not a reason to ask the endpoint.
    for missing in no_keys {
        let problem = source(&[url, missing]).map(drop).unwrap_err();
        assert_eq!(problem, format!("{} is required", missing.0));
    }
    for bad in [
        "http://example.com/",
        "ftp://127.0.0.1",
        "/v1/credentials",
        "http://169.254.170.2:0",
    ] {
        let url = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad);
        let problem = source(&[url, no_access_key, no_secret_key])
            .map(drop)
            .unwrap_err();
        assert!(
            problem.starts_with("AWS_CONTAINER_CREDENTIALS_FULL_URI must be"),
            "{bad}: {problem}"
        );
    }
}

#[test]
fn concurrency_is_one_unless_lambda_says_otherwise() {
    for (text, expected) in [(None, 1), (Some("4"), 4), (Some("0"), 1), (Some("x"), 1)] {
        assert_eq!(max_concurrency(|_| text.map(str::to_owned)), expected);
    }
}

#[test]
fn explicit_endpoint_excludes_fips_and_dual_stack() {
    for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let with_endpoint = |value| {
            [
                ("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1"),
                (variable, value),
            ]
        };
        let problem = "must not be true if an AWS_ENDPOINT_URL variable is set";
        assert_eq!(
            config(&with_endpoint("true")).map(drop).unwrap_err(),
            format!("{variable} {problem}")
        );
        config(&with_endpoint("false")).map(drop).unwrap();
    }
    for value in [
        "https://user:password@ssm.example.com",
        "ssm.example.com",
        "ftp://a",
    ] {
        let problem = "AWS_ENDPOINT_URL must be an absolute http or https URL, with a port from 1 to 65535 or none";
        assert_eq!(rejected("AWS_ENDPOINT_URL", value), problem);
    }
}
