//! KMS's responses and errors, as AWS documents them.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;
use crate::github::private_key::PublicKey;

const REGION: &str = "us-east-1";
const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const PKCS1: &str = "RSASSA_PKCS1_V1_5_SHA_256";

fn kms() -> Kms {
    let mut kms = Kms::default();
    kms.put_key(REGION, KEY_ID, &PrivateKey::rsa(2048));
    kms.put_alias(REGION, "alias/app", KEY_ID);
    kms
}

fn call(kms: &mut Kms, operation: &str, input: &Value) -> Result<Value, AwsError> {
    kms.operate(REGION, operation, input)
}

fn ok(kms: &mut Kms, operation: &str, input: &Value) -> Value {
    call(kms, operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
}

fn code(kms: &mut Kms, operation: &str, input: &Value) -> &'static str {
    match call(kms, operation, input) {
        Ok(output) => panic!("{operation} succeeded: {output}"),
        Err(error) => error.code,
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a text");
    STANDARD.decode(text).expect("base64")
}

fn sign_input(key_id: &str, message: &[u8]) -> Value {
    json!({ "KeyId": key_id, "Message": STANDARD.encode(message), "SigningAlgorithm": PKCS1 })
}

/// An empty key, and its import parameters.
fn empty_key(kms: &mut Kms) -> (String, Value) {
    let input = json!({ "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL" });
    let key = ok(kms, "CreateKey", &input);
    let key_id = key["KeyMetadata"]["KeyId"].as_str().expect("an ID");
    let parameters = import_parameters(kms, key_id);
    (key_id.to_owned(), parameters)
}

fn import_parameters(kms: &mut Kms, key_id: &str) -> Value {
    let input = json!({
        "KeyId": key_id,
        "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256",
        "WrappingKeySpec": "RSA_2048",
    });
    ok(kms, "GetParametersForImport", &input)
}

fn import_input(key_id: &str, parameters: &Value, material: &[u8]) -> Value {
    let wrapped = import::wrap(&bytes(&parameters["PublicKey"]), material).expect("wrapped");
    json!({
        "KeyId": key_id,
        "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    })
}

#[test]
fn every_form_of_key_id_signs_and_the_public_key_verifies() {
    let mut kms = kms();
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}");
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/app");
    for key_id in [KEY_ID, &arn, "alias/app", &alias_arn] {
        let output = ok(&mut kms, "Sign", &sign_input(key_id, b"message"));
        assert_eq!(output["KeyId"], arn);
        let public = ok(&mut kms, "GetPublicKey", &json!({ "KeyId": key_id }));
        assert_eq!(public["KeySpec"], "RSA_2048");
        let public = PublicKey::from_spki(&bytes(&public["PublicKey"])).expect("SPKI");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.0);
        let signature = bytes(&output["Signature"]);
        assert!(public.verify(b"message", &signature).is_ok());
    }
}

#[test]
fn raw_message_and_its_digest_have_the_same_signature() {
    let mut kms = kms();
    let raw = ok(&mut kms, "Sign", &sign_input(KEY_ID, b"message"));
    let hash = digest(&SHA256, b"message");
    let mut input = sign_input(KEY_ID, hash.as_ref());
    input["MessageType"] = "DIGEST".into();
    let digested = ok(&mut kms, "Sign", &input);
    assert_eq!(raw["Signature"], digested["Signature"]);
    let mut input = sign_input(KEY_ID, b"not a digest");
    input["MessageType"] = "DIGEST".into();
    assert_eq!(code(&mut kms, "Sign", &input), "ValidationException");
}

#[test]
fn dry_run_reports_success_only_if_the_call_would_succeed() {
    let mut kms = kms();
    let mut input = sign_input(KEY_ID, b"message");
    input["DryRun"] = true.into();
    assert_eq!(code(&mut kms, "Sign", &input), "DryRunOperationException");
    kms.disable(KEY_ID);
    assert_eq!(code(&mut kms, "Sign", &input), "DisabledException");
}

#[test]
fn sign_errors_have_the_names_of_kms() {
    let valid = sign_input(KEY_ID, b"message");
    let with = |name: &str, value: &str| {
        let mut input = valid.clone();
        input[name] = value.into();
        input
    };
    let unknown_id = "ffffffff-12ab-34cd-56ef-1234567890ab";
    let other_region = format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY_ID}");
    for (input, expected) in [
        (with("KeyId", unknown_id), "NotFoundException"),
        (with("KeyId", "alias/unknown"), "NotFoundException"),
        (with("KeyId", "nonsense"), "NotFoundException"),
        (with("KeyId", &other_region), "NotFoundException"),
        (
            with("SigningAlgorithm", "ECDSA_SHA_256"),
            "InvalidKeyUsageException",
        ),
        (sign_input(KEY_ID, b""), "ValidationException"),
        (sign_input(KEY_ID, &[0; 4097]), "ValidationException"),
        (with("Message", "*"), "SerializationException"),
        (json!({ "KeyId": KEY_ID }), "ValidationException"),
    ] {
        assert_eq!(code(&mut kms(), "Sign", &input), expected, "{input}");
    }
    let after = |change: &dyn Fn(&mut Kms)| {
        let mut kms = kms();
        change(&mut kms);
        code(&mut kms, "Sign", &valid)
    };
    assert_eq!(after(&|kms| kms.disable(KEY_ID)), "DisabledException");
    let invalid_state = "KMSInvalidStateException";
    assert_eq!(after(&|kms| kms.schedule_deletion(KEY_ID)), invalid_state);
    assert_eq!(after(&|kms| kms.delete_material(KEY_ID)), invalid_state);
    let usage = after(&|kms| kms.set_usage(KEY_ID, "ENCRYPT_DECRYPT"));
    assert_eq!(usage, "InvalidKeyUsageException");
}

#[test]
fn imported_key_signs_as_the_original() {
    let mut kms = kms();
    let (key_id, parameters) = empty_key(&mut kms);
    let describe = json!({ "KeyId": key_id });
    let state = |kms: &mut Kms| ok(kms, "DescribeKey", &describe)["KeyMetadata"].clone();
    assert_eq!(state(&mut kms)["KeyState"], "PendingImport");
    let input = sign_input(&key_id, b"message");
    assert_eq!(code(&mut kms, "Sign", &input), "KMSInvalidStateException");
    let original = PrivateKey::rsa(2048);
    let import = import_input(&key_id, &parameters, original.pkcs8_der());
    ok(&mut kms, "ImportKeyMaterial", &import);
    let enabled = state(&mut kms);
    assert_eq!(enabled["KeyState"], "Enabled");
    assert_eq!(enabled["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    let public = ok(&mut kms, "GetPublicKey", &json!({ "KeyId": key_id }));
    let public = PublicKey::from_spki(&bytes(&public["PublicKey"]));
    assert_eq!(public, Some(original.public()));
    ok(&mut kms, "Sign", &input);
    let different = import_input(&key_id, &parameters, PrivateKey::fresh(2048).pkcs8_der());
    assert_eq!(
        code(&mut kms, "ImportKeyMaterial", &different),
        "IncorrectKeyMaterialException",
        "material cannot be replaced"
    );
}

#[test]
fn import_errors_have_the_names_of_kms() {
    let mut kms = kms();
    let (key_id, parameters) = empty_key(&mut kms);
    let key = PrivateKey::rsa(2048);
    let valid = import_input(&key_id, &parameters, key.pkcs8_der());
    let pkcs1 = import_input(&key_id, &parameters, key.pkcs1_der());
    let pem = import_input(&key_id, &parameters, key.clone().pkcs8().pem().as_bytes());
    let wrong_size = import_input(&key_id, &parameters, PrivateKey::rsa(4096).pkcs8_der());
    for material in [pkcs1, pem, wrong_size] {
        assert_eq!(
            code(&mut kms, "ImportKeyMaterial", &material),
            "IncorrectKeyMaterialException"
        );
    }
    let with = |name: &str, value: Value| {
        let mut input = valid.clone();
        input[name] = value;
        input
    };
    let (other, other_parameters) = empty_key(&mut kms);
    let no_model = with("ExpirationModel", Value::Null);
    let expires = with("ExpirationModel", "KEY_MATERIAL_EXPIRES".into());
    for (input, expected) in [
        (
            with("EncryptedKeyMaterial", STANDARD.encode([0; 600]).into()),
            "InvalidCiphertextException",
        ),
        (
            with("ImportToken", other_parameters["ImportToken"].clone()),
            "InvalidImportTokenException",
        ),
        (with("KeyId", other.into()), "InvalidImportTokenException"),
        (with("KeyId", "alias/app".into()), "NotFoundException"),
        (no_model, "ValidationException"),
        (expires, "ValidationException"),
    ] {
        assert_eq!(code(&mut kms, "ImportKeyMaterial", &input), expected);
    }
    kms.clock.shift(24 * 60 * 60 + 1);
    assert_eq!(
        code(&mut kms, "ImportKeyMaterial", &valid),
        "ExpiredImportTokenException"
    );
    let generated = json!({ "KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY" });
    let generated = ok(&mut kms, "CreateKey", &generated)["KeyMetadata"]["KeyId"].clone();
    let input = json!({
        "KeyId": generated,
        "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256",
        "WrappingKeySpec": "RSA_4096",
    });
    assert_eq!(
        code(&mut kms, "GetParametersForImport", &input),
        "UnsupportedOperationException"
    );
}

#[test]
fn expiring_material_leaves_the_key_pending_import() {
    let mut kms = kms();
    let (key_id, parameters) = empty_key(&mut kms);
    let key = PrivateKey::rsa(2048);
    let mut import = import_input(&key_id, &parameters, key.pkcs8_der());
    import["ExpirationModel"] = "KEY_MATERIAL_EXPIRES".into();
    import["ValidTo"] = (kms.clock.now() + 3600).into();
    ok(&mut kms, "ImportKeyMaterial", &import);
    ok(&mut kms, "Sign", &sign_input(&key_id, b"message"));
    kms.clock.shift(3601);
    let input = sign_input(&key_id, b"message");
    assert_eq!(code(&mut kms, "Sign", &input), "KMSInvalidStateException");
    let parameters = import_parameters(&mut kms, &key_id);
    let import = import_input(&key_id, &parameters, key.pkcs8_der());
    ok(&mut kms, "ImportKeyMaterial", &import);
    ok(&mut kms, "Sign", &input);
}

#[test]
fn alias_is_created_moved_listed_and_deleted() {
    let mut kms = kms();
    let (new_key, _) = empty_key(&mut kms);
    let alias = |key_id: &str| json!({ "AliasName": "alias/new", "TargetKeyId": key_id });
    assert_eq!(
        code(&mut kms, "UpdateAlias", &alias(KEY_ID)),
        "NotFoundException"
    );
    ok(&mut kms, "CreateAlias", &alias(KEY_ID));
    assert_eq!(
        code(&mut kms, "CreateAlias", &alias(KEY_ID)),
        "AlreadyExistsException"
    );
    assert_eq!(
        code(&mut kms, "CreateAlias", &alias("alias/app")),
        "AlreadyExistsException"
    );
    ok(&mut kms, "UpdateAlias", &alias(&new_key));
    let listed = ok(&mut kms, "ListAliases", &json!({ "KeyId": new_key }));
    assert_eq!(listed["Aliases"][0]["AliasName"], "alias/new");
    assert_eq!(listed["Aliases"].as_array().map(Vec::len), Some(1));
    ok(
        &mut kms,
        "DeleteAlias",
        &json!({ "AliasName": "alias/new" }),
    );
    let gone = json!({ "KeyId": "alias/new" });
    assert_eq!(code(&mut kms, "DescribeKey", &gone), "NotFoundException");
    let reserved = json!({ "AliasName": "alias/aws/x", "TargetKeyId": KEY_ID });
    assert_eq!(
        code(&mut kms, "CreateAlias", &reserved),
        "NotAuthorizedException"
    );
    let unprefixed = json!({ "AliasName": "new", "TargetKeyId": KEY_ID });
    assert_eq!(
        code(&mut kms, "CreateAlias", &unprefixed),
        "ValidationException"
    );
}

#[test]
fn key_can_be_disabled_enabled_scheduled_for_deletion_and_restored() {
    let mut kms = kms();
    let input = json!({ "KeyId": KEY_ID, "PendingWindowInDays": 7 });
    let state = |kms: &mut Kms| {
        let described = ok(kms, "DescribeKey", &input);
        described["KeyMetadata"]["KeyState"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for (operation, expected) in [
        ("DisableKey", "Disabled"),
        ("EnableKey", "Enabled"),
        ("ScheduleKeyDeletion", "PendingDeletion"),
        ("CancelKeyDeletion", "Disabled"),
    ] {
        ok(&mut kms, operation, &input);
        assert_eq!(state(&mut kms), expected);
    }
    ok(&mut kms, "ScheduleKeyDeletion", &input);
    assert_eq!(
        code(&mut kms, "EnableKey", &input),
        "KMSInvalidStateException"
    );
    let short = json!({ "KeyId": KEY_ID, "PendingWindowInDays": 6 });
    assert_eq!(
        code(&mut kms, "ScheduleKeyDeletion", &short),
        "ValidationException"
    );
    let alias = json!({ "KeyId": "alias/app" });
    assert_eq!(code(&mut kms, "DisableKey", &alias), "NotFoundException");
}

#[test]
fn key_policy_is_returned_and_replaced() {
    let mut kms = kms();
    let input = json!({ "KeyId": KEY_ID });
    let policy = ok(&mut kms, "GetKeyPolicy", &input);
    let policy = policy["Policy"].as_str().unwrap_or_default();
    assert!(
        policy.contains("arn:aws:iam::123456789012:root"),
        "{policy}"
    );
    let put = json!({ "KeyId": KEY_ID, "Policy": "{\"Statement\":[]}" });
    ok(&mut kms, "PutKeyPolicy", &put);
    assert_eq!(
        ok(&mut kms, "GetKeyPolicy", &input)["Policy"],
        put["Policy"]
    );
    let malformed = json!({ "KeyId": KEY_ID, "Policy": "{" });
    assert_eq!(
        code(&mut kms, "PutKeyPolicy", &malformed),
        "MalformedPolicyDocumentException"
    );
}
