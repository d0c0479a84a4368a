//! `setup`: the App manifest flow. The test plays the browser; the sandbox plays KMS, SSM and GitHub with its pages.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStderr, Stdio},
    thread,
};

use sandbox::{Call, Fault, PARAMETERS, Parameter, Schedule};
use serde_json::{Value, json};

use crate::permissions::{documented, needed};
use crate::support::{
    Client, Finished, REPOSITORY, Target, World, aws_action, send_signal,
    server::{Response, Server},
};

/// A symmetric key for parameters.
const KEY_ID: &str = "11111111-2222-3333-4444-555555555555";
const KEY_ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const SSM: [&str; 3] = ["--ssm", "--kms-key-id", "alias/parameters"];

/// GitHub has no App yet, KMS has a symmetric key, and SSM has no parameter.
fn world(change: impl FnOnce(sandbox::Scenario) -> sandbox::Scenario) -> World {
    World::with(|scenario| {
        let scenario = scenario
            .github(|github| (github.apps, github.installations) = (Vec::new(), Vec::new()))
            .kms(|kms| kms.put_symmetric_key("us-east-1", KEY_ID, "alias/parameters"));
        let without = |scenario: sandbox::Scenario, name| scenario.without_parameter(name);
        change(PARAMETERS.into_iter().fold(scenario, without))
    })
}

/// What a browser sends and gets.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first attribute of this name, unescaped.
    fn attribute(&self, name: &str) -> String {
        let found = self.body.split_once(&format!("{name}=\""));
        let (_, rest) = found.unwrap_or_else(|| panic!("no {name} in {}", self.body));
        let (text, _) = rest.split_once('"').unwrap();
        text.replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }
}

/// A request as a browser sends it. `host` is the name under which the browser knows the server.
fn request(method: &str, url: &str, host: Option<&str>, form: &[(&str, &str)]) -> Answer {
    let (authority, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    let host = host.unwrap_or(authority);
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn get(url: &str) -> Answer {
    request("GET", url, None, &[])
}

/// `setup` at work, and its page.
struct Session<'a> {
    world: &'a World,
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    stderr: Vec<String>,
    url: String,
}

impl<'a> Session<'a> {
    fn start(world: &'a World, args: &[&str]) -> Self {
        let mut client = world.client(&["setup", "--no-browser"]);
        client.command.args(args).arg(REPOSITORY);
        Self::follow(world, client)
    }

    fn follow(world: &'a World, mut client: Client) -> Self {
        let mut child = client
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut session = Self {
            world,
            child,
            lines,
            stderr: Vec::new(),
            url: String::new(),
        };
        session.url = session.wait_for("Create the App: ");
        session
    }

    /// The rest of the next line on stderr that begins with this.
    fn wait_for(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("no {start}: {:?}", self.stderr));
            let line = line.unwrap();
            self.stderr.push(line.clone());
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    fn host(&self) -> String {
        self.url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned()
    }

    /// The form's target and the manifest in it.
    fn form(&self) -> (String, String) {
        let page = get(&self.url);
        assert_eq!(page.status, 200);
        (page.attribute("action"), page.attribute("value"))
    }

    /// The user confirms the App on GitHub. Returns the URL to which GitHub redirects.
    fn confirm(&self) -> String {
        let (action, manifest) = self.form();
        let github = request("POST", &action, None, &[("manifest", &manifest)]);
        assert!(github.body.contains("Create GitHub App"), "{}", github.body);
        let form = [("manifest", manifest.as_str()), ("confirmed", "1")];
        let redirect = request("POST", &action, None, &form);
        assert_eq!(redirect.status, 303, "{}", redirect.body);
        redirect.header("location").unwrap().to_owned()
    }

    /// The user confirms, and follows the redirect.
    fn create(&self) -> Answer {
        get(&self.confirm())
    }

    /// The user follows the link on the page, and installs the App on the repository.
    fn install(page: &Answer) {
        let link = page.attribute("class=\"button\" href");
        assert!(get(&link).body.contains(REPOSITORY));
        let installed = request("POST", &link, None, &[("repository", REPOSITORY)]);
        assert_eq!(installed.status, 200, "{}", installed.body);
    }

    fn finish(mut self) -> Finished {
        self.stderr
            .extend(self.lines.by_ref().map(|line| line.unwrap()));
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        let stderr = self.stderr.join("\n");
        for secret in ["PRIVATE KEY", "client_secret"] {
            assert!(!stdout.contains(secret) && !stderr.contains(secret));
        }
        Finished {
            stdout,
            stderr,
            code: self.child.wait().unwrap().code().unwrap(),
        }
    }

    fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    fn slug(&self) -> String {
        self.world.sandbox().github().apps[0].slug.clone()
    }
}

/// The whole flow.
fn set_up(world: &World, args: &[&str]) -> Finished {
    let session = Session::start(world, args);
    let page = session.create();
    assert_eq!(page.status, 200, "{}", page.body);
    Session::install(&page);
    session.finish()
}

fn operations(world: &World, service: &str) -> Vec<String> {
    let requests = world.aws_requests();
    let actions = requests.iter().map(aws_action);
    let operation = |action: String| action.strip_prefix(service).map(str::to_owned);
    actions.filter_map(operation).collect()
}

/// The value of an attribute of the printed configuration.
fn attribute<'a>(configuration: &'a str, name: &str) -> Option<&'a str> {
    configuration.lines().find_map(|line| {
        let (found, value) = line.split_once(" = ")?;
        (found.trim() == name).then_some(value.trim())
    })
}

#[test]
fn app_is_created_and_its_key_goes_straight_into_kms() {
    let world = world(|scenario| scenario);
    let permissions = [
        "--permission",
        "contents=write",
        "--permission",
        "issues=read",
    ];
    let session = Session::start(&world, &permissions);
    // Everything that the key needs exists before GitHub shows it, and the cost is printed first.
    assert!(
        session.stderr[0].contains("It costs about $1 a month"),
        "{:?}",
        session.stderr
    );
    assert_eq!(
        operations(&world, "kms:"),
        ["CreateKey", "GetParametersForImport"]
    );
    let (action, manifest) = session.form();
    let github = format!("http://{}/organizations/octo-org", world.git.host());
    assert!(
        action.starts_with(&format!("{github}/settings/apps/new?state=")),
        "{action}"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&manifest).unwrap(),
        json!({
            "name": "octo-org-octo-repo-broker",
            "url": world.git.url(REPOSITORY),
            "redirect_url": format!("{}created", session.url),
            "public": false,
            "default_permissions": { "contents": "write", "issues": "read" },
            "default_events": [],
        })
    );
    let page = session.create();
    assert!(page.body.contains(&session.slug()), "{}", page.body);
    Session::install(&page);
    let finished = session.finish();
    assert_eq!(finished.code, 0, "{finished:?}");
    let github = world.sandbox().github();
    let (app, installation) = (&github.apps[0], &github.installations[0]);
    let configuration = &finished.stdout;
    let quoted = |text: &str| format!("\"{text}\"");
    for (name, value) in [
        ("repository_owner", quoted("octo-org")),
        ("repository_name", quoted("octo-repo")),
        ("region", quoted("us-east-1")),
        ("client_id", quoted(&app.client_id)),
        ("installation_id", quoted(&installation.id.to_string())),
        (
            "permissions",
            r#"{ contents = "write", issues = "read" }"#.to_owned(),
        ),
        (
            "github_api_base_url",
            quoted(&format!("http://{}/api/v3", world.git.host())),
        ),
    ] {
        assert_eq!(
            attribute(configuration, name),
            Some(value.as_str()),
            "{configuration}"
        );
    }
    drop(github);
    let arn = attribute(configuration, "signing_key_arns").unwrap();
    let arn = arn.trim_matches(['[', ']', '"']);
    let in_kms = world
        .client(&["key", "fingerprint", "--key-id", arn])
        .stdout();
    assert!(configuration.contains(in_kms.trim()), "{configuration}");
}

#[test]
fn key_and_ids_go_into_ssm() {
    for (args, path) in [
        (vec!["--ssm"], "/github-token-broker/app"),
        (vec!["--ssm=/team/app/"], "/team/app"),
    ] {
        let world = world(|scenario| scenario);
        let args = [args, SSM[1..].to_vec()].concat();
        let session = Session::start(&world, &args);
        // All three names are taken before GitHub shows the key, in one request each.
        assert_eq!(operations(&world, "ssm:"), ["PutParameter"; 3]);
        let page = session.create();
        Session::install(&page);
        let finished = session.finish();
        assert_eq!(finished.code, 0, "{finished:?}");
        let (client_id, installation_id) = {
            let github = world.sandbox().github();
            let installation = github.installations[0].id.to_string();
            (github.apps[0].client_id.clone(), installation)
        };
        let ssm = world.sandbox().ssm();
        for (name, kind, value) in [
            ("client-id", "String", Some(client_id)),
            ("installation-id", "String", Some(installation_id)),
            ("private-key-pem", "SecureString", None),
        ] {
            let parameter = ssm.get(&format!("{path}/{name}")).unwrap();
            assert_eq!(parameter.kind, kind);
            assert!(value.is_none_or(|value| value == parameter.value), "{name}");
        }
        let private_key = ssm.get(&format!("{path}/private-key-pem")).unwrap();
        assert_eq!(private_key.key_id.as_deref(), Some(KEY_ARN));
        drop(ssm);
        let configuration = &finished.stdout;
        let name = format!("{path}/private-key-pem");
        let stored = world
            .client(&["key", "fingerprint", "--ssm", &name])
            .stdout();
        assert!(configuration.contains(stored.trim()), "{configuration}");
        assert_eq!(
            attribute(configuration, "kms_key_arn"),
            Some(format!("\"{KEY_ARN}\"").as_str())
        );
        // The module's defaults are not repeated, and the IDs are read from SSM.
        let is_default = path == "/github-token-broker/app";
        let private_key = (!is_default).then(|| format!("\"{name}\""));
        assert_eq!(
            attribute(configuration, "private_key"),
            private_key.as_deref()
        );
        let other = attribute(configuration, "signing_key_arns");
        assert_eq!(other.or(attribute(configuration, "repository_id")), None);
    }
}

#[test]
fn key_that_aws_manages_needs_no_input() {
    let managed = "99999999-2222-3333-4444-555555555555";
    let world = world(|scenario| {
        scenario.kms(move |kms| kms.put_symmetric_key("us-east-1", managed, "alias/aws/ssm"))
    });
    let finished = set_up(&world, &["--ssm", "--kms-key-id", "alias/aws/ssm"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(attribute(&finished.stdout, "kms_key_arn"), None);
}

#[test]
fn existing_parameter_is_not_overwritten_by_accident() {
    for name in PARAMETERS {
        let existing = if name == PARAMETERS[2] {
            Parameter::secure_string("before")
        } else {
            Parameter::string("before")
        };
        let world = world(|scenario| scenario.parameter(name, existing));
        let finished = world
            .client(&["setup", "--no-browser", REPOSITORY])
            .args(&SSM)
            .run();
        assert_eq!(finished.code, 1, "{finished:?}");
        let refused = format!("the parameter {name} exists. Pass --overwrite");
        assert!(finished.stderr.contains(&refused), "{finished:?}");
        assert!(!finished.stderr.contains("Create the App"), "{finished:?}");
        for other in PARAMETERS {
            let ssm = world.sandbox().ssm();
            let value = ssm.get(other).map(|parameter| parameter.value.as_str());
            assert_eq!(value, (other == name).then_some("before"));
        }
        let finished = set_up(&world, &[&SSM[..], &["--overwrite"]].concat());
        assert_eq!(finished.code, 0, "{finished:?}");
        assert_ne!(world.sandbox().ssm().get(name).unwrap().value, "before");
    }
}

#[test]
fn overwriting_what_is_not_a_secure_string_is_refused_before_the_app_exists() {
    let world = world(|scenario| scenario.parameter(PARAMETERS[2], Parameter::string("before")));
    let finished = world
        .client(&["setup", "--no-browser", "--overwrite", REPOSITORY])
        .args(&SSM)
        .run();
    assert_eq!(finished.code, 1);
    assert!(
        finished
            .stderr
            .contains("is a String, and SSM does not change it"),
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("Create the App"), "{finished:?}");
}

#[test]
fn key_that_cannot_encrypt_is_refused_before_the_app_exists() {
    let world = world(|scenario| scenario);
    let finished = world
        .client(&["setup", "--no-browser", "--ssm", REPOSITORY])
        .args(&["--kms-key-id", sandbox::KMS_KEY_ID])
        .run();
    assert_eq!(finished.code, 1);
    assert!(
        finished
            .stderr
            .contains("its spec is RSA_2048, not SYMMETRIC_DEFAULT"),
        "{finished:?}"
    );
    assert_eq!(operations(&world, "ssm:"), Vec::<String>::new());
}

#[test]
fn configuration_is_on_stderr_if_stdout_is_closed() {
    let world = world(|scenario| scenario);
    let mut session = Session::start(&world, &[]);
    drop(session.child.stdout.take());
    Session::install(&session.create());
    session.wait_for("  signing_key_arns = ");
    session.wait_for("github-token-broker: cannot write to standard output");
    assert_eq!(session.child.wait().unwrap().code(), Some(1));
}

#[test]
fn empty_kms_key_is_used() {
    let world = world(|scenario| {
        scenario.kms(|kms| {
            kms.put_empty_key("us-east-1", "22222222-2222-3333-4444-555555555555");
        })
    });
    let id = "22222222-2222-3333-4444-555555555555";
    let finished = set_up(&world, &["--key-id", id, "--json"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let result: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        result["key_arn"],
        format!("arn:aws:kms:us-east-1:123456789012:key/{id}")
    );
    assert_eq!(result["repository"], REPOSITORY);
    assert!(!operations(&world, "kms:").contains(&"CreateKey".to_owned()));
}

#[test]
fn app_of_a_user_has_its_name() {
    let world = world(|scenario| scenario);
    let session = Session::start(&world, &["--user", "--name", "My <App> & \"Co\""]);
    let (action, manifest) = session.form();
    let prefix = format!("http://{}/settings/apps/new?state=", world.git.host());
    assert!(action.starts_with(&prefix), "{action}");
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["name"], "My <App> & \"Co\"");
    assert_eq!(
        manifest["default_permissions"],
        json!({ "contents": "read" })
    );
    let page = session.create();
    Session::install(&page);
    assert_eq!(session.finish().code, 0);
}

#[test]
fn default_name_is_as_long_as_github_allows() {
    let world = world(|scenario| scenario);
    let mut client = world.client(&["setup", "--no-browser"]);
    let repository = "an-organization-with-a-long-name/a-repository";
    client.command.arg(repository);
    let mut session = Session::follow(&world, client);
    let (_, manifest) = session.form();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["name"], "an-organization-with-a-long-name-a");
    session.child.kill().unwrap();
    session.child.wait().unwrap();
}

#[test]
fn page_has_no_script_and_loads_nothing() {
    let world = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    let page = get(&session.url);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("script"),
        "{policy}"
    );
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    assert!(!page.body.contains("<script"), "{}", page.body);
    let end = session.create();
    let (_, query) = end.head.split_once("\r\n").unwrap();
    assert!(
        !end.body.contains("code=") && !query.contains("code="),
        "{}",
        end.body
    );
    Session::install(&end);
    assert_eq!(session.finish().code, 0);
}

#[test]
fn only_githubs_answer_to_this_page_is_accepted() {
    let world = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    let redirect = session.confirm();
    let (_, state) = redirect.split_once("state=").unwrap();
    let own = session.host();
    let with_state = format!("created?code=c0de&state={state}");
    for (path, host, status) in [
        ("created?code=c0de&state=other", own.as_str(), 403),
        ("created?code=c0de", &own, 403),
        ("created?state=", &own, 403),
        (
            &format!("created?code=..%2F..%2Fuser&state={state}"),
            &own,
            403,
        ),
        (&format!("created?code=%3Cb%3E&state={state}"), &own, 403),
        (&with_state, "evil.example.com", 400),
        (&with_state, "localhost:80", 400),
        ("", "evil.example.com", 400),
        ("other", &own, 404),
        ("<script>", &own, 404),
    ] {
        let answer = request("GET", &format!("{}{path}", session.url), Some(host), &[]);
        assert_eq!(answer.status, status, "{path} {host}");
        assert!(!answer.body.contains("<b>") && !answer.body.contains("<script"));
        assert!(!answer.body.contains("evil") && !answer.body.contains(state));
    }
    let post = request("POST", &format!("{}{with_state}", session.url), None, &[]);
    assert_eq!(post.status, 400);
    let is_conversion = |path: &str| path.contains("conversions");
    let converted = || {
        let requests = world.github_requests();
        requests.iter().any(|request| is_conversion(&request.path))
    };
    assert!(!converted());
    let page = get(&redirect);
    Session::install(&page);
    assert_eq!(session.finish().code, 0);
    assert!(converted());
}

/// The empty KMS key is deleted, and the command says so.
fn is_cleaned_up(world: &World, finished: &Finished, why: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (1, ""));
    assert!(
        finished.stderr.contains(why)
            && finished
                .stderr
                .contains("is empty. KMS deletes it in 7 days"),
        "{finished:?}"
    );
    assert_eq!(
        operations(world, "kms:").last().unwrap(),
        "ScheduleKeyDeletion"
    );
}

#[test]
fn user_who_does_not_come_back_from_github_leaves_nothing() {
    let world = world(|scenario| scenario);
    let patience = ["--patience", "1s"];
    let finished = Session::start(&world, &patience).finish();
    is_cleaned_up(&world, &finished, "GitHub did not redirect back within 1s");
    let finished = Session::start(&world, &[&SSM[..], &patience].concat()).finish();
    assert_eq!(finished.code, 1);
    for name in PARAMETERS {
        let deleted = format!("- The new SSM parameter {name} is deleted again");
        assert!(finished.stderr.contains(&deleted), "{finished:?}");
        assert!(world.sandbox().ssm().get(name).is_none());
    }
}

#[test]
fn signal_while_the_user_is_on_github_says_what_exists() {
    let world = world(|scenario| scenario);
    for signal in ["INT", "TERM", "HUP"] {
        let session = Session::start(&world, &[]);
        session.signal(signal);
        let finished = session.finish();
        is_cleaned_up(&world, &finished, "interrupted");
        for part in [
            "- If you created the GitHub App octo-org-octo-repo-broker, it exists. To remove it: http://",
            "/organizations/octo-org/settings/apps > the App > Advanced > Delete GitHub App",
            "To start again, run the same command.",
        ] {
            assert!(finished.stderr.contains(part), "{part}: {finished:?}");
        }
    }
}

#[test]
fn signal_before_the_page_is_shown_says_what_exists() {
    let is_created = |body: &Value| body["KeyMetadata"]["KeyState"] == "PendingImport";
    let is_stored = |body: &Value| body["Version"] == 1;
    let run = |world: &World, target: &Target, args: &[&str]| {
        let client = world.client(&["setup", "--no-browser", REPOSITORY]);
        let finished = target.run(client.args(args));
        assert!(!finished.stderr.contains("Create the App"), "{finished:?}");
        finished
    };
    let target = Target::default();
    let signal = target.signal_at("INT", is_created);
    let in_kms = world(|scenario| scenario.faults(Call::Other, signal));
    is_cleaned_up(&in_kms, &run(&in_kms, &target, &[]), "interrupted");

    let target = Target::default();
    let signal = target.signal_at("TERM", is_stored);
    let in_ssm = world(|scenario| scenario.faults(Call::Other, signal));
    let finished = run(&in_ssm, &target, &SSM);
    assert_eq!(finished.code, 1, "{finished:?}");
    let deleted = format!("- The new SSM parameter {} is deleted again", PARAMETERS[2]);
    assert!(finished.stderr.contains(&deleted), "{finished:?}");
    assert_eq!(
        operations(&in_ssm, "ssm:"),
        ["PutParameter", "DeleteParameter"]
    );
}

#[test]
fn signal_while_the_key_is_stored_says_what_exists() {
    let target = Target::default();
    let world = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    target.is(session.child.id());
    let redirect = session.confirm();
    let is_proven = |body: &Value| body["KeySpec"] == "RSA_2048";
    let sandbox = world.sandbox();
    sandbox.faults(Call::Other, target.signal_at("INT", is_proven));
    get(&redirect);
    let finished = session.finish();
    assert_eq!(finished.code, 1, "{finished:?}");
    for part in [
        "interrupted",
        "Delete GitHub App",
        " has the private key. To remove it: aws kms schedule-key-deletion",
        "To continue by hand, install it: ",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
}

#[test]
fn parameter_that_cannot_be_reserved_stops_the_setup() {
    for (denied, left) in [
        ("ssm:PutParameter", ""),
        ("kms:DescribeKey", ""),
        // The reservation fails at the last name, and the clean-up too.
        (
            "ssm:DeleteParameter",
            "exists without a value. To remove it: aws ssm delete-parameter --name /github-token-broker/app/private-key-pem",
        ),
    ] {
        let world = world(|scenario| {
            let existing = Parameter::string("before");
            scenario.deny(denied).parameter(PARAMETERS[1], existing)
        });
        let finished = world
            .client(&["setup", "--no-browser", REPOSITORY])
            .args(&SSM)
            .run();
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(!finished.stderr.contains("Create the App"), "{finished:?}");
        assert!(finished.stderr.contains(left), "{denied}: {finished:?}");
    }
}

#[test]
fn code_that_github_does_not_convert_says_what_exists() {
    let world = world(|scenario| scenario);
    let session = Session::start(&world, &[]);
    let redirect = session.confirm();
    let (_, state) = redirect.split_once("state=").unwrap();
    let page = get(&format!(
        "{}created?code=unknown&state={state}",
        session.url
    ));
    assert_eq!(page.status, 502);
    assert!(
        page.body.contains("Return to the terminal"),
        "{}",
        page.body
    );
    is_cleaned_up(
        &world,
        &session.finish(),
        "refused to convert the code: HTTP 404",
    );
}

#[test]
fn signal_while_github_converts_the_code_says_that_there_might_be_an_app() {
    let (github, conversion, end) = Server::silent();
    let world = world(|scenario| scenario);
    let client = world.client(&["setup", "--no-browser", REPOSITORY]);
    let session = Session::follow(&world, client.env("GH_HOST", github.host()));
    let (action, _) = session.form();
    let (_, state) = action.split_once("state=").unwrap();
    let redirect = format!("{}created?code=c0de&state={state}", session.url);
    let browser = thread::spawn(move || get(&redirect));
    conversion.recv().unwrap();
    session.signal("INT");
    assert_eq!(browser.join().unwrap().status, 502);
    let finished = session.finish();
    drop(end);
    is_cleaned_up(&world, &finished, "interrupted");
    let app = "- The GitHub App octo-org-octo-repo-broker probably exists. To remove it: http://";
    assert!(finished.stderr.contains(app), "{finished:?}");
}

#[test]
fn key_that_the_operator_cannot_sign_with_ends_the_wait() {
    let world = world(|scenario| scenario.deny("kms:Sign"));
    let session = Session::start(&world, &[]);
    assert_eq!(session.create().status, 200);
    let finished = session.finish();
    assert_eq!(finished.code, 1);
    for part in [
        "AWS refused kms:Sign: AccessDeniedException",
        "Delete GitHub App",
        "aws kms schedule-key-deletion --key-id arn:aws:kms:",
        "To continue by hand, install it: ",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
}

#[test]
fn response_that_hides_the_installation_is_reported() {
    for (status, why) in [(403, "HTTP 403"), (401, "does not accept the App's key")] {
        let always = Schedule::Always(Fault::Status(status));
        let world = world(|scenario| scenario.faults(Call::Confirm, always));
        let session = Session::start(&world, &["--patience", "4s"]);
        Session::install(&session.create());
        let finished = session.finish();
        assert_eq!(finished.code, 1);
        let unknown = "cannot find out whether the App is installed on octo-org/octo-repo";
        assert!(
            finished.stderr.contains(unknown) && finished.stderr.contains(why),
            "{finished:?}"
        );
        assert!(
            !finished.stderr.contains("was not installed"),
            "{finished:?}"
        );
    }
}

/// A world in which a broker uses all three parameters.
fn world_with_parameters() -> World {
    world(|scenario| {
        scenario
            .parameter(PARAMETERS[0], Parameter::string("client-before"))
            .parameter(PARAMETERS[1], Parameter::string("installation-before"))
            .parameter(PARAMETERS[2], Parameter::secure_string("key-before"))
    })
}

#[test]
fn parameters_that_exist_stay_until_the_app_is_installed() {
    let world = world_with_parameters();
    let session = Session::start(&world, &[&SSM[..], &["--overwrite"]].concat());
    assert_eq!(session.create().status, 200);
    session.signal("INT");
    let finished = session.finish();
    assert_eq!(finished.code, 1);
    for (name, before) in
        PARAMETERS
            .into_iter()
            .zip(["client-before", "installation-before", "key-before"])
    {
        assert_eq!(world.sandbox().ssm().get(name).unwrap().value, before);
    }
    assert!(
        !finished.stderr.contains("delete-parameter"),
        "{finished:?}"
    );
    for part in [
        "SSM gets its private key after the installation",
        "Delete GitHub App",
        "--ssm /github-token-broker/app/private-key-pem --kms-key-id arn:aws:kms:",
        " --overwrite`",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
}

#[test]
fn overwritten_parameter_is_reported_with_its_previous_version() {
    let world = world_with_parameters();
    let session = Session::start(&world, &[&SSM[..], &["--overwrite"]].concat());
    let page = session.create();
    // SSM refuses the second of the three requests.
    world.sandbox().ssm().delete(PARAMETERS[0]);
    Session::install(&page);
    let finished = session.finish();
    assert_eq!(finished.code, 1);
    assert!(
        !finished.stderr.contains("delete-parameter"),
        "{finished:?}"
    );
    let key = PARAMETERS[2];
    for part in [
        "AWS refused ssm:PutParameter: ValidationException",
        &format!("The SSM parameter {key} is overwritten"),
        &format!("aws ssm get-parameter-history --name {key} --with-decryption"),
        "its installation ID is ",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
    assert_eq!(
        world.sandbox().ssm().get(PARAMETERS[1]).unwrap().value,
        "installation-before"
    );
}

#[test]
fn malformed_app_says_what_exists() {
    let github = Server::start(|_| {
        let app = json!({ "slug": "../x", "client_id": "x", "pem": "x" });
        Response::new(201, app.to_string())
    });
    let world = world(|scenario| scenario);
    let mut client = world
        .client(&["setup", "--no-browser", REPOSITORY])
        .env("GH_HOST", github.host());
    client.command.arg("--user");
    let session = Session::follow(&world, client);
    let (action, _) = session.form();
    let (_, state) = action.split_once("state=").unwrap();
    get(&format!("{}created?code=c0de&state={state}", session.url));
    let finished = session.finish();
    is_cleaned_up(&world, &finished, "has no App");
    let app = format!("http://{}/settings/apps > the App", github.host());
    assert!(finished.stderr.contains(&app), "{finished:?}");
}

#[test]
fn app_that_is_not_installed_is_named_with_all_that_exists() {
    for (args, why, exists, next) in [
        (
            &["--patience", "4s"][..],
            "the App was not installed on octo-org/octo-repo within 4s",
            "- The KMS key arn:aws:kms:us-east-1:123456789012:key/",
            "signing_key_arns = [\"arn:aws:kms:",
        ),
        (
            &SSM,
            "interrupted",
            "aws ssm delete-parameters --names /github-token-broker/app/client-id /github-token-broker/app/installation-id /github-token-broker/app/private-key-pem",
            "the parameters below /github-token-broker/app",
        ),
    ] {
        let world = world(|scenario| scenario);
        let session = Session::start(&world, args);
        assert_eq!(session.create().status, 200);
        if why == "interrupted" {
            session.signal("INT");
        }
        let slug = session.slug();
        let finished = session.finish();
        assert_eq!(finished.code, 1);
        let app = format!(
            "http://{}/organizations/octo-org/settings/apps/{slug}/advanced > Delete GitHub App",
            world.git.host()
        );
        let install = format!(
            "install it: http://{}/apps/{slug}/installations/new",
            world.git.host()
        );
        for part in [why, &app, exists, &install, next] {
            assert!(finished.stderr.contains(part), "{part}: {finished:?}");
        }
    }
}

#[test]
fn key_that_aws_does_not_take_is_named() {
    let world = world(|scenario| scenario.deny("kms:ImportKeyMaterial"));
    let session = Session::start(&world, &[]);
    let page = session.create();
    assert_eq!(page.status, 502);
    let finished = session.finish();
    is_cleaned_up(
        &world,
        &finished,
        "kms:ImportKeyMaterial: AccessDeniedException",
    );
    assert!(
        finished.stderr.contains("Delete GitHub App")
            && finished
                .stderr
                .contains("pass it to `github-token-broker key import`"),
        "{finished:?}"
    );
}

#[test]
fn actions_are_the_documented_ones() {
    for (command, args) in [("setup", &[][..]), ("setup --ssm", &SSM)] {
        let world = world(|scenario| scenario);
        assert_eq!(set_up(&world, args).code, 0);
        // Only a failure removes what was created, and only an existing parameter is read.
        let patience = [args, &["--patience", "1s"]].concat();
        let again = if command == "setup" {
            patience
        } else {
            [&patience[..], &["--overwrite"]].concat()
        };
        Session::start(&world, &again).finish();
        if command == "setup --ssm" {
            world.sandbox().ssm().delete(PARAMETERS[0]);
            Session::start(&world, &again).finish();
        }
        assert_eq!(needed(&world, &[command]), documented(command), "{command}");
    }
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    for args in [
        &["--permission", "contents", "o/r"][..],
        &["--permission", "pull-requests=read", "o/r"],
        &["--name", "a-name-that-is-longer-than-github-allows", "o/r"],
        &["--ssm", "o/r"],
        &["--ssm=relative", "--kms-key-id", "k", "o/r"],
        &["--overwrite", "o/r"],
        &["o"],
    ] {
        let args: Vec<_> = ["setup"].iter().chain(args).copied().collect();
        Client::new(&args).fails(2);
    }
}
