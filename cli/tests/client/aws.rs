//! AWS: what the client sends, what it sends again, and what it says when AWS refuses.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use crate::support::{
    Client, GIVE_UP, World,
    server::{Request, Response, Server, client, minted},
};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:my-broker";

fn answering(status: u16, code: &'static str) -> Server {
    Server::start(move |_| {
        let body = r#"{"Message":"User: arn:aws:iam::123456789012:user/octo did something"}"#;
        Response::new(status, body).header("x-amzn-errortype", code)
    })
}

#[test]
fn invoke_is_what_lambda_documents() {
    let server = Server::start(|_| Response::new(200, minted()));
    assert_eq!(
        client(&server.url(), &["token", "--function", "f:live"]).stdout(),
        "ghs_scripted\n"
    );
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(request.method, "POST");
    assert_eq!(
        request.target,
        "/2015-03-31/functions/f/invocations?Qualifier=live"
    );
    assert_eq!(request.body, b"null");
    assert_eq!(
        request.header("x-amz-invocation-type"),
        Some("RequestResponse")
    );
    let authorization = request.header("authorization").unwrap();
    assert!(
        authorization.contains("Credential=AKIDEXAMPLE/")
            && authorization.contains("/us-east-1/lambda/aws4_request")
    );
}

#[test]
fn region_in_an_arn_takes_precedence() {
    let server = Server::start(|_| Response::new(200, minted()));
    client(
        &server.url(),
        &[
            "token",
            "--region",
            "us-west-2",
            "--function",
            &format!("{ARN}:7"),
        ],
    )
    .stdout();
    let request = server.requests().remove(0);
    assert_eq!(
        request.target,
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Amy-broker/invocations?Qualifier=7"
    );
    assert!(
        request
            .header("authorization")
            .unwrap()
            .contains("/eu-west-1/lambda/")
    );
}

#[test]
fn endpoint_of_lambda_takes_precedence() {
    let general = Server::start(|_| Response::new(500, ""));
    let lambda = Server::start(|_| Response::new(200, minted()));
    client(&general.url(), &["token"])
        .env("AWS_ENDPOINT_URL_LAMBDA", lambda.url())
        .stdout();
    assert_eq!((general.requests().len(), lambda.requests().len()), (0, 1));
}

#[test]
fn profile_takes_precedence_over_keys_in_the_environment() {
    let server = Server::start(|_| Response::new(200, minted()));
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(
        home.path().join(".aws/config"),
        "[profile p]\nregion = ap-south-1\n",
    )
    .unwrap();
    fs::write(
        home.path().join(".aws/credentials"),
        "[p]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n",
    )
    .unwrap();
    client(&server.url(), &["token", "--profile", "p", "--no-cache"])
        .home(home.path())
        .without("AWS_REGION")
        .stdout();
    let request = server.requests().remove(0);
    assert!(
        request
            .header("authorization")
            .unwrap()
            .contains("Credential=AKIDPROFILE/"),
        "{request:?}"
    );
    assert!(
        request
            .header("authorization")
            .unwrap()
            .contains("/ap-south-1/"),
        "{request:?}"
    );
}

#[test]
fn variables_stand_for_options_and_options_take_precedence() {
    let server = cloud(|_| credentials("AssumeRole"));
    let with_variables = |args: &[&str]| {
        client(&server.url(), args)
            .env("GITHUB_TOKEN_BROKER_FUNCTION", "f:live")
            .env("GITHUB_TOKEN_BROKER_ROLE_ARN", ROLE)
            .env("GITHUB_TOKEN_BROKER_VERBOSE", "1")
            .run()
    };
    let finished = with_variables(&["token"]);
    assert_eq!(finished.stdout, "ghs_scripted\n", "{finished:?}");
    assert!(finished.stderr.contains("assuming"), "{finished:?}");
    let sts = String::from_utf8(server.requests()[0].body.clone()).unwrap();
    assert!(sts.contains("role%2Fcaller"), "{sts}");
    assert!(
        server.requests()[1]
            .target
            .contains("/f/invocations?Qualifier=live")
    );
    with_variables(&[
        "token",
        "--function",
        "g",
        "--role-arn",
        &ROLE.replace("caller", "other"),
    ]);
    let sts = String::from_utf8(server.requests()[2].body.clone()).unwrap();
    assert!(sts.contains("role%2Fother"), "{sts}");
    assert!(server.requests()[3].target.ends_with("/g/invocations"));
    // Empty variables count as unset.
    client(&server.url(), &["token"])
        .env("GITHUB_TOKEN_BROKER_FUNCTION", "")
        .env("GITHUB_TOKEN_BROKER_ROLE_ARN", "")
        .env("GITHUB_TOKEN_BROKER_VERBOSE", "")
        .stdout();
    assert!(
        server.requests()[4]
            .target
            .ends_with("/github-token-broker/invocations")
    );
}

#[test]
fn region_option_takes_precedence_over_the_environment() {
    let server = Server::start(|_| Response::new(200, minted()));
    client(&server.url(), &["token", "--region", "eu-north-1"]).stdout();
    let request = server.requests().remove(0);
    assert!(
        request
            .header("authorization")
            .unwrap()
            .contains("/eu-north-1/lambda/")
    );
}

/// AWS's other sources of credentials on one server: a container's, an instance's and IAM Identity Center's.
fn sources(request: &Request) -> Response {
    let keys = |id: &str| {
        format!(
            r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
        )
    };
    match request.target.split('?').next().unwrap_or_default() {
        "/container" => Response::new(200, keys("AKIDCONTAINER")),
        "/latest/api/token" => {
            Response::new(200, "imds").header("x-aws-ec2-metadata-token-ttl-seconds", "60")
        }
        "/latest/meta-data/iam/security-credentials/" => Response::new(200, "role"),
        "/latest/meta-data/iam/security-credentials/role" => {
            Response::new(200, keys("AKIDINSTANCE"))
        }
        "/federation/credentials" => Response::new(
            200,
            r#"{"roleCredentials":{"accessKeyId":"AKIDSSO","secretAccessKey":"s","sessionToken":"t","expiration":4070908800000}}"#,
        ),
        "/" => credentials("AssumeRoleWithWebIdentity"),
        path if path.contains("/invocations") => Response::new(200, minted()),
        _ => Response::new(404, ""),
    }
}

#[test]
fn every_source_of_credentials_of_the_sdk_works() {
    let server = Server::start(sources);
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::create_dir_all(path(".aws/sso/cache")).unwrap();
    let config = "[profile process]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\"}'\n\
                  [profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n\
                  [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://d-123.awsapps.com/start\n";
    fs::write(path(".aws/config"), config).unwrap();
    // The SHA-1 of the session's name, `s`.
    let cached = ".aws/sso/cache/a0f1490a20d0211c997b44bc357e1972deab8ae3.json";
    let token = r#"{"accessToken":"x","expiresAt":"2099-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://d-123.awsapps.com/start"}"#;
    fs::write(path(cached), token).unwrap();
    fs::write(path("oidc"), "the.oidc.token").unwrap();
    let invoked_by = |args: &[&str], variables: &[(&str, String)]| {
        let args: Vec<_> = ["token", "--no-cache"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let mut client = client(&server.url(), &args)
            .home(home.path())
            .without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY");
        for (name, value) in variables {
            client = client.env(name, value);
        }
        assert_eq!(client.stdout(), "ghs_scripted\n");
        let request = server.requests().pop().unwrap();
        let authorization = request.header("authorization").unwrap().to_owned();
        let id = authorization.split_once("Credential=").unwrap().1;
        id.split_once('/').unwrap().0.to_owned()
    };
    assert_eq!(invoked_by(&["--profile", "process"], &[]), "AKIDPROCESS");
    assert_eq!(invoked_by(&["--profile", "sso"], &[]), "AKIDSSO");
    let web_identity = [
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            path("oidc").display().to_string(),
        ),
    ];
    assert_eq!(invoked_by(&[], &web_identity), "AKIDROLE");
    let container = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        format!("{}/container", server.url()),
    );
    assert_eq!(invoked_by(&[], &[container]), "AKIDCONTAINER");
    let instance = [
        ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url()),
    ];
    assert_eq!(invoked_by(&[], &instance), "AKIDINSTANCE");
}

#[test]
fn endpoint_of_sts_takes_precedence() {
    let sts = Server::start(|_| credentials("AssumeRole"));
    let lambda = Server::start(|_| Response::new(200, minted()));
    client(&lambda.url(), &["token", "--role-arn", ROLE])
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .stdout();
    assert_eq!((sts.requests().len(), lambda.requests().len()), (1, 1));
}

#[test]
fn throttled_invoke_is_sent_again_three_times_at_most() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Response::new(429, "{}").header("x-amzn-errortype", "TooManyRequestsException"),
        _ => Response::new(200, minted()),
    });
    let finished = client(&server.url(), &["token", "--verbose"]).run();
    assert_eq!(finished.stdout, "ghs_scripted\n");
    for attempt in ["throttled the request; attempt 2", "attempt 3"] {
        assert!(finished.stderr.contains(attempt), "{finished:?}");
    }
    assert_eq!(server.requests().len(), 3);

    let server = answering(429, "TooManyRequestsException");
    let stderr = client(&server.url(), &["token"]).fails(1);
    assert!(
        stderr.contains("throttled the invocation of github-token-broker 3 times"),
        "{stderr}"
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn nothing_else_is_sent_again() {
    for status in [500, 502, 503, 400] {
        let server = answering(status, "ServiceException");
        client(&server.url(), &["token"]).fails(1);
        assert_eq!(server.requests().len(), 1, "{status}");
    }
    // The connection breaks after the request was sent: the function might have run.
    let server = Server::start(|_| Response::default());
    let stderr = client(&server.url(), &["token"]).fails(1);
    assert!(
        stderr.contains("broke before the response was complete"),
        "{stderr}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn timeout_is_reported_and_not_sent_again() {
    let (answer, answered) = mpsc::channel::<()>();
    let answered = Mutex::new(answered);
    // A client without a timeout would get a token in the end.
    let server = Server::start(move |_| {
        let _ = answered.lock().unwrap().recv_timeout(GIVE_UP);
        Response::new(200, minted())
    });
    let stderr = client(&server.url(), &["token", "--timeout", "1s"]).fails(1);
    assert!(
        stderr.contains("within 1 s") && stderr.contains("--timeout"),
        "{stderr}"
    );
    assert_eq!(server.requests().len(), 1);
    drop(answer);
}

#[test]
fn no_connection_is_reported_with_the_host() {
    let server = Server::start(|_| Response::default());
    let stderr = client(&server.url(), &["token"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .fails(1);
    assert!(
        stderr.contains("no connection to 127.0.0.1:1: Connection refused"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    // Nothing was sent, so that the client tries again.
    let verbose = client(&server.url(), &["token", "--verbose"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .fails(1);
    assert!(
        verbose.contains("attempt 3") && !verbose.contains("attempt 4"),
        "{verbose}"
    );
}

/// What AWS answers, and what the client says about it.
const REFUSALS: [(u16, &str, &[&str]); 7] = [
    (
        403,
        "AccessDeniedException",
        &[
            "denied lambda:InvokeFunction on f in us-east-1",
            "invoker_role_arns",
        ],
    ),
    (
        404,
        "ResourceNotFoundException:http://internal.amazon.com/",
        &["no function f in us-east-1", "--region", "--profile"],
    ),
    (403, "ExpiredTokenException", &["expired", "Sign in again"]),
    (
        403,
        "UnrecognizedClientException",
        &["does not accept the credentials: UnrecognizedClientException"],
    ),
    (
        403,
        "InvalidSignatureException",
        &["InvalidSignatureException", "clock"],
    ),
    (
        502,
        "KMSAccessDeniedException",
        &["cannot run f: KMSAccessDeniedException (HTTP 502"],
    ),
    (
        409,
        "ResourceNotReadyException",
        &["cannot run f: ResourceNotReadyException", "state"],
    ),
];

#[test]
fn every_refusal_is_one_sentence_with_the_next_step() {
    for (status, code, parts) in REFUSALS {
        let server = answering(status, code);
        let stderr = client(&server.url(), &["token", "--function", "f"]).fails(1);
        for part in parts {
            assert!(stderr.contains(part), "{code}: {stderr}");
        }
        assert!(
            stderr.lines().count() == 1 && !stderr.contains("did something"),
            "{stderr}"
        );
    }
    let server = Server::start(|_| Response::new(404, "<html>a proxy"));
    let stderr = client(&server.url(), &["token"]).fails(1);
    assert!(
        stderr.contains("without an AWS error code") && !stderr.contains("proxy</"),
        "{stderr}"
    );
}

#[test]
fn missing_region_and_credentials_have_a_next_step() {
    let server = Server::start(|_| Response::default());
    let stderr = client(&server.url(), &["token"])
        .without("AWS_REGION")
        .fails(1);
    assert!(stderr.contains("no AWS region is configured"), "{stderr}");
    let stderr = client(&server.url(), &["token"])
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .fails(1);
    assert!(
        stderr.contains("no AWS credentials found") && stderr.contains("aws sso login"),
        "{stderr}"
    );
    let stderr = client(&server.url(), &["token", "--profile", "nobody"]).fails(1);
    assert!(
        stderr.contains("nobody") && stderr.contains("--profile"),
        "{stderr}"
    );
}

#[test]
fn unusable_settings_are_named() {
    let server = Server::start(|_| Response::default());
    for (name, value, part) in [
        ("AWS_REGION", "", "no AWS region is configured"),
        (
            "AWS_REGION",
            "us east",
            "us east is not the name of an AWS region",
        ),
        (
            "AWS_ENDPOINT_URL",
            "nonsense",
            "AWS_ENDPOINT_URL is not a valid endpoint",
        ),
        (
            "AWS_ENDPOINT_URL",
            "http://",
            "AWS_ENDPOINT_URL is not a valid endpoint",
        ),
        (
            "AWS_ACCESS_KEY_ID",
            "AKID\nEXAMPLE",
            "contains a control character",
        ),
        (
            "AWS_SESSION_TOKEN",
            "a\tb\x07",
            "contains a control character",
        ),
    ] {
        let stderr = client(&server.url(), &["token"]).env(name, value).fails(1);
        assert!(
            stderr.contains(part) && stderr.lines().count() == 1,
            "{name}={value:?}: {stderr}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn expired_sso_session_names_the_login() {
    let server = Server::start(|_| Response::default());
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    let config = "[profile s]\nregion = us-east-1\nsso_session = my-sso\nsso_account_id = 123456789012\nsso_role_name = r\n\
                  [sso-session my-sso]\nsso_region = us-east-1\nsso_start_url = https://d-123.awsapps.com/start\n";
    fs::write(home.path().join(".aws/config"), config).unwrap();
    let login = |client: Client| {
        let stderr = client.home(home.path()).fails(1);
        assert!(
            stderr.contains("the AWS SSO session has expired. Run `aws sso login --profile s`"),
            "{stderr}"
        );
    };
    // Never logged in.
    login(client(&server.url(), &["token", "--profile", "s"]));
    // Logged in some time ago. The file's name is the SHA-1 of `my-sso`.
    let cached = ".aws/sso/cache/0ad374308c5a4e22f723adf10145eafad7c4031c.json";
    let token = r#"{"accessToken":"x","expiresAt":"2024-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://d-123.awsapps.com/start"}"#;
    fs::write(home.path().join(cached), token).unwrap();
    login(client(&server.url(), &["token", "--profile", "s"]));
}

#[test]
fn malformed_response_is_never_repeated() {
    for body in [
        r#"{"token":"ghs_secret"}"#,
        "ghs_secret",
        r#"{"token":"ghs_secret\u001b[31m","expires_at":"x","repositories":["o/r"],"permissions":{}}"#,
    ] {
        let server = Server::start(move |_| Response::new(200, body));
        let stderr = client(&server.url(), &["token", "--verbose"]).fails(1);
        assert!(
            stderr.contains("malformed") && !stderr.contains("ghs_"),
            "{stderr}"
        );
    }
}

#[test]
fn unreadable_expiry_is_used_and_never_cached() {
    let world = World::new();
    let server = Server::start(move |_| {
        let mut body: serde_json::Value = serde_json::from_str(&minted()).unwrap();
        body["expires_at"] = "soon".into();
        Response::new(200, body.to_string())
    });
    let client = || {
        world
            .client(&["token"])
            .env("AWS_ENDPOINT_URL", server.url())
    };
    assert_eq!(client().stdout(), "ghs_scripted\n");
    assert_eq!(client().stdout(), "ghs_scripted\n");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn function_error_without_a_reason_is_reported() {
    for (body, line) in [
        (
            r#"{"errorType":"T","errorMessage":"m\nsecond \u001b[31mline"}"#,
            "T: m\\nsecond \\u{1b}[31mline\n",
        ),
        (
            r#"{"errorMessage":"Task timed out after 3.00 seconds"}"#,
            "Task timed out after 3.00 seconds\n",
        ),
    ] {
        let server = Server::start(move |_| {
            Response::new(200, body).header("x-amz-function-error", "Unhandled")
        });
        assert_eq!(client(&server.url(), &["token"]).fails(1), line);
    }
    let server =
        Server::start(|_| Response::new(200, "ghs_x").header("x-amz-function-error", "Unhandled"));
    let stderr = client(&server.url(), &["token"]).fails(1);
    assert!(
        stderr.contains("without a reason") && !stderr.contains("ghs_"),
        "{stderr}"
    );
}

#[test]
fn proxy_of_the_environment_is_used() {
    let proxy = Server::start(|_| Response::new(200, minted()));
    let direct = Server::start(|_| Response::new(200, minted()));
    let through = client(&direct.url(), &["token"])
        .env("AWS_ENDPOINT_URL", "http://lambda.example")
        .env("HTTP_PROXY", proxy.url());
    through.stdout();
    assert!(
        proxy.requests()[0]
            .target
            .starts_with("http://lambda.example/2015-03-31/")
    );
    client(&direct.url(), &["token"])
        .env("HTTP_PROXY", proxy.url())
        .env("NO_PROXY", "127.0.0.1")
        .stdout();
    assert_eq!((proxy.requests().len(), direct.requests().len()), (1, 1));
    // For https, the client asks for a tunnel.
    let proxy = Server::start(|_| Response::new(502, ""));
    client(&direct.url(), &["token"])
        .env("AWS_ENDPOINT_URL", "https://lambda.example")
        .env("HTTPS_PROXY", proxy.url())
        .fails(1);
    let request = proxy.requests().remove(0);
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("CONNECT", "lambda.example:443")
    );
}

#[test]
fn a_private_authority_is_trusted_by_ssl_cert_file_only() {
    let world = World::with(sandbox::Scenario::tls);
    let bundle = world.sandbox().ca_bundle().unwrap();
    assert!(world.sandbox().aws_url().starts_with("https://"));
    world
        .client(&["token"])
        .env("SSL_CERT_FILE", bundle)
        .stdout();
    let stderr = world.client(&["token", "--no-cache"]).fails(1);
    assert!(
        stderr.contains("certificate") && stderr.contains("SSL_CERT_FILE"),
        "{stderr}"
    );
}

#[test]
fn aws_ca_bundle_replaces_the_authorities_for_aws() {
    let world = World::with(sandbox::Scenario::tls);
    let bundle = world.sandbox().ca_bundle().unwrap();
    let client = || world.client(&["token", "--no-cache"]);
    client().env("AWS_CA_BUNDLE", &bundle).stdout();
    // It comes before SSL_CERT_FILE. What is not a certificate is skipped.
    let mut text = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    text.extend(fs::read(&bundle).unwrap());
    let padded = world.home.path().join("padded.pem");
    fs::write(&padded, text).unwrap();
    client()
        .env("AWS_CA_BUNDLE", &padded)
        .env("SSL_CERT_FILE", "/nonexistent")
        .stdout();
    // The AWS configuration has the same setting. The variable comes first.
    let config = world.home.path().join("config");
    let text = format!("[default]\nca_bundle = {}\n", bundle.display());
    fs::write(&config, text).unwrap();
    client().env("AWS_CONFIG_FILE", &config).stdout();
    let stderr = client()
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_CA_BUNDLE", "/nonexistent")
        .fails(1);
    assert!(
        stderr.contains("the certificates in /nonexistent") && stderr.contains("AWS_CA_BUNDLE"),
        "{stderr}"
    );
    // An empty variable counts as unset, and so does an empty file count as an error.
    client()
        .env("AWS_CA_BUNDLE", "")
        .env("SSL_CERT_FILE", &bundle)
        .stdout();
    let stderr = client().env("AWS_CA_BUNDLE", "/dev/null").fails(1);
    assert!(stderr.contains("with PEM certificates"), "{stderr}");
}

#[test]
fn the_sdks_own_calls_trust_aws_ca_bundle() {
    let world = World::with(sandbox::Scenario::tls);
    let bundle = world.sandbox().ca_bundle().unwrap();
    let assume = |bundle: &std::path::Path| {
        world
            .client(&["token", "--no-cache", "--role-arn", ROLE])
            .env("AWS_CA_BUNDLE", bundle)
            .run()
            .stderr
    };
    let untrusted = world.home.path().join("other.pem");
    let other = World::with(sandbox::Scenario::tls);
    fs::copy(other.sandbox().ca_bundle().unwrap(), &untrusted).unwrap();
    assert!(
        assume(&untrusted).contains("certificate"),
        "{}",
        assume(&untrusted)
    );
    assert!(
        !assume(&bundle).contains("certificate"),
        "{}",
        assume(&bundle)
    );
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_| Response::new(200, minted()));
    let url = elsewhere.url();
    let server = Server::start(move |_| Response::new(307, "").header("location", &url));
    client(&server.url(), &["token"]).fails(1);
    assert_eq!(elsewhere.requests().len(), 0);
}

/// AWS STS and Lambda, and GitHub Actions' issuer of OIDC tokens.
fn cloud(sts: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        if request.target.starts_with("/oidc") {
            return Response::new(200, r#"{"count":1,"value":"the.oidc.token"}"#);
        }
        if request.target.contains("/invocations") {
            return Response::new(200, minted());
        }
        sts(request)
    })
}

fn credentials(action: &str) -> Response {
    let xml = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>role-session</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
    );
    Response::new(200, xml).header("content-type", "text/xml")
}

fn refusal(code: &str) -> Response {
    let xml = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Response::new(403, xml).header("content-type", "text/xml")
}

const ROLE: &str = "arn:aws:iam::123456789012:role/caller";

#[test]
fn role_is_assumed_first() {
    let server = cloud(|_| credentials("AssumeRole"));
    client(&server.url(), &["token", "--role-arn", ROLE]).stdout();
    let requests = server.requests();
    let sts = String::from_utf8(requests[0].body.clone()).unwrap();
    assert!(
        sts.contains("Action=AssumeRole") && sts.contains("role%2Fcaller"),
        "{sts}"
    );
    assert!(
        requests[0]
            .header("authorization")
            .unwrap()
            .contains("AKIDEXAMPLE")
    );
    assert!(
        requests[1]
            .header("authorization")
            .unwrap()
            .contains("AKIDROLE")
    );
    assert_eq!(
        requests[1].header("x-amz-security-token"),
        Some("role-session")
    );

    let server = cloud(|_| refusal("AccessDenied"));
    let stderr = client(&server.url(), &["token", "--role-arn", ROLE]).fails(1);
    assert!(
        stderr.contains(&format!("assume {ROLE}: AccessDenied")) && stderr.contains("trust policy"),
        "{stderr}"
    );
}

fn in_actions(server: &Server, args: &[&str]) -> Client {
    client(&server.url(), args)
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/oidc?api-version=2.0", server.url()),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-bearer")
        .env("GITHUB_RUN_ID", "4711")
}

#[test]
fn actions_exchange_their_oidc_token_for_the_role() {
    let server = cloud(|_| credentials("AssumeRoleWithWebIdentity"));
    let finished = in_actions(&server, &["token", "--role-arn", ROLE, "--verbose"]).run();
    assert_eq!(finished.stdout, "ghs_scripted\n", "{finished:?}");
    for secret in [
        "the.oidc.token",
        "runner-bearer",
        "role-session",
        "ghs_scripted",
    ] {
        assert!(!finished.stderr.contains(secret), "{secret}: {finished:?}");
    }
    let requests = server.requests();
    assert_eq!(
        requests[0].target,
        "/oidc?api-version=2.0&audience=sts.amazonaws.com"
    );
    assert_eq!(
        requests[0].header("authorization"),
        Some("bearer runner-bearer")
    );
    let sts = String::from_utf8(requests[1].body.clone()).unwrap();
    for part in [
        "Action=AssumeRoleWithWebIdentity",
        "WebIdentityToken=the.oidc.token",
        "RoleSessionName=github-token-broker-4711",
    ] {
        assert!(sts.contains(part), "{sts}");
    }
    assert!(
        requests[2]
            .header("authorization")
            .unwrap()
            .contains("AKIDROLE")
    );
}

#[test]
fn actions_refusals_have_a_next_step() {
    let server = cloud(|_| refusal("AccessDenied"));
    let stderr = in_actions(&server, &["token", "--role-arn", ROLE]).fails(1);
    assert!(
        stderr.contains("rejected the OIDC token") && stderr.contains("subject"),
        "{stderr}"
    );

    let server = Server::start(|_| Response::new(403, "the.oidc.token"));
    let stderr = in_actions(&server, &["token", "--role-arn", ROLE]).fails(1);
    assert!(
        stderr.contains("id-token: write") && !stderr.contains("the.oidc.token"),
        "{stderr}"
    );
}

#[test]
fn wrong_options_are_usage_errors() {
    for args in [
        &["--function", "a b"][..],
        &["--role-arn", "role"],
        &["--github-host", "https://github.com"],
        &["--min-ttl", "5"],
        &["--timeout", "soon"],
        &["--no-such-option"],
    ] {
        let args: Vec<_> = ["token"].iter().chain(args).copied().collect();
        let stderr = Client::new(&args).fails(2);
        assert!(!stderr.is_empty());
    }
    Client::new(&["no-such-command"]).fails(2);
}
