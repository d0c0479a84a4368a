//! What a request to SSM has to look like.

use super::*;
use crate::clock::amz_date;

const SIGNED: &str = "content-type;host;x-amz-date;x-amz-security-token";

fn signer() -> Signer {
    Signer {
        region: "eu-west-1".to_owned(),
        access_key: "AKIA".to_owned(),
        secret_key: "secret".to_owned(),
        session_token: Some("session".to_owned()),
    }
}

/// A request that is right but for one thing, and signed as it is.
struct Case {
    method: Method,
    header: (&'static str, &'static str),
    seconds_ago: i64,
    access_key: &'static str,
    scope: &'static str,
    day_of_scope: i64,
    secret_key: &'static str,
    body: &'static str,
}

const RIGHT: Case = Case {
    method: Method::POST,
    header: ("host", "ssm.eu-west-1.amazonaws.com"),
    seconds_ago: 0,
    access_key: "AKIA",
    scope: "eu-west-1/ssm",
    day_of_scope: 0,
    secret_key: "secret",
    body: r#"{"WithDecryption":true}"#,
};

fn violations(case: &Case) -> Vec<String> {
    let now = Clock::default().now() - case.seconds_ago;
    let mut request = Request::builder()
        .method(&case.method)
        .header("host", "ssm.eu-west-1.amazonaws.com")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-date", amz_date(now))
        .header("x-amz-security-token", "session")
        .body(Bytes::from_static(case.body.as_bytes()))
        .expect("a request");
    let (name, value) = case.header;
    request
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    let day = amz_date(now - case.day_of_scope * 24 * 60 * 60);
    let scope = format!(
        "{}/{}/{}/aws4_request",
        case.access_key,
        &day[..8],
        case.scope
    );
    let authorization = sigv4::authorization(&request, &scope, SIGNED, case.secret_key);
    request
        .headers_mut()
        .insert("authorization", authorization.parse().expect("a header"));
    contract_violations(&request, &signer())
}

#[test]
fn a_request_to_ssm_is_held_to_the_letter() {
    assert_eq!(violations(&RIGHT), Vec::<String>::new());
    for (wrong, case) in [
        (
            "method",
            Case {
                method: Method::PUT,
                ..RIGHT
            },
        ),
        (
            "content-type",
            Case {
                header: ("content-type", "application/json"),
                ..RIGHT
            },
        ),
        (
            "X-Amz-Date",
            Case {
                seconds_ago: 400,
                ..RIGHT
            },
        ),
        (
            "X-Amz-Date",
            Case {
                seconds_ago: -400,
                ..RIGHT
            },
        ),
        (
            "X-Amz-Date",
            Case {
                day_of_scope: 1,
                ..RIGHT
            },
        ),
        (
            "scope",
            Case {
                scope: "us-east-1/ssm",
                ..RIGHT
            },
        ),
        (
            "scope",
            Case {
                scope: "eu-west-1/s3",
                ..RIGHT
            },
        ),
        (
            "access key",
            Case {
                access_key: "ASIA",
                ..RIGHT
            },
        ),
        (
            "signature",
            Case {
                secret_key: "another",
                ..RIGHT
            },
        ),
        (
            "X-Amz-Security-Token",
            Case {
                header: ("x-amz-security-token", "another"),
                ..RIGHT
            },
        ),
        (
            "WithDecryption",
            Case {
                body: r#"{"WithDecryption":false}"#,
                ..RIGHT
            },
        ),
    ] {
        let found = violations(&case);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(found[0].contains(wrong), "{wrong}: {found:?}");
    }
}
