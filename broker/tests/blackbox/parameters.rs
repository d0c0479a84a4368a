//! The three SSM parameters: found by name, each checked, and what is wrong told with the parameter's name.

use sandbox::{Call, Fault, Outcome, PARAMETERS, Parameter, PrivateKey, Scenario};

const CLIENT_ID: &str = PARAMETERS[0];
const INSTALLATION_ID: &str = PARAMETERS[1];
const PRIVATE_KEY: &str = PARAMETERS[2];

async fn failed(scenario: Scenario, error_type: &str, message: &str) -> Outcome {
    let outcome = scenario.run().await;
    let (found_type, found) = outcome.error();
    assert_eq!(found_type, error_type, "{found}");
    assert!(found.starts_with(message), "{found}");
    assert_eq!(outcome.lines("error").len(), 1, "{}", outcome.stdout);
    assert_eq!(
        outcome.calls(Call::Lookup) + outcome.calls(Call::Mint),
        0,
        "GitHub was not asked"
    );
    outcome
}

fn without(names: &[&str]) -> Scenario {
    names.iter().fold(Scenario::default(), |scenario, name| {
        scenario.without_parameter(name)
    })
}

fn with(name: &str, parameter: Parameter) -> Scenario {
    Scenario::default().parameter(name, parameter)
}

#[tokio::test]
async fn missing_parameters_are_named_together() {
    let one = format!("missing GitHub App SSM parameters: [{PRIVATE_KEY}]");
    failed(without(&[PRIVATE_KEY]), "ParametersMissing", &one).await;
    let all = format!(
        "missing GitHub App SSM parameters: [{CLIENT_ID}, {INSTALLATION_ID}, {PRIVATE_KEY}]"
    );
    failed(without(&PARAMETERS), "ParametersMissing", &all).await;
}

#[tokio::test]
async fn an_empty_parameter_is_named() {
    for name in PARAMETERS {
        let blank = if name == PRIVATE_KEY {
            Parameter::secure_string(" ")
        } else {
            Parameter::string(" \n")
        };
        let message = format!("SSM parameter {name} is empty or missing");
        failed(with(name, blank), "ParameterEmpty", &message).await;
    }
}

#[tokio::test]
async fn a_private_key_in_plain_text_is_refused() {
    let plain = Parameter::string(PrivateKey::rsa(2048).pem());
    let message = format!("SSM parameter {PRIVATE_KEY} must be a SecureString");
    failed(with(PRIVATE_KEY, plain), "PrivateKeyNotEncrypted", &message).await;
}

#[tokio::test]
async fn an_installation_id_is_a_number() {
    for value in ["octo-org", "-1", "1.5", "0", "99999999999999999999"] {
        let message = format!("SSM parameter {INSTALLATION_ID} must be");
        failed(
            with(INSTALLATION_ID, Parameter::string(value)),
            "InstallationIdInvalid",
            &message,
        )
        .await;
    }
}

#[tokio::test]
async fn blanks_round_an_id_make_no_difference() {
    let padded = Scenario::default()
        .parameter(
            CLIENT_ID,
            Parameter::string(format!(" {}\n", sandbox::CLIENT_ID)),
        )
        .parameter(
            INSTALLATION_ID,
            Parameter::string(format!("\t{} ", sandbox::INSTALLATION_ID)),
        );
    padded.run().await.token();
}

#[tokio::test]
async fn the_numeric_app_id_works_as_client_id() {
    with(CLIENT_ID, Parameter::string("123456"))
        .run()
        .await
        .token();
}

#[tokio::test]
async fn parameters_are_matched_by_name_whatever_their_order() {
    for reversed in [false, true] {
        Scenario::default()
            .ssm(move |ssm| ssm.reversed = reversed)
            .run()
            .await
            .token();
    }
}

#[tokio::test]
async fn other_names_are_read_where_configured() {
    let moved = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "/team-a/key")
        .parameter(
            "/team-a/key",
            Parameter::secure_string(PrivateKey::rsa(2048).pem()),
        )
        .without_parameter(PRIVATE_KEY);
    moved.run().await.token();
}

#[tokio::test]
async fn a_key_is_read_as_people_paste_it() {
    let pem = PrivateKey::rsa(2048).pem();
    for pasted in [
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\\n"),
        format!("\"{pem}\""),
        pem.trim().to_owned(),
    ] {
        with(PRIVATE_KEY, Parameter::secure_string(pasted))
            .run()
            .await
            .token();
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_refused_with_its_own_sentence() {
    let armoured = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
    let pem = PrivateKey::rsa(2048).pem();
    let cut = pem.lines().take(9).collect::<Vec<_>>().join("\n");
    let cases = [
        (
            "hello".to_owned(),
            "PrivateKeyNotPem",
            "decode GitHub App private key PEM: it has no BEGIN line",
        ),
        (
            cut,
            "PrivateKeyNotPem",
            "decode GitHub App private key PEM: it has no END line",
        ),
        (
            armoured("RSA PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key: it is incomplete or damaged",
        ),
        (
            armoured("OPENSSH PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key: it is in OpenSSH's own format",
        ),
        (
            armoured("ENCRYPTED PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key: it is encrypted",
        ),
        (
            armoured("PUBLIC KEY"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA: this is a public key",
        ),
        (
            armoured("EC PRIVATE KEY"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA: this is a key of another algorithm",
        ),
        (
            armoured("CERTIFICATE"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA: this is a certificate",
        ),
    ];
    for (value, error_type, message) in cases {
        let outcome = failed(
            with(PRIVATE_KEY, Parameter::secure_string(value)),
            error_type,
            message,
        )
        .await;
        assert!(outcome.error().1.contains(PRIVATE_KEY));
    }
}

#[tokio::test]
async fn what_ssm_refuses_is_told_by_its_kind() {
    let denied = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized to perform:";
    let cases = [
        (
            "AccessDeniedException",
            format!("{denied} ssm:GetParameters on resource: y"),
            "ParametersAccessDenied",
        ),
        (
            "AccessDeniedException",
            format!("{denied} kms:Decrypt on the resource associated with this ciphertext"),
            "ParametersKmsDenied",
        ),
        (
            "AccessDeniedException",
            format!("{denied} ssm:GetParameters on resource: parameter/KMS/app/private-key-pem"),
            "ParametersAccessDenied",
        ),
        (
            "InvalidKeyId",
            "the key is disabled".to_owned(),
            "ParametersKmsDenied",
        ),
        (
            "ValidationException",
            "1 validation error detected".to_owned(),
            "ParametersRefused",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired".to_owned(),
            "ParametersRefused",
        ),
    ];
    for (code, message, error_type) in cases {
        let refusal = Fault::answer(400).aws(code, &message);
        let outcome = failed(
            Scenario::default().fault(Call::Ssm, refusal),
            error_type,
            "SSM GetParameters",
        )
        .await;
        assert_eq!(outcome.calls(Call::Ssm), 1, "trying again would not help");
        assert!(
            !outcome.stdout.contains("123456789012"),
            "SSM's own words are not repeated"
        );
    }
}
