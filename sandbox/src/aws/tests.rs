//! What a call of the function to AWS must look like.

use super::*;

const BODY: &str = r#"{"WithDecryption":true}"#;

fn signer() -> Signer {
    Signer::new("AKIA", "secret", Some("session"), "eu-west-1")
}

fn request(method: &str, body: &'static str) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri("/")
        .header("host", "ssm.eu-west-1.amazonaws.com")
        .header(CONTENT_TYPE, JSON)
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}

fn signed(mut request: Request<Bytes>, signer: &Signer, service: &str) -> Request<Bytes> {
    sigv4::sign(&mut request, signer, service);
    request
}

fn found(request: &Request<Bytes>) -> Vec<String> {
    contract_violations(Call::GetParameters, request, &signer())
}

#[test]
fn correct_request_to_ssm_has_no_violation() {
    let correct = signed(request("POST", BODY), &signer(), "ssm");
    assert_eq!(found(&correct), Vec::<String>::new());
}

#[test]
fn each_deviation_of_a_request_to_ssm_is_one_violation() {
    let with = |name: &'static str, value: &str| {
        let mut changed = request("POST", BODY);
        changed
            .headers_mut()
            .insert(name, value.parse().expect("printable"));
        signed(changed, &signer(), "ssm")
    };
    let by = |signer: Signer| signed(request("POST", BODY), &signer, "ssm");
    let mut tampered = signed(request("POST", BODY), &signer(), "ssm");
    *tampered.body_mut() = Bytes::from_static(br#"{"WithDecryption":true }"#);
    let mut redirected = signed(request("POST", BODY), &signer(), "ssm");
    *redirected.method_mut() = http::Method::PUT;
    let session = Some("session");
    for (expected, request) in [
        ("Content-Type", with("content-type", "application/json")),
        ("signature", tampered),
        ("signature", redirected),
        (
            "signature",
            by(Signer::new("AKIA", "different", session, "eu-west-1")),
        ),
        (
            "scope",
            by(Signer::new("ASIA", "secret", session, "eu-west-1")),
        ),
        (
            "scope",
            by(Signer::new("AKIA", "secret", session, "us-east-1")),
        ),
        ("scope", signed(request("POST", BODY), &signer(), "s3")),
        (
            "X-Amz-Security-Token",
            by(Signer::new(
                "AKIA",
                "secret",
                Some("different"),
                "eu-west-1",
            )),
        ),
        (
            "X-Amz-Security-Token",
            by(Signer::new("AKIA", "secret", None, "eu-west-1")),
        ),
        (
            "WithDecryption",
            signed(
                request("POST", r#"{"WithDecryption":false}"#),
                &signer(),
                "ssm",
            ),
        ),
        ("no Authorization header", request("POST", BODY)),
    ] {
        let violations = found(&request);
        assert_eq!(violations.len(), 1, "{expected}: {violations:?}");
        assert!(
            violations[0].contains(expected),
            "{expected}: {violations:?}"
        );
    }
}

#[test]
fn time_of_a_signature_must_be_within_five_minutes() {
    let correct = signed(request("POST", BODY), &signer(), "ssm");
    let at = |now| sigv4::violations(&correct, &signer(), "ssm", now).len();
    let seconds = std::time::Duration::from_secs;
    assert_eq!(at(SystemTime::now() + seconds(290)), 0);
    assert_eq!(at(SystemTime::now() + seconds(310)), 1);
    assert_eq!(at(SystemTime::now() - seconds(310)), 1);
}

#[test]
fn each_deviation_of_a_request_to_kms_is_one_violation() {
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let input = json!({
        "KeyId": arn,
        "Message": "bWVzc2FnZQ==",
        "MessageType": "RAW",
        "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    });
    let violations = |input: &Value, region: &str, service: &str| {
        let mut request = request("POST", "");
        *request.body_mut() = Bytes::from(input.to_string());
        let signer = signer().in_region(region);
        sigv4::sign(&mut request, &signer, service);
        contract_violations(Call::Sign, &request, &self::signer())
    };
    let none = Vec::<String>::new();
    assert_eq!(
        violations(&input, "us-east-1", "kms"),
        none,
        "the ARN's region"
    );
    let mut alias = input.clone();
    alias["KeyId"] = "alias/app".into();
    assert_eq!(violations(&alias, "eu-west-1", "kms"), none, "AWS_REGION");
    assert_eq!(violations(&input, "eu-west-1", "kms").len(), 1);
    assert_eq!(violations(&input, "us-east-1", "ssm").len(), 1);
    for (name, value) in [
        ("MessageType", json!("DIGEST")),
        ("SigningAlgorithm", json!("RSASSA_PSS_SHA_256")),
        ("DryRun", json!(true)),
    ] {
        let mut wrong = input.clone();
        wrong[name] = value;
        let found = violations(&wrong, "us-east-1", "kms");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(name), "{found:?}");
    }
}
