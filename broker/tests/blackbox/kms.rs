//! Signing with a KMS key: the requests, the connections that carry them, and the meaning of each KMS error.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use sandbox::{
    Call, Fault, InvokeResult, KMS_ALIAS, KMS_KEY_ARN, KMS_KEY_ID, Outcome, PARAMETERS, PrivateKey,
    Running, Scenario, Schedule,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

const KEY: &str = "GITHUB_TOKEN_BROKER_KMS_KEY_ID";
const ON_DEMAND: &str = "on-demand";
const PROVISIONED: &str = "provisioned-concurrency";
/// Every ARN of the sandbox contains it.
const ACCOUNT: &str = "123456789012";
/// A test fails if an event that it waits for does not happen within this time. No test depends on its value.
const GIVE_UP: Duration = Duration::from_mins(1);

fn kms() -> Scenario {
    Scenario::default().kms_key()
}

fn kms_with_key_id(id: &str) -> Scenario {
    kms().variable(KEY, id)
}

fn kms_error(code: &str, message: &str) -> Fault {
    Fault::response(400).aws(code, message).into()
}

fn calls(outcome: &Outcome) -> Vec<Call> {
    let calls = outcome.requests.iter().map(|request| request.call);
    calls.collect()
}

/// AWS and GitHub number their connections independently.
fn connections(outcome: &Outcome) -> BTreeSet<(bool, u64)> {
    let is_aws = |call| matches!(call, Call::GetParameters | Call::Sign);
    let requests = outcome.requests.iter();
    requests
        .map(|request| (is_aws(request.call), request.connection))
        .collect()
}

/// Runs the scenario and checks what all signing errors have in common: a typed error, one log line, no call to GitHub, and
/// neither an ARN nor KMS's own text, at any log level.
async fn assert_fails(scenario: Scenario, error_type: &str, attempts: usize) -> Outcome {
    let outcome = scenario
        .variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", "debug")
        .run()
        .await;
    let (found_type, message) = outcome.error();
    assert_eq!(found_type, error_type, "{message}");
    assert_eq!(outcome.calls(Call::Sign), attempts, "{message}");
    assert!(message.starts_with("KMS Sign "), "{message}");
    let lines = outcome.lines("error");
    assert_eq!(lines.len(), 1, "{}", outcome.stdout);
    assert_eq!(lines[0]["errorMessage"], message);
    for text in ["arn:", ACCOUNT, KMS_KEY_ID, "KMS's own text"] {
        assert!(!outcome.stdout.contains(text), "{text}: {}", outcome.stdout);
        assert!(!message.contains(text), "{text}: {message}");
    }
    assert_eq!(outcome.calls(Call::Confirm) + outcome.calls(Call::Mint), 0);
    outcome
}

#[tokio::test]
async fn three_configured_values_need_no_ssm_call() {
    let mut running = kms().tls().start().await;
    for _ in 0..3 {
        let outcome = running.invoke("null").await;
        outcome.token();
        assert_eq!(calls(&outcome), [Call::Sign, Call::Confirm, Call::Mint]);
        assert_eq!(
            connections(&outcome),
            BTreeSet::from([(true, 1), (false, 1)]),
            "both were opened during init and are kept"
        );
    }
    running.finish().await;
}

#[tokio::test]
async fn ssm_is_asked_only_for_what_has_no_value() {
    let installation_id = sandbox::INSTALLATION_ID.to_string();
    let values = [
        ("GITHUB_TOKEN_BROKER_CLIENT_ID", sandbox::CLIENT_ID),
        ("GITHUB_TOKEN_BROKER_INSTALLATION_ID", &installation_id),
        (KEY, KMS_KEY_ARN),
    ];
    for choice in 0..8 {
        let mut scenario = Scenario::default();
        let mut needed = Vec::new();
        for (bit, ((variable, value), parameter)) in values.iter().zip(PARAMETERS).enumerate() {
            if choice & (1 << bit) == 0 {
                needed.push(parameter);
            } else {
                scenario = scenario
                    .variable(variable, *value)
                    .without_parameter(parameter);
            }
        }
        let outcome = scenario.run().await;
        outcome.token();
        let requests = outcome.requests_of(Call::GetParameters);
        let asked: Vec<_> = requests
            .map(|request| request.json()["Names"].clone())
            .collect();
        let expected = if needed.is_empty() {
            vec![]
        } else {
            vec![json!(needed)]
        };
        assert_eq!(asked, expected);
        let has_key = choice & 0b100 != 0;
        assert_eq!(outcome.calls(Call::Sign), usize::from(has_key));
    }
}

#[tokio::test]
async fn numeric_app_id_works_as_a_value() {
    let outcome = kms()
        .variable("GITHUB_TOKEN_BROKER_CLIENT_ID", " 123456 ")
        .run()
        .await;
    outcome.token();
    let confirm = outcome.requests_of(Call::Confirm).next().unwrap();
    assert_eq!(confirm.jwt().unwrap().1["iss"], "123456");
}

#[tokio::test]
async fn sign_request_contains_the_unsigned_jwt_and_asks_for_rs256() {
    let outcome = kms().run().await;
    let confirm = outcome.requests_of(Call::Confirm).next().unwrap();
    let unsigned = confirm.credential().unwrap().rsplit_once('.').unwrap().0;
    let sign = outcome.requests_of(Call::Sign).next().unwrap();
    assert_eq!(sign.header("x-amz-target"), Some("TrentService.Sign"));
    assert_eq!(
        sign.json(),
        json!({
            "KeyId": KMS_KEY_ARN,
            "Message": Base64::encode_string(unsigned.as_bytes()),
            "MessageType": "RAW",
            "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
        })
    );
}

#[tokio::test]
async fn every_form_of_key_id_is_sent_as_configured() {
    let alias_arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:{KMS_ALIAS}");
    for id in [KMS_KEY_ID, KMS_KEY_ARN, KMS_ALIAS, &alias_arn] {
        let outcome = kms_with_key_id(id).run().await;
        outcome.token();
        let sign = outcome.requests_of(Call::Sign).next().unwrap();
        assert_eq!(sign.json()["KeyId"], id);
    }
}

#[tokio::test]
async fn second_jwt_needs_a_second_signature() {
    for call in [Call::Confirm, Call::Mint] {
        let skewed = Fault::response(401)
            .message("'Expiration time' claim ('exp') is too far in the future");
        let outcome = kms().fault(call, skewed).run().await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Sign), 2);
        let minted = outcome.lines("info")[0];
        assert_eq!(minted["attempts"]["sign"], 2, "{minted}");
        let confirmed = usize::from(call == Call::Confirm) + 1;
        assert_eq!(outcome.calls(Call::Confirm), confirmed);
    }
}

#[tokio::test]
async fn skewed_clock_is_corrected_with_one_more_signature() {
    let scenario = kms().github(|github| github.clock.shift(-3600));
    let outcome = scenario.run().await;
    outcome.token();
    let messages: BTreeSet<_> = outcome
        .requests_of(Call::Sign)
        .map(|request| request.json()["Message"].to_string())
        .collect();
    assert_eq!(messages.len(), 2, "each JWT has its own time");
    assert_eq!(outcome.calls(Call::Confirm), 2);
}

#[tokio::test]
async fn rotated_alias_is_used_by_the_next_invocation() {
    let mut running = kms_with_key_id(KMS_ALIAS).start().await;
    running.invoke("null").await.token();
    let (new_id, new_key) = (
        "0a0a0a0a-0b0b-0c0c-0d0d-0e0e0e0e0e0e",
        PrivateKey::fresh(2048),
    );
    running.kms().put_key("us-east-1", new_id, &new_key);
    running.kms().put_alias("us-east-1", KMS_ALIAS, new_id);
    running.github().app_mut().keys = vec![new_key.public()];
    running.invoke("null").await.token();
    running.finish().await;
}

#[tokio::test]
async fn unusable_key_is_reported_by_its_state() {
    let cases: [(Scenario, &str, &str); 8] = [
        (
            kms_with_key_id("99999999-12ab-34cd-56ef-1234567890ab"),
            "SigningKeyNotFound",
            "GITHUB_TOKEN_BROKER_KMS_KEY_ID",
        ),
        (
            kms_with_key_id("alias/no-such-alias"),
            "SigningKeyNotFound",
            "needs its ARN",
        ),
        (kms().deny("kms:Sign"), "SigningKeyDenied", "kms:Sign"),
        (
            kms().kms(|kms| kms.disable(KMS_KEY_ID)),
            "SigningKeyUnusable",
            "Enable the KMS key",
        ),
        (
            kms().kms(|kms| kms.delete_material(KMS_KEY_ID)),
            "SigningKeyUnusable",
            "Import the key material",
        ),
        (
            kms().kms(|kms| kms.schedule_deletion(KMS_KEY_ID)),
            "SigningKeyUnusable",
            "cancel its deletion",
        ),
        (
            kms().kms(|kms| kms.set_usage(KMS_KEY_ID, "ENCRYPT_DECRYPT")),
            "SigningKeyUnusable",
            "SIGN_VERIFY",
        ),
        (
            kms().kms(|kms| kms.put_key("us-east-1", KMS_KEY_ID, &PrivateKey::fresh(3072))),
            "SigningKeyUnusable",
            "RSA_2048",
        ),
    ];
    for (scenario, error_type, remedy) in cases {
        let outcome = assert_fails(scenario, error_type, 1).await;
        let message = outcome.error().1;
        assert!(message.contains(remedy), "{message}");
        assert_eq!(outcome.lines("error")[0]["retryable"], false);
    }
}

#[tokio::test]
async fn rejections_are_final() {
    let user = format!("KMS's own text: arn:aws:sts::{ACCOUNT}:assumed-role/ciphertext-tools/x");
    let denied = format!("{user} is not authorized to perform: kms:Sign");
    let spec = "KMS's own text: Algorithm is incompatible with key spec ECC_NIST_P256.";
    let cases = [
        ("AccessDeniedException", denied.as_str(), "SigningKeyDenied"),
        ("InvalidKeyUsageException", spec, "SigningKeyUnusable"),
        ("UnsupportedOperationException", &user, "SigningKeyUnusable"),
        ("UnrecognizedClientException", &user, "SigningRefused"),
        ("ExpiredTokenException", &user, "SigningRefused"),
        ("InvalidSignatureException", &user, "SigningRefused"),
        ("ValidationException", &user, "SigningRefused"),
        ("InvalidGrantTokenException", &user, "SigningRefused"),
        ("SomethingNewException", &user, "SigningRefused"),
    ];
    for (code, message, error_type) in cases {
        let scenario = kms().fault(Call::Sign, kms_error(code, message));
        assert_fails(scenario, error_type, 1).await;
    }
}

#[tokio::test]
async fn signature_of_a_different_kind_is_rejected() {
    let short = Base64::encode_string(&[1; 255]);
    let edits: [fn(&mut Value, &str); 2] = [
        |body, short| body["Signature"] = short.into(),
        |body, _| body["SigningAlgorithm"] = "RSASSA_PSS_SHA_256".into(),
    ];
    for edit in edits {
        let short = short.clone();
        let scenario = kms().tamper(Call::Sign, move |body| edit(body, &short));
        assert_fails(scenario, "SigningKeyUnusable", 1).await;
    }
}

#[tokio::test]
async fn transient_errors_are_retried_and_then_reported() {
    let text = format!("KMS's own text with arn:aws:kms:us-east-1:{ACCOUNT}:key/{KMS_KEY_ID}");
    let cases: [(Fault, &str); 9] = [
        (kms_error("ThrottlingException", &text), "SigningThrottled"),
        (
            kms_error("KeyUnavailableException", &text),
            "SigningUnavailable",
        ),
        (
            kms_error("DependencyTimeoutException", &text),
            "SigningUnavailable",
        ),
        (Fault::Status(500), "SigningUnavailable"),
        (Fault::EmptyBody, "SigningUnavailable"),
        (Fault::Html, "SigningUnavailable"),
        (Fault::Json("{}".to_owned()), "SigningUnavailable"),
        (
            Fault::edit(|body| body["Signature"] = "not base64".into()),
            "SigningUnavailable",
        ),
        (Fault::TruncatedBody, "SigningUnreachable"),
    ];
    for (fault, error_type) in cases {
        let twice = Schedule::Times(2, fault.clone());
        let outcome = kms().faults(Call::Sign, twice).run().await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Sign), 3);

        let always = kms().faults(Call::Sign, Schedule::Always(fault));
        let outcome = assert_fails(always, error_type, 3).await;
        assert_eq!(outcome.lines("error")[0]["retryable"], true);
    }
}

#[tokio::test]
async fn unreachable_kms_is_reported_with_its_host() {
    let refused = Schedule::Always(Fault::ConnectionRefused);
    let outcome = assert_fails(kms().faults(Call::Sign, refused), "SigningUnreachable", 0).await;
    let message = outcome.error().1;
    assert!(message.contains("127.0.0.1:"), "{message}");
    assert_eq!(outcome.lines("error")[0]["attempts"]["sign"], 3);
}

#[tokio::test]
async fn slow_kms_is_reported_before_lambda_kills() {
    let slow = Schedule::Always(Fault::Delay(Duration::from_secs(30)));
    let scenario = kms().timeout(Duration::from_secs(2));
    let outcome = scenario.faults(Call::Sign, slow).run().await;
    assert!(matches!(outcome.result, InvokeResult::FunctionError(_)));
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "DeadlineNear");
    assert!(message.contains("in the step sign"), "{message}");
    assert_eq!(outcome.calls(Call::Confirm), 0);
}

#[tokio::test]
async fn log_line_names_the_signer_and_kms_request_id() {
    let outcome = kms().run().await;
    let line = &outcome.log[0];
    assert_eq!(line["signer"], "kms");
    let id = line["kms_request_id"].as_str().unwrap();
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(line.get("ssm_request_id"), None);
    assert_eq!(line.get("private_key_age_days"), None);
    assert_eq!(
        line["attempts"],
        json!({"sign": 1, "confirm": 1, "mint": 1})
    );
    assert!(line["milliseconds"]["sign"].as_f64().unwrap() > 0.0);

    let outcome = Scenario::default().run().await;
    let line = &outcome.log[0];
    assert_eq!(line["signer"], "private_key");
    assert!(line["ssm_request_id"].is_string());
    assert_eq!(line.get("kms_request_id"), None);
}

#[tokio::test]
async fn failed_signature_is_logged_with_kms_request_id() {
    let outcome = kms().deny("kms:Sign").run().await;
    let line = outcome.lines("error")[0];
    assert_eq!(line["signer"], "kms");
    assert!(line["kms_request_id"].is_string(), "{line}");
    assert_eq!(line["attempts"], json!({"sign": 1}));
}

/// The sandbox's KMS checks that the request is signed for the region of the key.
#[tokio::test]
async fn key_arn_decides_the_signing_region() {
    let arn = KMS_KEY_ARN.replace("us-east-1", "eu-west-1");
    let scenario = kms_with_key_id(&arn)
        .kms(|kms| kms.put_key("eu-west-1", KMS_KEY_ID, &PrivateKey::rsa(2048)));
    scenario.run().await.token();
    // Without an ARN, the same key is not found.
    let scenario = kms_with_key_id(KMS_KEY_ID)
        .kms(|kms| kms.put_key("eu-west-1", KMS_KEY_ID, &PrivateKey::rsa(2048)));
    let outcome = assert_fails(scenario, "SigningKeyNotFound", 1).await;
    assert!(outcome.error().1.contains("us-east-1"));
}

#[tokio::test]
async fn key_arn_decides_the_endpoint() {
    let eu = KMS_KEY_ARN.replace("us-east-1", "eu-west-1");
    let china = KMS_KEY_ARN.replace("arn:aws:kms:us-east-1", "arn:aws-cn:kms:cn-north-1");
    let with_client_id_parameter =
        kms_with_key_id(&eu).without_variable("GITHUB_TOKEN_BROKER_CLIENT_ID");
    let cases: [(Scenario, &[&str]); 6] = [
        (kms_with_key_id(&eu), &["kms.eu-west-1.amazonaws.com:443"]),
        (
            kms_with_key_id(&china),
            &["kms.cn-north-1.amazonaws.com.cn:443"],
        ),
        (
            kms_with_key_id(KMS_ALIAS),
            &["kms.us-east-1.amazonaws.com:443"],
        ),
        (
            kms_with_key_id(&eu).variable("AWS_USE_FIPS_ENDPOINT", "true"),
            &["kms-fips.eu-west-1.amazonaws.com:443"],
        ),
        (
            kms_with_key_id(&eu).variable("AWS_USE_DUALSTACK_ENDPOINT", "true"),
            &["kms.eu-west-1.api.aws:443"],
        ),
        (
            with_client_id_parameter,
            &[
                "kms.eu-west-1.amazonaws.com:443",
                "ssm.us-east-1.amazonaws.com:443",
            ],
        ),
    ];
    for (scenario, hosts) in cases {
        let found = aws_hosts(scenario).await;
        assert!(found.iter().eq(hosts), "{found:?}");
    }
}

/// The AWS hosts that the function asks a proxy for. The proxy allows none.
async fn aws_hosts(scenario: Scenario) -> BTreeSet<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let hosts = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = hosts.clone();
    let server = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut client = BufReader::new(client);
            let mut line = String::new();
            client.read_line(&mut line).await.unwrap();
            let target = line.split(' ').nth(1).unwrap().to_owned();
            seen.lock().unwrap().insert(target);
            let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
            drop(client.write_all(refusal).await);
        }
    });
    let outcome = scenario
        .without_variable("AWS_ENDPOINT_URL")
        .variable("HTTPS_PROXY", proxy)
        .run()
        .await;
    let (error_type, message) = outcome.error();
    assert!(error_type.ends_with("Unreachable"), "{message}");
    server.abort();
    let hosts = hosts.lock().unwrap();
    hosts.clone()
}

#[tokio::test]
async fn init_connects_only_to_the_services_that_are_needed() {
    for initialization in [ON_DEMAND, PROVISIONED] {
        let key_in_kms_only = Scenario::default()
            .variable(KEY, KMS_KEY_ARN)
            .without_parameter(PARAMETERS[2]);
        for (scenario, ssm_connections, kms_connections) in [
            (kms(), 0, 1),
            (key_in_kms_only, 1, 1),
            (Scenario::default(), 1, 0),
        ] {
            let (ssm, kms) = (Relay::start().await, Relay::start().await);
            // The endpoint of a service takes precedence over this one, where nothing listens.
            let mut running = scenario
                .variable("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
                .variable("AWS_ENDPOINT_URL_SSM", &ssm.url)
                .variable("AWS_ENDPOINT_URL_KMS", &kms.url)
                .variable("AWS_LAMBDA_INITIALIZATION_TYPE", initialization)
                .start()
                .await;
            ssm.assert_connections(ssm_connections).await;
            kms.assert_connections(kms_connections).await;
            for relay in [&ssm, &kms] {
                relay.forward_to(&running);
            }
            for _ in 0..2 {
                running.invoke("null").await.token();
            }
            ssm.assert_connections(ssm_connections).await;
            kms.assert_connections(kms_connections).await;
            running.finish().await;
        }
    }
}

/// An emulator on a different host works, with a warning. `0.0.0.0` is not a loopback address but reaches this machine.
#[tokio::test]
async fn plain_http_kms_endpoint_works_with_a_warning() {
    let relay = Relay::start().await;
    let mut running = kms()
        .variable(
            "AWS_ENDPOINT_URL_KMS",
            relay.url.replace("127.0.0.1", "0.0.0.0"),
        )
        // It is not used, so there is no warning about it.
        .variable("AWS_ENDPOINT_URL_SSM", "http://0.0.0.0:9")
        .prepare()
        .await;
    relay.forward_to(&running);
    let outcome = running.invoke("null").await;
    outcome.token();
    let [line] = outcome.lines("warn")[..] else {
        panic!("{}", outcome.stdout)
    };
    let warning = line.to_string();
    assert!(
        warning.contains("kms") && warning.contains("http"),
        "{warning}"
    );
    running.finish().await;
}

/// A TCP relay to AWS that counts its connections.
struct Relay {
    url: String,
    /// The other ends of the connections so far.
    accepted: watch::Sender<Vec<SocketAddr>>,
    target: watch::Sender<String>,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = watch::Sender::default();
        let accepted = watch::Sender::<Vec<_>>::default();
        let (targets, peers) = (target.clone(), accepted.clone());
        tokio::spawn(async move {
            while let Ok((client, peer)) = listener.accept().await {
                peers.send_modify(|peers| peers.push(peer));
                tokio::spawn(relay(client, targets.subscribe()));
            }
        });
        Self {
            url,
            accepted,
            target,
        }
    }

    /// From now on, connections reach the AWS of this sandbox.
    fn forward_to(&self, running: &Running) {
        let address = running.aws_url().replace("http://", "");
        self.target.send_replace(address);
    }

    /// Checks the number of connections so far. The function is frozen.
    async fn assert_connections(&self, expected: usize) {
        let mut accepted = self.accepted.subscribe();
        drop(timeout(GIVE_UP, accepted.wait_for(|peers| peers.len() >= expected)).await);
        // The kernel passes on connections in their order. When this one arrives, no earlier one is missing.
        let last = TcpStream::connect(self.url.replace("http://", "")).await;
        let last = last.unwrap().local_addr().unwrap();
        drop(accepted.wait_for(|peers| peers.contains(&last)).await);
        self.accepted
            .send_modify(|peers| peers.retain(|peer| *peer != last));
        assert_eq!(self.accepted.borrow().len(), expected);
    }
}

async fn relay(mut client: TcpStream, mut targets: watch::Receiver<String>) {
    let target = targets.wait_for(|target| !target.is_empty()).await;
    let target = target.unwrap().clone();
    let mut server = TcpStream::connect(target).await.unwrap();
    // The relay ends when either side closes.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

#[tokio::test]
async fn provisioned_function_signs_on_its_open_connection() {
    let far = Duration::from_millis(200);
    let scenario = kms().tls().round_trips(far, far);
    let mut running = scenario
        .variable("AWS_LAMBDA_INITIALIZATION_TYPE", PROVISIONED)
        .start()
        .await;
    let outcome = running.invoke("null").await;
    outcome.token();
    assert_eq!(calls(&outcome), [Call::Sign, Call::Confirm, Call::Mint]);
    assert_eq!(
        connections(&outcome),
        BTreeSet::from([(true, 1), (false, 1)])
    );
    running.finish().await;
}

#[tokio::test]
async fn connection_to_kms_closed_while_frozen_is_replaced_silently() {
    let mut running = kms().start().await;
    running.invoke("null").await.token();
    running.faults(Call::Sign, Schedule::First(Fault::ClosedWhileFrozen));
    let outcome = running.invoke("null").await;
    outcome.token();
    assert_eq!(
        outcome.lines("error").len() + outcome.lines("warn").len(),
        0
    );
    assert_eq!(outcome.calls(Call::Sign), 1);
    let sign = outcome.requests_of(Call::Sign).next().unwrap();
    assert_eq!(sign.connection, 2, "the first was closed");
    running.finish().await;
}

#[tokio::test]
async fn jwt_has_the_signature_that_kms_returned() {
    let outcome = kms().run().await;
    let confirm = outcome.requests_of(Call::Confirm).next().unwrap();
    let signature = confirm.credential().unwrap().rsplit('.').next().unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    assert_eq!(signature.len(), 256);
    let mint = outcome.requests_of(Call::Mint).next().unwrap();
    assert_eq!(
        mint.credential(),
        confirm.credential(),
        "one JWT for both calls"
    );
}
