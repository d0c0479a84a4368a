//! `key`: the App's private key, into KMS or SSM, without a trace of it anywhere else.

use std::{
    fs, io,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sandbox::{Call, Fault, Iam, PrivateKey, Scenario};
use serde_json::{Value, json};

use crate::support::{
    Client, Target, World, aws_action,
    server::{Response, Server},
};

fn key() -> PrivateKey {
    PrivateKey::fresh(2048)
}

fn openssl_fingerprint(pem: &str) -> String {
    let openssl =
        "openssl rsa -pubout -outform DER 2>/dev/null | openssl dgst -sha256 -binary | base64";
    let output = Client::program("sh")
        .args(&["-c", openssl])
        .stdin(pem)
        .stdout();
    format!("SHA256:{}", output.trim())
}

/// The operations of KMS that the client called, in order.
fn operations(world: &World) -> Vec<String> {
    let requests = world.aws_requests();
    let actions = requests.iter().map(aws_action);
    actions
        .filter_map(|action| action.strip_prefix("kms:").map(str::to_owned))
        .collect()
}

#[test]
fn fingerprint_is_the_one_of_openssl() {
    let key = key();
    let expected = format!("{}\n", openssl_fingerprint(&key.pem()));
    assert_eq!(
        Client::new(&["key", "fingerprint"])
            .stdin(key.pem())
            .stdout(),
        expected
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    fs::write(&file, key.pem().replace('\n', "\r\n")).unwrap();
    assert_eq!(
        Client::new(&["key", "fingerprint", file.to_str().unwrap()]).stdout(),
        expected
    );
    let json: Value = serde_json::from_str(
        &Client::new(&["key", "fingerprint", "--json"])
            .stdin(key.pem())
            .stdout(),
    )
    .unwrap();
    assert_eq!(json["fingerprint"], expected.trim());
    let world = World::with(|scenario| scenario.key(key.clone()));
    assert_eq!(
        world
            .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
            .stdout(),
        expected
    );
}

#[test]
fn what_is_no_key_is_reported_and_not_repeated() {
    for text in [
        "",
        "secret",
        "-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----\n",
        &key().pem()[..500],
    ] {
        let stderr = Client::new(&["key", "fingerprint"]).stdin(text).fails(1);
        assert!(
            stderr.contains("Download a new one")
                && !stderr.contains("secret")
                && !stderr.contains("MII"),
            "{stderr}"
        );
    }
}

#[test]
fn import_creates_a_key_that_signs_for_the_app() {
    let world = World::new();
    let key = key();
    let finished = world
        .client(&["key", "import", "--alias", "my-app"])
        .stdin(key.pem())
        .run();
    assert_eq!(
        (finished.code, finished.stderr.as_str()),
        (0, ""),
        "{finished:?}"
    );
    assert!(
        finished
            .stdout
            .starts_with("Creating a KMS key. It costs about $1 a month"),
        "{finished:?}"
    );
    assert!(
        finished.stdout.contains(&openssl_fingerprint(&key.pem())),
        "{finished:?}"
    );
    let arn = finished
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("key:"))
        .unwrap()
        .trim()
        .to_owned();
    assert!(
        finished
            .stdout
            .contains(&format!("signing_key_arns = [\"{arn}\"]")),
        "{finished:?}"
    );
    assert_eq!(
        operations(&world),
        [
            "CreateKey",
            "GetParametersForImport",
            "ImportKeyMaterial",
            "GetPublicKey",
            "CreateAlias"
        ]
    );
    for name in [arn.as_str(), "alias/my-app"] {
        let fingerprint = world
            .client(&["key", "fingerprint", "--key-id", name])
            .stdout();
        assert_eq!(
            fingerprint.trim(),
            openssl_fingerprint(&key.pem()),
            "{name}"
        );
    }
    // The private key left this process wrapped only.
    let body = key.pem().lines().nth(1).unwrap().to_owned();
    for request in world.sandbox().requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains(&body));
    }
}

#[test]
fn import_does_not_expire_and_names_its_purpose() {
    let world = World::new();
    world
        .client(&["key", "import", "--json"])
        .stdin(key().pem())
        .stdout();
    let requests = world.sandbox().requests();
    let body = |operation: &str| {
        requests
            .iter()
            .find(|request| {
                request.header("x-amz-target") == Some(&format!("TrentService.{operation}"))
            })
            .unwrap()
            .json()
    };
    assert_eq!(
        body("ImportKeyMaterial")["ExpirationModel"],
        "KEY_MATERIAL_DOES_NOT_EXPIRE"
    );
    let create = body("CreateKey");
    assert_eq!(
        (&create["Origin"], &create["KeyUsage"], &create["KeySpec"]),
        (
            &"EXTERNAL".into(),
            &"SIGN_VERIFY".into(),
            &"RSA_2048".into()
        )
    );
    assert!(
        create["Description"]
            .as_str()
            .unwrap()
            .contains("GitHub App")
    );
    assert_eq!(create["Policy"], Value::Null, "KMS's default key policy");
}

#[test]
fn import_names_the_key_on_stderr_if_stdout_is_closed() {
    let world = World::new();
    let file = world.home.path().join("app.pem");
    fs::write(&file, key().pem()).unwrap();
    let (code, stderr) =
        with_closed_stdout(world.client(&["key", "import", "--json", file.to_str().unwrap()]));
    assert_eq!(code, Some(1));
    for part in [
        r#""key_arn":"arn:aws:kms:"#,
        "cannot write to standard output",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// The exit code, and stderr.
fn with_closed_stdout(mut client: Client) -> (Option<i32>, String) {
    let (reader, closed) = io::pipe().unwrap();
    drop(reader);
    let command = client.command.stdout(closed).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn import_uses_an_empty_key() {
    let key = key();
    let of_app = key.clone();
    // KMS accepts only the same material again.
    let world = World::with(|scenario| {
        scenario
            .key(of_app)
            .kms_key()
            .kms(|kms| kms.delete_material(sandbox::KMS_KEY_ID))
    });
    let import = || {
        world
            .client(&["key", "import", "--json", "--key-id", sandbox::KMS_KEY_ID])
            .stdin(key.pem())
    };
    let json: Value = serde_json::from_str(&import().stdout()).unwrap();
    assert_eq!(json["key_arn"], sandbox::KMS_KEY_ARN);
    assert_eq!(json["fingerprint"], openssl_fingerprint(&key.pem()));
    assert!(!operations(&world).contains(&"CreateKey".to_owned()));
    // Now it is not empty any more.
    let stderr = import().fails(1);
    assert!(
        stderr.contains("its state is Enabled, not PendingImport"),
        "{stderr}"
    );
}

#[test]
fn file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    for path in [missing.as_path(), folder.path()] {
        let path = path.to_str().unwrap();
        let stderr = Client::new(&["key", "fingerprint", path]).fails(1);
        assert!(
            stderr.contains(&format!("cannot read {path}: "))
                && stderr.contains("Pass the PEM file"),
            "{stderr}"
        );
    }
}

#[test]
fn alias_is_checked_before_a_key_is_created() {
    let long = "a".repeat(251);
    for alias in [
        "",
        "alias/",
        "my app",
        "my.app",
        "alias/aws/ssm",
        "aws/ssm",
        &long,
    ] {
        let world = World::new();
        let import = world.client(&["key", "import", "--alias", alias]);
        let stderr = import.stdin(key().pem()).fails(2);
        assert!(stderr.contains("alias"), "{stderr}");
        assert_eq!(operations(&world), Vec::<String>::new());
    }
}

#[test]
fn alias_that_kms_refuses_can_be_created_later() {
    let arn = "arn:aws:kms:us-east-1:123456789012:key/";
    for (alias, denied, continuation) in [
        (
            "a",
            "kms:CreateAlias",
            "aws kms create-alias --alias-name alias/a --target-key-id",
        ),
        (
            sandbox::KMS_ALIAS,
            "",
            "aws kms update-alias --alias-name alias/",
        ),
    ] {
        let world = World::with(|scenario| scenario.kms_key().deny(denied));
        let import = world.client(&["key", "import", "--alias", alias]);
        let finished = import.stdin(key().pem()).run();
        assert_eq!(finished.code, 1);
        for part in [
            continuation,
            &format!(" --target-key-id {arn}"),
            &format!("aws kms schedule-key-deletion --key-id {arn}"),
        ] {
            assert!(finished.stderr.contains(part), "{part}: {finished:?}");
        }
        assert!(!operations(&world).contains(&"ScheduleKeyDeletion".to_owned()));
    }
}

#[test]
fn failed_import_cleans_up_and_says_so() {
    let world = World::with(|scenario| scenario.deny("kms:ImportKeyMaterial"));
    let stderr = {
        let finished = world.client(&["key", "import"]).stdin(key().pem()).run();
        assert_eq!(finished.code, 1);
        finished.stderr
    };
    assert!(
        stderr.contains("kms:ImportKeyMaterial: AccessDeniedException"),
        "{stderr}"
    );
    assert!(
        stderr.contains("is empty. KMS deletes it in 7 days"),
        "{stderr}"
    );
    assert!(operations(&world).contains(&"ScheduleKeyDeletion".to_owned()));

    let world = World::with(|scenario| {
        scenario
            .deny("kms:ImportKeyMaterial")
            .deny("kms:ScheduleKeyDeletion")
    });
    let finished = world.client(&["key", "import"]).stdin(key().pem()).run();
    assert!(
        finished
            .stderr
            .contains("Continue with --key-id arn:aws:kms:"),
        "{finished:?}"
    );
}

#[test]
fn ssm_gets_a_secure_string_and_is_not_overwritten_by_accident() {
    let world = World::new();
    let key = key();
    let import = |name: &'static str, overwrite: bool| {
        let mut args = vec!["key", "import", "--ssm", name, "--kms-key-id", "alias/app"];
        if overwrite {
            args.push("--overwrite");
        }
        world.client(&args).stdin(key.pem())
    };
    let printed = import("/new/key", false).stdout();
    assert!(
        printed.contains("/new/key (version 1, SecureString)")
            && printed.contains(&openssl_fingerprint(&key.pem())),
        "{printed}"
    );
    let stderr = import("/new/key", false).fails(1);
    assert!(stderr.contains("exists. Pass --overwrite"), "{stderr}");
    import("/new/key", true).stdout();
    assert_eq!(
        world
            .client(&["key", "fingerprint", "--ssm", "/new/key"])
            .stdout()
            .trim(),
        openssl_fingerprint(&key.pem())
    );
    let put = world
        .sandbox()
        .requests()
        .into_iter()
        .find(|request| request.header("x-amz-target") == Some("AmazonSSM.PutParameter"))
        .unwrap()
        .json();
    assert_eq!(
        (&put["Type"], &put["KeyId"]),
        (&"SecureString".into(), &"alias/app".into())
    );
    // Without the key that encrypts it, AWS's default key would decide who can read it.
    world
        .client(&["key", "import", "--ssm", "/x"])
        .stdin(key.pem())
        .fails(2);
}

/// The role is allowed to sign with every key of the account.
pub(crate) const EVERY_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/*";

/// A function whose key is rotated, and the App's new key, which GitHub knows already. With a `signing_key`, the function names
/// its KMS key by an alias, and its role is allowed to sign with that key.
fn rotatable(signing_key: Option<&'static str>) -> (World, PrivateKey) {
    rotatable_with(signing_key, |scenario| scenario)
}

fn rotatable_with(
    signing_key: Option<&'static str>,
    change: impl FnOnce(Scenario) -> Scenario,
) -> (World, PrivateKey) {
    let new = key();
    let public = new.public();
    let world = World::with(|scenario| {
        let scenario = change(scenario);
        let scenario = scenario.github(move |github| github.app_mut().keys.push(public));
        match signing_key {
            Some(arn) => with_alias(scenario).iam(move |iam| allow_signing(iam, &[arn])),
            None => scenario,
        }
    });
    (world, new)
}

/// The function names its KMS key by an alias.
pub(crate) fn with_alias(scenario: Scenario) -> Scenario {
    scenario
        .kms_key()
        .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", sandbox::KMS_ALIAS)
}

/// Changes the keys that the function's role is allowed to sign with, as an `apply` of the module does.
pub(crate) fn allow_signing(iam: &mut Iam, keys: &[&str]) {
    let policy = iam.role_policy_mut("github-token-broker", "github-token-broker-policy");
    policy["Statement"][0]["Resource"] = keys.into();
}

#[test]
fn rotate_replaces_the_key_in_ssm() {
    let (world, new) = rotatable(None);
    let old = world
        .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
        .stdout();
    let finished = world.client(&["key", "rotate"]).stdin(new.pem()).run();
    assert_eq!(
        (finished.code, finished.stderr.as_str()),
        (0, ""),
        "{finished:?}"
    );
    let steps = [
        "GitHub accepts the new key",
        "contains the new key",
        "the function minted a token with the new key",
    ];
    for (line, step) in finished.stdout.lines().zip(steps) {
        assert!(
            line.starts_with("done: ") && line.contains(step),
            "{finished:?}"
        );
    }
    assert!(
        finished
            .stdout
            .contains(&format!("Delete the old key ({})", old.trim())),
        "{finished:?}"
    );
    let stored = world
        .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
        .stdout();
    assert_eq!(stored.trim(), openssl_fingerprint(&new.pem()));
    assert!(!world.is_alive(&world.newest_token()));
    // Once more: there is nothing to do.
    let finished = world.client(&["key", "rotate"]).stdin(new.pem()).run();
    assert!(
        finished.code == 1
            && finished
                .stderr
                .contains("the function uses this key already"),
        "{finished:?}"
    );
}

#[test]
fn rotate_changes_nothing_if_github_does_not_know_the_key() {
    let world = World::new();
    let old = world
        .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
        .stdout();
    let stderr = world.client(&["key", "rotate"]).stdin(key().pem()).fails(1);
    assert!(
        stderr.contains("the key does not belong to the App"),
        "{stderr}"
    );
    assert_eq!(
        world
            .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
            .stdout(),
        old
    );
    assert_eq!(world.minted(), 0);
}

#[test]
fn rotate_goes_back_if_the_function_cannot_mint() {
    let (world, new) = rotatable(None);
    let old = world
        .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
        .stdout();
    world.sandbox().github().installation_mut().suspended = true;
    let finished = world.client(&["key", "rotate"]).stdin(new.pem()).run();
    assert_eq!(finished.code, 1);
    assert!(
        finished.stderr.contains("InstallationSuspended: ")
            && finished.stderr.contains("uses the old key again"),
        "{finished:?}"
    );
    assert_eq!(
        world
            .client(&["key", "fingerprint", "--ssm", sandbox::PARAMETERS[2]])
            .stdout(),
        old
    );
}

#[test]
fn rotate_moves_the_alias_to_a_new_kms_key() {
    let (world, new) = rotatable(Some(EVERY_KEY));
    let finished = world
        .client(&["key", "rotate", "--json"])
        .stdin(new.pem())
        .run();
    assert_eq!(
        (finished.code, finished.stderr.as_str()),
        (0, ""),
        "{finished:?}"
    );
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        (
            report["done"].as_array().unwrap().len(),
            report["left"].as_array().unwrap().len()
        ),
        (5, 3),
        "{report:#}"
    );
    assert_eq!(report["fingerprint"], openssl_fingerprint(&new.pem()));
    let alias = world
        .client(&["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS])
        .stdout();
    assert_eq!(alias.trim(), openssl_fingerprint(&new.pem()));
    assert_eq!(world.minted(), 1);
    assert!(!world.is_alive(&world.newest_token()));
}

#[test]
fn rotate_waits_for_the_roles_permission_and_continues() {
    let (world, new) = rotatable(Some(sandbox::KMS_KEY_ARN));
    let finished = world
        .client(&["key", "rotate", "--json"])
        .stdin(new.pem())
        .run();
    assert!(
        finished.code == 1 && finished.stderr.contains("still uses the old key"),
        "{finished:?}"
    );
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let left = report["left"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step.as_str().unwrap())
        .collect::<Vec<_>>();
    let arn = left[1]
        .split_whitespace()
        .find(|word| word.starts_with("arn:"))
        .unwrap()
        .to_owned();
    assert!(
        left[0].contains(&arn) && left[0].contains("Allow kms:Sign"),
        "{left:?}"
    );
    assert_ne!(
        world
            .client(&["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS])
            .stdout()
            .trim(),
        openssl_fingerprint(&new.pem())
    );
    // After the apply, the same KMS key is used.
    allow_signing(&mut world.sandbox().iam(), &[&arn, sandbox::KMS_KEY_ARN]);
    let finished = world
        .client(&["key", "rotate", "--key-id", &arn])
        .stdin(new.pem())
        .run();
    assert_eq!(
        (finished.code, finished.stderr.as_str()),
        (0, ""),
        "{finished:?}"
    );
    assert!(
        finished
            .stdout
            .contains(&format!("done: {arn} holds the new key")),
        "{finished:?}"
    );
    assert_eq!(
        operations(&world)
            .iter()
            .filter(|operation| *operation == "CreateKey")
            .count(),
        1
    );
}

#[test]
fn rotate_moves_the_alias_back_if_the_function_cannot_mint() {
    let (world, new) = rotatable(Some(EVERY_KEY));
    let old = world
        .client(&["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS])
        .stdout();
    world.sandbox().github().installation_mut().suspended = true;
    let finished = world.client(&["key", "rotate"]).stdin(new.pem()).run();
    assert!(
        finished.code == 1 && finished.stderr.contains("uses the old key again"),
        "{finished:?}"
    );
    assert_eq!(
        world
            .client(&["key", "fingerprint", "--key-id", sandbox::KMS_ALIAS])
            .stdout(),
        old
    );
}

/// The fingerprint of the key that the function uses: in SSM, or in KMS.
fn fingerprint_in_use(world: &World, signing_key: Option<&str>) -> String {
    let place = match signing_key {
        Some(_) => ["--key-id", sandbox::KMS_ALIAS],
        None => ["--ssm", sandbox::PARAMETERS[2]],
    };
    let client = world.client(&["key", "fingerprint"]).args(&place);
    client.stdout().trim().to_owned()
}

#[test]
fn rotate_proves_the_key_or_goes_back_if_stdout_is_closed() {
    for signing_key in [None, Some(EVERY_KEY)] {
        for suspended in [false, true] {
            let (world, new) = rotatable(signing_key);
            let old = fingerprint_in_use(&world, signing_key);
            world.sandbox().github().installation_mut().suspended = suspended;
            let file = world.home.path().join("new.pem");
            fs::write(&file, new.pem()).unwrap();
            let client = world.client(&["key", "rotate", file.to_str().unwrap()]);
            let (code, stderr) = with_closed_stdout(client);
            assert_eq!(code, Some(1));
            let (parts, in_use, minted) = if suspended {
                (vec!["The function uses the old key again"], old, 0)
            } else {
                let parts = vec![
                    "done: the function minted a token with the new key",
                    "Delete the old key (",
                    "cannot write to standard output",
                ];
                (parts, openssl_fingerprint(&new.pem()), 1)
            };
            for part in parts {
                assert!(stderr.contains(part), "{part}: {stderr}");
            }
            assert_eq!(fingerprint_in_use(&world, signing_key), in_use);
            assert_eq!(world.minted(), minted);
        }
    }
}

/// The new key is not proven, and the old one is back.
fn interrupted_rotation(
    signing_key: Option<&'static str>,
    change: impl FnOnce(&Target, Scenario) -> Scenario,
) {
    let target = Target::default();
    let (world, new) = rotatable_with(signing_key, |scenario| change(&target, scenario));
    let old = fingerprint_in_use(&world, signing_key);
    let finished = target.run(world.client(&["key", "rotate"]).stdin(new.pem()));
    assert_eq!(finished.code, 1, "{finished:?}");
    for part in [
        "the new key is not proven: interrupted",
        "The function uses the old key again. To continue, run `github-token-broker key rotate",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
    assert_eq!(fingerprint_in_use(&world, signing_key), old);
}

#[test]
fn rotate_goes_back_if_a_signal_arrives_while_the_function_mints() {
    for (signal, signing_key) in [("INT", None), ("TERM", Some(EVERY_KEY)), ("HUP", None)] {
        interrupted_rotation(signing_key, |target, scenario| {
            // The function confirms the installation just before it mints.
            let scenario = scenario.faults(Call::Confirm, target.signal_at(signal, |_| true));
            scenario.fault(Call::Mint, Fault::Delay(Duration::from_mins(1)))
        });
    }
}

#[test]
fn rotate_goes_back_if_a_signal_arrives_during_the_switch() {
    interrupted_rotation(None, |target, scenario| {
        let is_stored = |body: &Value| body["Version"] == 2;
        scenario.faults(Call::Other, target.signal_at("INT", is_stored))
    });
}

#[test]
fn rotate_goes_back_if_aws_does_not_confirm_the_switch() {
    let (world, new) = rotatable(None);
    let (old, written) = (key().pem(), AtomicUsize::new(0));
    let stored = old.clone();
    let ssm = Server::start(move |request| {
        let body = String::from_utf8_lossy(&request.body);
        let value = if body.contains(sandbox::PARAMETERS[2]) {
            stored.as_str()
        } else {
            sandbox::CLIENT_ID
        };
        match request.header("x-amz-target") {
            Some("AmazonSSM.PutParameter") if written.fetch_add(1, Ordering::SeqCst) == 0 => {
                Response::new(502, "")
            }
            _ => Response::new(200, json!({ "Parameter": { "Value": value } }).to_string()),
        }
    });
    let client = world.client(&["key", "rotate"]).stdin(new.pem());
    let finished = client.env("AWS_ENDPOINT_URL_SSM", ssm.url()).run();
    assert_eq!(finished.code, 1);
    for part in [
        "the new key is not proven: the response to ssm:PutParameter is not one of AWS",
        "The function uses the old key again",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
    let last = ssm.requests().pop().unwrap();
    let last: Value = serde_json::from_slice(&last.body).unwrap();
    assert_eq!(last["Value"], old);
}
