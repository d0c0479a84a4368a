//! A key in KMS: every form of its ID, its errors, and the plain IDs that go with it.

use sandbox::{
    CLIENT_ID, Call, Fault, INSTALLATION_ID, InvokeResult, KMS_ALIAS, KMS_KEY_ARN, KMS_KEY_ID, Kms,
    Outcome, PARAMETERS, Parameter, PrivateKey, Scenario,
};
use serde_json::{Value, json};

const KEY_ID: &str = "GITHUB_TOKEN_BROKER_KMS_KEY_ID";
const KEY_PARAM: &str = "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM";
const PLAIN_CLIENT_ID: &str = "GITHUB_TOKEN_BROKER_CLIENT_ID";
const PLAIN_INSTALLATION_ID: &str = "GITHUB_TOKEN_BROKER_INSTALLATION_ID";

fn calls(outcome: &Outcome) -> Vec<Call> {
    outcome
        .requests
        .iter()
        .map(|request| request.call)
        .collect()
}

#[tokio::test]
async fn every_form_of_key_id_signs_in_three_requests_on_two_connections() {
    let alias_arn = format!("arn:aws:kms:us-east-1:123456789012:{KMS_ALIAS}");
    for key_id in [KMS_KEY_ID, KMS_KEY_ARN, KMS_ALIAS, &alias_arn] {
        let outcome = Scenario::default()
            .kms_key()
            .variable(KEY_ID, key_id)
            .run()
            .await;
        outcome.token();
        assert_eq!(calls(&outcome), [Call::Sign, Call::Confirm, Call::Mint]);
        let github: Vec<_> = outcome.requests[1..]
            .iter()
            .map(|request| request.connection)
            .collect();
        assert_eq!(github[0], github[1], "one connection to GitHub");
    }
}

/// The harness checks that the request is signed for the region of the ARN.
#[tokio::test]
async fn region_of_the_key_arn_is_signed_for() {
    let key = PrivateKey::rsa(2048);
    let outcome = Scenario::default()
        .key(key.clone())
        .kms(move |kms| kms.put_key("eu-west-1", KMS_KEY_ID, &key))
        .kms_key()
        .variable(KEY_ID, KMS_KEY_ARN.replace("us-east-1", "eu-west-1"))
        .run()
        .await;
    outcome.token();
}

#[tokio::test]
async fn only_the_parameters_that_are_needed_are_read() {
    let names = |outcome: &Outcome| {
        let request = outcome.requests_of(Call::GetParameters).next().unwrap();
        request.json()["Names"].clone()
    };
    let key_in_ssm = Scenario::default()
        .variable(PLAIN_CLIENT_ID, CLIENT_ID)
        .variable(PLAIN_INSTALLATION_ID, INSTALLATION_ID.to_string())
        .without_parameter(PARAMETERS[0])
        .without_parameter(PARAMETERS[1]);
    let outcome = key_in_ssm.run().await;
    outcome.token();
    assert_eq!(names(&outcome), json!([PARAMETERS[2]]));

    let ids_in_ssm = Scenario::default()
        .variable(KEY_ID, KMS_ALIAS)
        .without_parameter(PARAMETERS[2]);
    let outcome = ids_in_ssm.run().await;
    outcome.token();
    assert_eq!(names(&outcome), json!([PARAMETERS[0], PARAMETERS[1]]));
    assert_eq!(outcome.calls(Call::Sign), 1);
}

#[tokio::test]
async fn key_in_secrets_manager_is_read_through_ssm() {
    let parameter = "/aws/reference/secretsmanager/github-app";
    let pem = PrivateKey::rsa(2048).pem();
    let scenario = Scenario::default()
        .variable(KEY_PARAM, parameter)
        .without_parameter(PARAMETERS[2]);
    let stored = scenario.ssm(move |ssm| ssm.put_secret("github-app", pem));
    stored.run().await.token();
    let missing = Scenario::default().variable(KEY_PARAM, parameter);
    let outcome = missing.run().await;
    assert_eq!(outcome.error().0, "ParametersMissing");
    assert_eq!(outcome.calls(Call::GetParameters), 1);
}

/// Runs the scenario and checks what all final KMS errors have in common.
async fn assert_rejected(scenario: Scenario, error_type: &str) {
    let outcome = scenario.run().await;
    let (found, message) = outcome.error();
    assert_eq!(found, error_type, "{message}");
    assert_eq!(outcome.calls(Call::Sign), 1, "a retry would not help");
    assert_eq!(outcome.calls(Call::Confirm), 0, "no call to GitHub");
    for text in [&message, &outcome.stdout] {
        assert!(
            !text.contains("123456789012"),
            "KMS's text is not repeated: {text}"
        );
    }
    assert_eq!(outcome.lines("error").len(), 1, "{}", outcome.stdout);
}

#[tokio::test]
async fn each_state_of_the_key_is_reported() {
    let after = |change: fn(&mut Kms)| {
        Scenario::default()
            .kms_key()
            .variable(KEY_ID, KMS_ALIAS)
            .kms(change)
    };
    for change in [
        (|kms| kms.disable(KMS_KEY_ID)) as fn(&mut Kms),
        |kms| kms.schedule_deletion(KMS_KEY_ID),
        |kms| kms.delete_material(KMS_KEY_ID),
        |kms| kms.set_usage(KMS_KEY_ID, "ENCRYPT_DECRYPT"),
    ] {
        assert_rejected(after(change), "SigningKeyUnusable").await;
    }
    let unknown = Scenario::default()
        .kms_key()
        .variable(KEY_ID, "alias/unknown");
    assert_rejected(unknown, "SigningKeyNotFound").await;
    let denied = after(|_| {}).deny("kms:Sign");
    assert_rejected(denied, "SigningKeyDenied").await;
}

#[tokio::test]
async fn errors_that_are_not_about_the_key_are_reported_as_refused() {
    for code in [
        "ValidationException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "SomethingNewException",
    ] {
        let error = Fault::response(400).aws(code, "arn:aws:kms:us-east-1:123456789012:key/x");
        let scenario = Scenario::default()
            .kms_key()
            .variable(KEY_ID, KMS_ALIAS)
            .fault(Call::Sign, error);
        assert_rejected(scenario, "SigningRefused").await;
    }
}

#[tokio::test]
async fn signature_of_the_wrong_length_is_not_used() {
    let scenario = Scenario::default()
        .kms_key()
        .variable(KEY_ID, KMS_ALIAS)
        .tamper(Call::Sign, |body| body["Signature"] = "c2hvcnQ=".into());
    assert_rejected(scenario, "SigningKeyUnusable").await;
}

#[tokio::test]
async fn clock_correction_needs_a_second_signature() {
    let outcome = Scenario::default()
        .kms_key()
        .github(|github| github.clock.shift(-3600))
        .run()
        .await;
    outcome.token();
    assert_eq!(outcome.calls(Call::Sign), 2);
}

#[tokio::test]
async fn throttled_signature_is_retried() {
    let throttled = Fault::response(400).aws("ThrottlingException", "Rate exceeded");
    let outcome = Scenario::default()
        .kms_key()
        .fault(Call::Sign, throttled)
        .run()
        .await;
    outcome.token();
    assert_eq!(outcome.calls(Call::Sign), 2);
    assert_eq!(outcome.lines("info")[0]["attempts"]["sign"], 2);
}

async fn init_error(scenario: Scenario) -> Value {
    let outcome = scenario.run().await;
    assert!(outcome.requests.is_empty(), "no request was made");
    match outcome.result {
        InvokeResult::InitError(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn variable_and_its_parameter_variable_are_mutually_exclusive() {
    for variable in ["CLIENT_ID", "INSTALLATION_ID", "KMS_KEY_ID"] {
        let parameter = match variable {
            "KMS_KEY_ID" => "PRIVATE_KEY_PARAM".to_owned(),
            other => format!("{other}_PARAM"),
        };
        let prefix = "GITHUB_TOKEN_BROKER_";
        let value = match variable {
            "CLIENT_ID" => CLIENT_ID,
            "INSTALLATION_ID" => "1",
            _ => KMS_ALIAS,
        };
        let scenario = Scenario::default()
            .variable(&format!("{prefix}{variable}"), value)
            .variable(&format!("{prefix}{parameter}"), "/team-a/name");
        let error = init_error(scenario).await;
        let expected = format!("{prefix}{variable} and {prefix}{parameter} are mutually exclusive");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[tokio::test]
async fn invalid_values_are_reported() {
    for (variable, values, expected) in [
        (
            PLAIN_CLIENT_ID,
            &["a b", "\"Iv1\"", "-----BEGIN RSA PRIVATE KEY-----"][..],
            "GITHUB_TOKEN_BROKER_CLIENT_ID contains unsupported characters",
        ),
        (
            PLAIN_INSTALLATION_ID,
            &["0", "-1", "x", "1.5"],
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID must be a positive integer",
        ),
        (
            KEY_ID,
            &[
                "a b",
                "alias/",
                "arn:aws:s3:::bucket",
                "https://example.com",
            ],
            "GITHUB_TOKEN_BROKER_KMS_KEY_ID must be a key ID, key ARN, alias/NAME or alias ARN",
        ),
    ] {
        for value in values {
            let error = init_error(Scenario::default().variable(variable, *value)).await;
            let message = error["errorMessage"].as_str().unwrap();
            assert!(message.starts_with(expected), "{value}: {message}");
        }
    }
}

#[tokio::test]
async fn blanks_around_plain_ids_are_ignored() {
    let outcome = Scenario::default()
        .kms_key()
        .variable(PLAIN_CLIENT_ID, format!(" {CLIENT_ID}\n"))
        .variable(PLAIN_INSTALLATION_ID, format!("\t{INSTALLATION_ID} "))
        .parameter(PARAMETERS[0], Parameter::string("never read"))
        .run()
        .await;
    outcome.token();
    assert_eq!(outcome.calls(Call::GetParameters), 0);
}
