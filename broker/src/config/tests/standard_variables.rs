//! The variables that are AWS's or the platform's: endpoints, credentials, proxies.

use super::*;

#[test]
fn the_standard_variables_are_honoured() {
    let both = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:2"),
    ];
    let endpoint = config(&both)
        .unwrap_or_else(|error| unreachable!("{error}"))
        .aws
        .endpoint;
    assert_eq!(endpoint.to_string(), "http://127.0.0.1:2/");
    let host = |variable, value| {
        let endpoint = accepted(variable, value).aws.endpoint;
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
        let fault = "AWS_REGION contains unsupported characters";
        assert_eq!(refused("AWS_REGION", region), fault);
    }
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"] {
        for value in ["a\nb", "a b", "é", "a\0"] {
            let fault = format!("{variable} contains unsupported characters");
            assert_eq!(refused(variable, value), fault);
        }
    }
    assert_eq!(
        refused("AWS_USE_FIPS_ENDPOINT", "yes"),
        "AWS_USE_FIPS_ENDPOINT must be true or false"
    );
    assert_eq!(
        refused("AWS_ACCESS_KEY_ID", ""),
        "AWS_ACCESS_KEY_ID is required"
    );
    let proxy = accepted("https_proxy", "proxy.example.com:3128")
        .network
        .https_proxy;
    assert_eq!(proxy.as_deref(), Some("http://proxy.example.com:3128"));
    for value in ["socks5://proxy", "https://proxy", "http://", "a b"] {
        assert_eq!(
            refused("HTTPS_PROXY", value),
            "HTTPS_PROXY must be the http:// URL of a proxy"
        );
    }
}

#[test]
fn an_endpoint_is_given_or_chosen() {
    for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let beside = |value| {
            [
                ("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1"),
                (variable, value),
            ]
        };
        let fault = "must not be true where AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_SSM is set";
        assert_eq!(
            config(&beside("true")).map(drop).unwrap_err(),
            format!("{variable} {fault}")
        );
        config(&beside("false")).map(drop).unwrap();
    }
    for value in [
        "https://user:password@ssm.example.com",
        "ssm.example.com",
        "ftp://a",
    ] {
        let fault = "AWS_ENDPOINT_URL must be an absolute http or https URL";
        assert_eq!(refused("AWS_ENDPOINT_URL", value), fault);
    }
}
