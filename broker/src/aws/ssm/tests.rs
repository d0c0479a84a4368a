use std::time::{Duration, UNIX_EPOCH};

use http::Uri;
use proptest::prelude::*;

use super::*;
use crate::{config::Network, http::tls::tls};

fn at(endpoint: &'static str) -> Ssm {
    let endpoint = Uri::from_static(endpoint);
    let network = Network::default();
    let upstream = Upstream::new(&endpoint, &network, tls(&network));
    let aws = Aws {
        region: "us-east-1".to_owned(),
        endpoint,
        credentials: Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            Some("session/token==".to_owned()),
            None,
            "a test",
        ),
    };
    Ssm::new(&aws, upstream)
}

/// The signatures are botocore's for the same requests.
#[test]
fn a_request_is_signed_as_aws_expects_it() {
    let now = UNIX_EPOCH + Duration::from_mins(24_015_636);
    for (endpoint, path, signature) in [
        (
            "https://ssm.us-east-1.amazonaws.com",
            "/",
            "1a4b62cd47c349a86cc0470923fc108ced91a3bf102276d6e633d96e0fe6e250",
        ),
        (
            "https://ssm.us-east-1.amazonaws.com:443/?not=sent",
            "/",
            "1a4b62cd47c349a86cc0470923fc108ced91a3bf102276d6e633d96e0fe6e250",
        ),
        (
            "http://127.0.0.1:4566",
            "/",
            "f7415fd9c2179129d7f83c2bbc71776313b6f4a0c3dc760b5ac0ae308237b716",
        ),
        (
            "https://proxy.example.com/a%20b/c",
            "/a%20b/c/",
            "77478083466b7844223bb20bc608a3c9ae61e544606cfd594505c45290e06844",
        ),
    ] {
        let request = at(endpoint)
            .signed(&Bytes::from_static(b"{}"), now)
            .unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), path);
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(
            header("authorization"),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ssm/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature={signature}"
            ),
            "{endpoint}"
        );
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        assert_eq!(header("x-amz-security-token"), "session/token==");
        assert_eq!(header("x-amz-target"), "AmazonSSM.GetParameters");
        assert_eq!(header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(header("user-agent"), "github-token-broker");
        assert_eq!(request.headers().len(), 6, "Host is the connection's");
        assert!(request.headers()["x-amz-security-token"].is_sensitive());
    }
}

fn meaning(status: u16, body: &str) -> SsmFault {
    let status = StatusCode::from_u16(status).unwrap();
    read_answer(status, &HeaderMap::new(), body.as_bytes())
        .map(drop)
        .unwrap_err()
}

#[rustfmt::skip]
#[test]
fn a_refusal_is_told_by_its_code_and_else_by_its_status() {
    for (status, body, expected) in [
        (400, r#"{"__type":"ThrottlingException"}"#, SsmFault::Throttled),
        (400, r#"{"__type":"com.amazonaws.ssm#ThrottlingException:http://a.b/c"}"#, SsmFault::Throttled),
        (400, r#"{"code":"RequestThrottled","__type":"x"}"#, SsmFault::Throttled),
        (400, r#"{"code":400,"__type":"ThrottlingException"}"#, SsmFault::Throttled),
        (500, r#"{"__type":"KMSThrottlingException"}"#, SsmFault::Throttled),
        (400, r#"{"__type":"RequestTimeout"}"#, SsmFault::Unavailable),
        (400, r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#, SsmFault::AccessDenied),
        (400, r#"{"__type":"AccessDeniedException","Message":"to perform: kms:Decrypt"}"#, SsmFault::KmsDenied),
        (400, r#"{"__type":"AccessDeniedException","message":"the ciphertext refers to"}"#, SsmFault::KmsDenied),
        (400, r#"{"__type":"KMSDisabledException"}"#, SsmFault::KmsDenied),
        (400, r#"{"__type":"InvalidKeyId"}"#, SsmFault::KmsDenied),
        (400, r#"{"__type":"ExpiredTokenException"}"#, SsmFault::Refused),
        (400, r#"{"__type":7}"#, SsmFault::Refused),
        (400, "[]", SsmFault::Refused),
        (403, "", SsmFault::Refused),
        (302, "", SsmFault::Refused),
        (429, "<html>", SsmFault::Throttled),
        (400, r#"{"__type":"RequestLimitExceeded"}"#, SsmFault::Throttled),
        (400, r#"{"__type":"TooManyRequestsException"}"#, SsmFault::Throttled),
        (400, r#"{"__type":"SlowDown"}"#, SsmFault::Throttled),
        (400, r#"{"__type":"RequestTimeoutException"}"#, SsmFault::Unavailable),
        (500, r#"{"__type":"AccessDeniedException","message":"kms:Decrypt"}"#, SsmFault::Unavailable),
        (500, r#"{"__type":"InternalServerError"}"#, SsmFault::Unavailable),
        (500, r#"{"__type":"KMSInternalException"}"#, SsmFault::Unavailable),
        (503, "", SsmFault::Unavailable),
        (204, "", SsmFault::Unavailable),
        (200, "", SsmFault::Unavailable),
        (200, "{}", SsmFault::Unavailable),
    ] {
        assert_eq!(meaning(status, body), expected, "{status} {body}");
    }
}

#[test]
fn the_header_names_the_code_and_comes_first() {
    let mut headers = HeaderMap::new();
    let code = HeaderValue::from_static("AccessDeniedException:");
    headers.insert("x-amzn-errortype", code);
    let fault = classify(
        StatusCode::BAD_REQUEST,
        &headers,
        br#"{"__type":"ThrottlingException"}"#,
    );
    assert_eq!(fault, SsmFault::AccessDenied);
}

proptest! {
    #[test]
    fn a_fault_of_the_server_is_never_told_as_if_a_change_were_needed(
        status in 500..600_u16,
        code in "(KMS|InvalidKeyId|[A-Za-z]{0,20})[A-Za-z#:]{0,20}|AccessDeniedException",
        message in "(kms:Decrypt)?.*",
    ) {
        let body = serde_json::json!({ "__type": code, "message": message }).to_string();
        prop_assert!(matches!(meaning(status, &body), SsmFault::Unavailable | SsmFault::Throttled));
    }
}
