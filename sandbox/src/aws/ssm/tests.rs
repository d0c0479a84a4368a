//! Parameter Store's responses, as AWS documents and returns them.

use serde_json::{Value, json};

use super::{AwsError, Parameter, Ssm};

fn ssm() -> Ssm {
    let mut ssm = Ssm::default();
    ssm.put("/app/id", Parameter::string("one"));
    ssm.put("/app/id", Parameter::string("two"));
    ssm.put("/app/key", Parameter::secure_string("secret"));
    ssm.put_secret("app/key", "secret of Secrets Manager");
    ssm
}

fn call(ssm: &mut Ssm, operation: &str, input: &Value) -> Result<Value, AwsError> {
    ssm.operate("us-east-1", operation, input)
}

fn code(result: Result<Value, AwsError>) -> &'static str {
    result.expect_err("rejected").code
}

#[test]
fn missing_parameters_are_listed_as_invalid() {
    let names = json!({ "Names": ["/app/key", "/app/id", "/nowhere"], "WithDecryption": true });
    let output = call(&mut ssm(), "GetParameters", &names).expect("found");
    assert_eq!(output["InvalidParameters"], json!(["/nowhere"]));
    let found = &output["Parameters"];
    assert_eq!(found[0]["Value"], "secret");
    assert_eq!(found[0]["Type"], "SecureString");
    assert_eq!(
        (&found[1]["Value"], &found[1]["Version"]),
        (&json!("two"), &json!(2))
    );
}

#[test]
fn arn_and_version_are_returned_as_the_bare_name() {
    let arn = "arn:aws:ssm:us-east-1:123456789012:parameter/app/id";
    let names = json!({ "Names": [arn, "/app/id:1", "/app/id:3"] });
    let output = call(&mut ssm(), "GetParameters", &names).expect("found");
    let found = &output["Parameters"];
    assert_eq!(found[0]["Name"], "/app/id");
    assert_eq!(
        (&found[1]["Name"], &found[1]["Value"]),
        (&json!("/app/id"), &json!("one"))
    );
    assert_eq!(output["InvalidParameters"], json!(["/app/id:3"]));
}

#[test]
fn secure_string_needs_decryption_and_its_kms_key() {
    let name = json!({ "Name": "/app/key" });
    let output = call(&mut ssm(), "GetParameter", &name).expect("found");
    assert_ne!(output["Parameter"]["Value"], "secret");
    let mut denied = ssm();
    denied.kms_denied = true;
    let names = json!({ "Names": ["/app/key"], "WithDecryption": true });
    let result = call(&mut denied, "GetParameters", &names);
    assert_eq!(code(result), "AccessDeniedException");
}

#[test]
fn existing_parameter_is_overwritten_only_on_request() {
    let mut ssm = ssm();
    let mut put = json!({ "Name": "/app/id", "Value": "three" });
    assert_eq!(
        code(call(&mut ssm, "PutParameter", &put)),
        "ParameterAlreadyExists"
    );
    put["Overwrite"] = json!(true);
    let output = call(&mut ssm, "PutParameter", &put).expect("overwritten");
    assert_eq!(output["Version"], 3);
    put["Name"] = json!("/app/new");
    assert_eq!(
        code(call(&mut ssm, "PutParameter", &put)),
        "ValidationException",
        "a new parameter needs a type"
    );
    let long = json!({ "Name": "/app/long", "Type": "String", "Value": "x".repeat(4097) });
    assert_eq!(
        code(call(&mut ssm, "PutParameter", &long)),
        "ValidationException"
    );
}

#[test]
fn eleven_names_are_rejected() {
    let names = json!({ "Names": vec!["/n"; 11] });
    let result = call(&mut ssm(), "GetParameters", &names);
    assert_eq!(code(result), "ValidationException");
}

#[test]
fn secret_of_secrets_manager_is_returned_with_its_source() {
    let name = "/aws/reference/secretsmanager/app/key";
    let names = json!({ "Names": [name], "WithDecryption": true });
    let output = call(&mut ssm(), "GetParameters", &names).expect("found");
    let found = &output["Parameters"][0];
    assert_eq!(found["Name"], name);
    assert_eq!(found["Type"], "SecureString");
    assert_eq!(found["Value"], "secret of Secrets Manager");
    let source = found["SourceResult"].as_str().expect("a text");
    let source: Value = serde_json::from_str(source).expect("JSON");
    assert_eq!(source["secretString"], "secret of Secrets Manager");
}

#[test]
fn missing_secret_fails_the_whole_call() {
    let missing = "/aws/reference/secretsmanager/nowhere";
    let names = json!({ "Names": ["/app/id", missing], "WithDecryption": true });
    let result = call(&mut ssm(), "GetParameters", &names);
    assert_eq!(code(result), "ParameterNotFound");
}

#[test]
fn age_of_a_parameter_is_returned() {
    let mut ssm = Ssm::default();
    ssm.put("/old", Parameter::string("value").days_old(3));
    let output = call(&mut ssm, "GetParameter", &json!({ "Name": "/old" })).expect("found");
    let modified = output["Parameter"]["LastModifiedDate"].as_i64();
    let age = modified.map(|modified| crate::clock::Clock::default().now() - modified);
    assert!(age.is_some_and(|age| (259_200..259_300).contains(&age)));
}
