//! The three SSM parameters: matched by name, validated, and reported by name if invalid.

use sandbox::{Call, Fault, Outcome, PARAMETERS, Parameter, PrivateKey, Scenario};

const CLIENT_ID: &str = PARAMETERS[0];
const INSTALLATION_ID: &str = PARAMETERS[1];
const PRIVATE_KEY: &str = PARAMETERS[2];

async fn assert_fails(scenario: Scenario, error_type: &str, message: &str) -> Outcome {
    let outcome = scenario.run().await;
    let (found_type, found) = outcome.error();
    assert_eq!(found_type, error_type, "{found}");
    assert!(found.starts_with(message), "{found}");
    assert_eq!(outcome.lines("error").len(), 1, "{}", outcome.stdout);
    assert_eq!(
        outcome.calls(Call::Confirm) + outcome.calls(Call::Mint),
        0,
        "no call to GitHub"
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
async fn missing_parameters_are_reported_together() {
    let one = format!("missing GitHub App SSM parameters: [{PRIVATE_KEY}]");
    assert_fails(without(&[PRIVATE_KEY]), "ParametersMissing", &one).await;
    let all = format!(
        "missing GitHub App SSM parameters: [{CLIENT_ID}, {INSTALLATION_ID}, {PRIVATE_KEY}]"
    );
    assert_fails(without(&PARAMETERS), "ParametersMissing", &all).await;
}

#[tokio::test]
async fn empty_parameter_is_reported() {
    for name in PARAMETERS {
        let blank = if name == PRIVATE_KEY {
            Parameter::secure_string(" ")
        } else {
            Parameter::string(" \n")
        };
        let message = format!("SSM parameter {name} is empty or missing");
        assert_fails(with(name, blank), "ParameterEmpty", &message).await;
    }
}

#[tokio::test]
async fn private_key_in_a_plain_string_is_rejected() {
    let plain = Parameter::string(PrivateKey::rsa(2048).pem());
    let message = format!("SSM parameter {PRIVATE_KEY} must be a SecureString");
    assert_fails(with(PRIVATE_KEY, plain), "PrivateKeyNotEncrypted", &message).await;
}

#[tokio::test]
async fn installation_id_that_is_not_a_number_is_rejected() {
    for value in ["octo-org", "-1", "1.5", "0", "99999999999999999999"] {
        let message = format!("SSM parameter {INSTALLATION_ID} must be");
        assert_fails(
            with(INSTALLATION_ID, Parameter::string(value)),
            "InstallationIdInvalid",
            &message,
        )
        .await;
    }
}

#[tokio::test]
async fn blanks_around_an_id_are_ignored() {
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

/// A secret in the client ID's place is never signed into a JWT and sent.
#[tokio::test]
async fn secret_in_the_client_id_parameter_is_reported_and_goes_nowhere() {
    let pem = PrivateKey::rsa(2048).pem();
    for secret in [
        pem.clone(),
        pem.replace('\n', "\\n"),
        pem.lines().skip(1).take(20).collect(),
        "ghs_0123456789abcdefghijABCDEFGHIJ012345".to_owned(),
        "ghp_0123456789abcdefghijABCDEFGHIJ012345".to_owned(),
        "0123456789abcdef0123456789abcdef01234567".to_owned(),
        "x".repeat(4000),
    ] {
        let scenario = with(CLIENT_ID, Parameter::string(&secret));
        let message = format!("SSM parameter {CLIENT_ID} must be a GitHub App client ID or App ID");
        let outcome = assert_fails(scenario, "ClientIdInvalid", &message).await;
        let (_, message) = outcome.error();
        assert!(
            message.contains("A private key or a token may be stored there"),
            "{message}"
        );
        for line in secret.lines().filter(|line| line.len() > 20) {
            assert!(!message.contains(line) && !outcome.stdout.contains(line));
        }
    }
}

#[tokio::test]
async fn value_that_cannot_be_a_client_id_is_rejected() {
    for value in [
        "4.47597e+06",
        "4475970.0",
        "\"Iv23liSandboxSandbox\"",
        "Iv23li\u{200b}SandboxSandbox",
        "Iv23liSandbox\nSandbox",
        "undefined",
        "null",
        "{\"client_id\":\"Iv23liSandboxSandbox\"}",
    ] {
        let scenario = with(CLIENT_ID, Parameter::string(value));
        let outcome = assert_fails(scenario, "ClientIdInvalid", "SSM parameter").await;
        let (_, message) = outcome.error();
        assert!(!message.contains("may be stored there"), "{message}");
    }
}

#[tokio::test]
async fn numeric_app_id_works_as_client_id() {
    with(CLIENT_ID, Parameter::string("123456"))
        .run()
        .await
        .token();
}

#[tokio::test]
async fn parameters_are_matched_by_name_in_any_order() {
    for reversed in [false, true] {
        Scenario::default()
            .ssm(move |ssm| ssm.reverse_order = reversed)
            .run()
            .await
            .token();
    }
}

#[tokio::test]
async fn configured_parameter_names_are_read() {
    let scenario = Scenario::default()
        .variable("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", "/team-a/key")
        .parameter(
            "/team-a/key",
            Parameter::secure_string(PrivateKey::rsa(2048).pem()),
        )
        .without_parameter(PRIVATE_KEY);
    scenario.run().await.token();
}

#[tokio::test]
async fn key_is_accepted_as_people_paste_it() {
    let pem = PrivateKey::rsa(2048).pem();
    for pasted in [
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\\n"),
        format!("\"{pem}\""),
        pem.trim().to_owned(),
        pem.replace('\n', "\\\\n"),
        pem.replace('\n', "\\\n"),
        pem.replace('\n', " "),
        PrivateKey::rsa(2048)
            .pkcs1()
            .pem()
            .replace("RSA PRIVATE KEY", "PRIVATE KEY"),
        PrivateKey::rsa(2048)
            .pkcs8()
            .pem()
            .replace("PRIVATE KEY", "RSA PRIVATE KEY"),
    ] {
        with(PRIVATE_KEY, Parameter::secure_string(pasted))
            .run()
            .await
            .token();
    }
}

#[tokio::test]
async fn unusable_key_is_rejected_with_its_reason() {
    let armored = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
    let pem = PrivateKey::rsa(2048).pem();
    let cut = pem.lines().take(9).collect::<Vec<_>>().join("\n");
    let cases = [
        (
            "hello".to_owned(),
            "PrivateKeyNotPem",
            "decode GitHub App private key PEM",
        ),
        (cut, "PrivateKeyNotPem", "decode GitHub App private key PEM"),
        (
            armored("RSA PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key",
        ),
        (
            armored("OPENSSH PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key",
        ),
        (
            armored("ENCRYPTED PRIVATE KEY"),
            "PrivateKeyUnreadable",
            "parse GitHub App private key",
        ),
        (
            armored("PUBLIC KEY"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA",
        ),
        (
            armored("EC PRIVATE KEY"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA",
        ),
        (
            armored("CERTIFICATE"),
            "PrivateKeyNotRsa",
            "GitHub App private key must be RSA",
        ),
    ];
    for (value, error_type, message) in cases {
        let outcome = assert_fails(
            with(PRIVATE_KEY, Parameter::secure_string(value)),
            error_type,
            message,
        )
        .await;
        assert!(outcome.error().1.contains(PRIVATE_KEY));
    }
}

#[tokio::test]
async fn non_ascii_character_in_the_key_is_reported() {
    let pem = PrivateKey::rsa(2048).pem();
    for pasted in [
        pem.replacen("-----BEGIN", "\u{2014}\u{2014}BEGIN", 1),
        pem.replacen("BEGIN ", "BEGIN\u{a0}", 1),
        pem.replacen("\nM", "\nM\u{200b}", 1),
        format!("\u{201c}{}\u{201d}", &pem[2..]),
    ] {
        let scenario = with(PRIVATE_KEY, Parameter::secure_string(pasted));
        let outcome = assert_fails(
            scenario,
            "PrivateKeyNotPem",
            "decode GitHub App private key PEM",
        )
        .await;
        assert!(outcome.error().1.contains("ASCII"), "{}", outcome.error().1);
    }
}

#[tokio::test]
async fn ssm_errors_are_classified() {
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
        let error = Fault::response(400).aws(code, &message);
        let outcome = assert_fails(
            Scenario::default().fault(Call::GetParameters, error),
            error_type,
            "SSM GetParameters",
        )
        .await;
        assert_eq!(
            outcome.calls(Call::GetParameters),
            1,
            "a retry would not help"
        );
        assert!(
            !outcome.stdout.contains("123456789012"),
            "SSM's text is not repeated"
        );
    }
}

const SECRET: &str = "/aws/reference/secretsmanager/team-a/app-key";

fn with_secret_reference() -> Scenario {
    Scenario::default()
        .without_parameter(PRIVATE_KEY)
        .variable("GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM", SECRET)
}

#[tokio::test]
async fn key_in_secrets_manager_signs() {
    let pem = PrivateKey::rsa(2048).pem();
    let outcome = with_secret_reference()
        .ssm(|ssm| ssm.put_secret("team-a/app-key", pem))
        .run()
        .await;
    outcome.token();
    let request = outcome.requests_of(Call::GetParameters).next().unwrap();
    assert_eq!(request.json()["Names"][2], SECRET);
}

/// SSM fails the whole call, or lists the name as invalid.
#[tokio::test]
async fn missing_secret_is_reported_by_its_name() {
    let message = format!("missing GitHub App SSM parameters: [{SECRET}]");
    let outcome = assert_fails(with_secret_reference(), "ParametersMissing", &message).await;
    assert_eq!(outcome.calls(Call::GetParameters), 1);

    let listed = with_secret_reference()
        .ssm(|ssm| ssm.put_secret("team-a/app-key", "-"))
        .tamper(Call::GetParameters, |body| {
            body["Parameters"].as_array_mut().unwrap().pop();
            body["InvalidParameters"] = SECRET.into();
        });
    assert_fails(listed, "ParametersMissing", &message).await;
}

#[tokio::test]
async fn denied_secret_is_reported_with_its_remedy() {
    let text = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized to perform: \
         secretsmanager:GetSecretValue on resource: team-a/app-key";
    let denied = Fault::response(400).aws("AccessDeniedException", text);
    let scenario = with_secret_reference().fault(Call::GetParameters, denied);
    let outcome = assert_fails(scenario, "ParametersAccessDenied", "SSM GetParameters").await;
    let message = outcome.error().1;
    assert!(
        message.contains("Allow the function's role secretsmanager:GetSecretValue on the secret"),
        "{message}"
    );
    assert!(!outcome.stdout.contains("123456789012"));
}
