//! `setup`: the App manifest flow. The test plays the browser; the sandbox plays KMS and GitHub.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

use sandbox::PrivateKey;
use serde_json::{Value, json};

use crate::support::{Client, REPOSITORY, World};

/// A world in which GitHub converts `c0de` into the sandbox's App with a new key.
fn world(change: impl FnOnce(sandbox::Scenario) -> sandbox::Scenario) -> (World, PrivateKey) {
    let key = PrivateKey::fresh(2048);
    let public = key.public();
    let world = World::with(|scenario| {
        change(scenario.github(move |github| github.app_mut().keys = vec![public]))
    });
    world.git.conversion(json!({
        "id": 123_456, "slug": "sandbox-app", "client_id": sandbox::CLIENT_ID, "pem": key.pem(),
        "client_secret": "secret-of-the-client", "webhook_secret": "secret-of-the-webhook",
    }));
    (world, key)
}

/// `setup` at work, and its page.
struct Session {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Session {
    fn start(world: &World, args: &[&str]) -> Self {
        let args: Vec<_> = ["setup", "--no-browser"]
            .iter()
            .chain(args)
            .chain(&[REPOSITORY])
            .copied()
            .collect();
        let mut client = world.client(&args);
        let mut child = client
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("Create the App: ").unwrap().to_owned();
        Self { child, lines, url }
    }

    fn host(&self) -> &str {
        self.url
            .strip_prefix("http://")
            .unwrap()
            .trim_end_matches('/')
    }

    /// What the browser does.
    fn get(&self, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let status = response.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            response.split_once("\r\n\r\n").unwrap().1.to_owned(),
        )
    }

    /// The form's target and the manifest in it.
    fn form(&self) -> (String, Value) {
        let (status, html) = self.get("/", self.host());
        assert_eq!(status, 200);
        let attribute = |name: &str| {
            let rest = html.split_once(&format!("{name}=\"")).unwrap().1;
            let text = rest.split_once('"').unwrap().0;
            text.replace("&quot;", "\"").replace("&amp;", "&")
        };
        (
            attribute("action"),
            serde_json::from_str(&attribute("value")).unwrap(),
        )
    }

    /// GitHub's redirect.
    fn redirect(&self) -> (u16, String) {
        let (action, _) = self.form();
        let state = action.split_once("state=").unwrap().1.to_owned();
        self.get(&format!("/created?code=c0de&state={state}"), self.host())
    }

    fn finish(mut self) -> (i32, String, String) {
        let rest: Vec<_> = self.lines.map(|line| line.unwrap()).collect();
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (
            self.child.wait().unwrap().code().unwrap(),
            rest.join("\n"),
            stderr,
        )
    }
}

fn operations(world: &World) -> Vec<String> {
    let requests = world.sandbox().requests();
    let targets = requests
        .iter()
        .filter_map(|request| request.header("x-amz-target"));
    targets
        .filter_map(|target| target.strip_prefix("TrentService."))
        .map(str::to_owned)
        .collect()
}

#[test]
fn app_is_created_and_its_key_goes_straight_into_kms() {
    let (world, key) = world(|scenario| scenario);
    let session = Session::start(
        &world,
        &[
            "--permission",
            "contents=write",
            "--permission",
            "issues=read",
        ],
    );
    // Everything that the key needs exists before GitHub shows it.
    assert_eq!(operations(&world), ["CreateKey", "GetParametersForImport"]);
    let (action, manifest) = session.form();
    assert!(
        action.starts_with(&format!(
            "http://{}/organizations/octo-org/settings/apps/new?state=",
            world.git.host()
        )),
        "{action}"
    );
    assert_eq!(
        manifest,
        json!({
            "name": "octo-org-octo-repo-broker",
            "url": world.git.url(REPOSITORY),
            "redirect_url": format!("{}created", session.url),
            "public": false,
            "default_permissions": { "contents": "write", "issues": "read" },
            "default_events": [],
        })
    );
    assert_eq!(session.redirect().0, 200);
    let (code, stdout, stderr) = session.finish();
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let mut actions: Vec<_> = operations(&world)
        .iter()
        .map(|operation| format!("kms:{operation}"))
        .collect();
    // Only a failure looks at the key and deletes it.
    actions.extend([
        "kms:DescribeKey".to_owned(),
        "kms:ScheduleKeyDeletion".to_owned(),
    ]);
    actions.sort();
    actions.dedup();
    let documented = github_token_broker::aws::operator::ACTIONS
        .iter()
        .find(|(command, _)| *command == "setup")
        .unwrap()
        .1;
    assert_eq!(actions, documented);
    let fingerprint = Client::new(&["key", "fingerprint"])
        .stdin(key.pem())
        .stdout();
    let installation = format!("installation_id  = \"{}\"", sandbox::INSTALLATION_ID);
    for part in [
        "/apps/sandbox-app/installations/new",
        fingerprint.trim(),
        "permissions      = { contents = \"write\", issues = \"read\" }",
        &format!("client_id        = \"{}\"", sandbox::CLIENT_ID),
        &installation,
        &format!(
            "github_api_base_url = \"http://{}/api/v3\"",
            world.git.host()
        ),
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let arn = stdout
        .split_once("signing_key_arns = [\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    let in_kms = world
        .client(&["key", "fingerprint", "--key-id", arn])
        .stdout();
    assert_eq!(in_kms, fingerprint);
    for secret in ["secret-of-the", "PRIVATE KEY", "c0de"] {
        assert!(!stdout.contains(secret), "{stdout}");
    }
}

#[test]
fn app_of_a_user_and_json() {
    let (world, _) = world(|scenario| scenario);
    let session = Session::start(&world, &["--user", "--name", "My <App> & \"Co\""]);
    let (action, manifest) = session.form();
    assert!(
        action.starts_with(&format!(
            "http://{}/settings/apps/new?state=",
            world.git.host()
        )),
        "{action}"
    );
    assert_eq!(
        manifest["default_permissions"],
        json!({ "contents": "read" })
    );
    assert!(
        manifest["name"].as_str().unwrap().ends_with("& \"Co\""),
        "{manifest}"
    );
    session.redirect();
    assert_eq!(session.finish().0, 0);
}

#[test]
fn only_githubs_answer_to_this_page_is_accepted() {
    let (world, _) = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    let own = session.host().to_owned();
    for (path, host, status) in [
        ("/created?code=c0de&state=other", own.as_str(), 403),
        ("/created?code=c0de", &own, 403),
        ("/created?state=", &own, 403),
        ("/created?code=c0de&state=x", "evil.example.com", 400),
        ("/", "evil.example.com", 400),
        ("/other", &own, 404),
    ] {
        assert_eq!(session.get(path, host).0, status, "{path} {host}");
    }
    let converted = || {
        world
            .git
            .requests()
            .iter()
            .any(|request| request.target.contains("conversions"))
    };
    assert!(!converted());
    assert_eq!(session.redirect().0, 200);
    assert_eq!(session.finish().0, 0);
    assert!(converted());
}

/// The empty KMS key is deleted, and the error says so.
fn is_cleaned_up(world: &World, (code, _, stderr): &(i32, String, String), why: &str) {
    assert_eq!(*code, 1);
    assert!(
        stderr.contains(why) && stderr.contains("is empty, and KMS deletes it in 7 days"),
        "{stderr}"
    );
    assert_eq!(operations(world).last().unwrap(), "ScheduleKeyDeletion");
}

#[test]
fn nobody_comes_back_from_github() {
    let (world, _) = world(|scenario| scenario);
    let session = Session::start(&world, &["--patience", "1s"]);
    is_cleaned_up(&world, &session.finish(), "GitHub did not come back");
}

#[test]
fn interrupt_says_what_exists() {
    let (world, _) = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    Client::program("kill")
        .args(&["-s", "INT", &session.child.id().to_string()])
        .stdout();
    is_cleaned_up(&world, &session.finish(), "interrupted");
}

#[test]
fn a_code_that_is_not_converted_says_what_exists() {
    let (world, _) = world(|scenario| scenario);
    world
        .git
        .conversion(json!({ "slug": "../x", "client_id": "x", "pem": "x" }));
    let session = Session::start(&world, &[]);
    session.redirect();
    is_cleaned_up(&world, &session.finish(), "has no App");
}

#[test]
fn an_app_that_is_not_installed_or_not_imported_is_named() {
    let (world, _) = world(|scenario| {
        scenario.github(|github| github.installation_mut().repository_ids = Some(vec![1_296_270]))
    });
    let session = Session::start(&world, &["--patience", "2s"]);
    session.redirect();
    let (code, _, stderr) = session.finish();
    assert_eq!(code, 1);
    assert!(
        stderr.contains("/organizations/octo-org/settings/apps/sandbox-app")
            && stderr.contains("with the KMS key arn:aws:kms:"),
        "{stderr}"
    );
}

#[test]
fn a_key_that_kms_does_not_take_is_named() {
    let (world, _) = world(|scenario| scenario.deny("kms:ImportKeyMaterial"));
    let session = Session::start(&world, &[]);
    session.redirect();
    let (code, stdout, stderr) = session.finish();
    assert_eq!(code, 1);
    assert!(
        stderr.contains("kms:ImportKeyMaterial: AccessDeniedException")
            && stderr.contains("The App exists: delete it on"),
        "{stderr}"
    );
    assert!(!stdout.contains("PRIVATE KEY") && !stderr.contains("PRIVATE KEY"));
}

#[test]
fn wrong_permission_or_repository_is_a_usage_error() {
    for args in [
        &["--permission", "contents", "o/r"][..],
        &["--permission", "pull-requests=read", "o/r"],
        &["o"],
    ] {
        let args: Vec<_> = ["setup"].iter().chain(args).copied().collect();
        Client::new(&args).fails(2);
    }
}
