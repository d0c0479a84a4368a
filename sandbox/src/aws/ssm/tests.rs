//! Parameter Store's answers, as AWS documents and gives them.

use serde_json::json;

use super::{Parameter, Ssm};

fn ssm() -> Ssm {
    let mut ssm = Ssm::default();
    ssm.put("/app/id", Parameter::string("one"));
    ssm.put("/app/id", Parameter::string("two"));
    ssm.put("/app/key", Parameter::secure_string("secret"));
    ssm
}

#[test]
fn get_parameters_names_what_it_does_not_have() {
    let names = json!({ "Names": ["/app/key", "/app/id", "/nowhere"], "WithDecryption": true });
    let answer = ssm()
        .operate("us-east-1", "GetParameters", &names)
        .expect("no error");
    assert_eq!(answer["InvalidParameters"], json!(["/nowhere"]));
    assert_eq!(answer["Parameters"][0]["Value"], "secret");
    assert_eq!(answer["Parameters"][0]["Type"], "SecureString");
    assert_eq!(
        (
            &answer["Parameters"][1]["Value"],
            &answer["Parameters"][1]["Version"]
        ),
        (&json!("two"), &json!(2))
    );
}

#[test]
fn an_arn_and_a_version_come_back_as_the_bare_name() {
    let names = json!({ "Names": ["arn:aws:ssm:us-east-1:123456789012:parameter/app/id", "/app/id:1", "/app/id:3"] });
    let answer = ssm()
        .operate("us-east-1", "GetParameters", &names)
        .expect("no error");
    assert_eq!(answer["Parameters"][0]["Name"], "/app/id");
    assert_eq!(
        (
            &answer["Parameters"][1]["Name"],
            &answer["Parameters"][1]["Value"]
        ),
        (&json!("/app/id"), &json!("one"))
    );
    assert_eq!(answer["InvalidParameters"], json!(["/app/id:3"]));
}

#[test]
fn a_secure_string_stays_closed_without_decryption_or_without_its_key() {
    let name = json!({ "Name": "/app/key" });
    let answer = ssm()
        .operate("us-east-1", "GetParameter", &name)
        .expect("no error");
    assert_ne!(answer["Parameter"]["Value"], "secret");
    let mut denied = ssm();
    denied.kms_denied = true;
    let names = json!({ "Names": ["/app/key"], "WithDecryption": true });
    assert_eq!(
        denied
            .operate("us-east-1", "GetParameters", &names)
            .expect_err("denied")
            .code,
        "AccessDeniedException"
    );
}

#[test]
fn put_parameter_overwrites_only_when_told_to() {
    let mut ssm = ssm();
    let mut put = json!({ "Name": "/app/id", "Value": "three" });
    assert_eq!(
        ssm.operate("us-east-1", "PutParameter", &put)
            .expect_err("it exists")
            .code,
        "ParameterAlreadyExists"
    );
    put["Overwrite"] = json!(true);
    assert_eq!(
        ssm.operate("us-east-1", "PutParameter", &put)
            .expect("told to")["Version"],
        3
    );
    put["Name"] = json!("/app/new");
    assert_eq!(
        ssm.operate("us-east-1", "PutParameter", &put)
            .expect_err("no type")
            .code,
        "ValidationException"
    );
    let long = json!({ "Name": "/app/long", "Type": "String", "Value": "x".repeat(4097) });
    assert_eq!(
        ssm.operate("us-east-1", "PutParameter", &long)
            .expect_err("too long")
            .code,
        "ValidationException"
    );
}

#[test]
fn eleven_names_are_too_many() {
    let names = json!({ "Names": vec!["/n"; 11] });
    assert_eq!(
        ssm()
            .operate("us-east-1", "GetParameters", &names)
            .expect_err("too many")
            .code,
        "ValidationException"
    );
}
