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
