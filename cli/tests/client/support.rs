//! What the tests share. [`World`]: AWS and GitHub of the sandbox, and the real binary in a scrubbed environment.
//! [`server`]: a scripted HTTP server, for responses that neither AWS nor GitHub ever sends.

pub(crate) mod server;

use std::{
    fs,
    io::{ErrorKind, Read, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Once, OnceLock},
    thread,
    time::Duration,
};

use sandbox::{Call, Fault, RecordedRequest, Running, Scenario, Schedule};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_github-token-broker");

/// The repository of the function.
pub(crate) const REPOSITORY: &str = "octo-org/octo-repo";

/// A test fails if an event that it waits for does not happen within this time. No test depends on its value.
pub(crate) const GIVE_UP: Duration = Duration::from_mins(1);

/// The access key ID of the client's user.
const ACCESS_KEY: &str = "AKIDEXAMPLE";

/// The URL of GitHub's website.
pub(crate) struct Site(String);

impl Site {
    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.0.clone()
    }

    /// The URL that a user clones.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.0)
    }
}

/// AWS and GitHub, with one function, and a user's home folder.
pub(crate) struct World {
    pub(crate) home: TempDir,
    pub(crate) git: Site,
    aws_url: String,
    // Dropped in this order: the sandbox needs its runtime.
    running: Option<Running>,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|scenario| scenario)
    }

    /// A world in which the scenario is changed.
    pub(crate) fn with(change: impl FnOnce(Scenario) -> Scenario) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let scenario = change(Scenario::default().base_path("/api/v3"));
        let running = runtime.block_on(scenario.prepare());
        Self {
            home: tempfile::tempdir().unwrap(),
            git: Site(running.github_host()),
            aws_url: running.aws_url(),
            running: Some(running),
            runtime,
        }
    }

    pub(crate) fn sandbox(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// The client's requests to AWS.
    pub(crate) fn aws_requests(&self) -> Vec<RecordedRequest> {
        let signed = format!("Credential={ACCESS_KEY}/");
        let requests = self.sandbox().requests().into_iter();
        requests
            .filter(|request| {
                let authorization = request.header("authorization");
                authorization.is_some_and(|text| text.contains(&signed))
            })
            .collect()
    }

    /// The client's requests to GitHub. The function, which shares this GitHub, only confirms and mints.
    pub(crate) fn github_requests(&self) -> Vec<RecordedRequest> {
        let requests = self.sandbox().requests().into_iter();
        requests
            .filter(|request| request.header("host") == Some(&self.git.host()))
            .filter(|request| ![Call::Confirm, Call::Mint].contains(&request.call))
            .collect()
    }

    /// Adds a commit to the repository, so that there is something to fetch.
    pub(crate) fn commit(&self, text: &str) {
        let bare = self.sandbox().bare_repository(REPOSITORY);
        let bare = self.runtime.block_on(bare);
        let clone = tempfile::tempdir().unwrap();
        let folder = clone.path();
        let git = |args: &[&str]| {
            let identity = ["-c", "user.name=octo", "-c", "user.email=octo@example.com"];
            let git = Client::program("git").args(&identity).args(args);
            git.home(folder).folder(folder).stdout();
        };
        git(&["clone", "-q", bare.to_str().unwrap(), "."]);
        fs::write(folder.join("README.md"), text).unwrap();
        git(&["commit", "-qam", text]);
        git(&["push", "-q", "origin", "main"]);
    }

    /// How many tokens GitHub has issued.
    pub(crate) fn minted(&self) -> usize {
        self.sandbox().github().tokens.len()
    }

    /// The newest token.
    pub(crate) fn newest_token(&self) -> String {
        self.sandbox().github().tokens.last().unwrap().value.clone()
    }

    /// Revokes all tokens at GitHub, behind the client's back.
    pub(crate) fn revoke_all(&self) {
        self.sandbox()
            .github()
            .tokens
            .iter_mut()
            .for_each(|token| token.revoked = true);
    }

    /// Whether GitHub still accepts this token.
    pub(crate) fn is_alive(&self, token: &str) -> bool {
        let github = self.sandbox().github();
        github
            .tokens
            .iter()
            .any(|issued| issued.value == token && !issued.revoked)
    }

    /// The client, in the environment of this world.
    pub(crate) fn client(&self, args: &[&str]) -> Client {
        let mut client = Client::new(args).home(self.home.path());
        client
            .command
            .env("AWS_ENDPOINT_URL", &self.aws_url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("GH_HOST", self.git.host());
        client
    }

    /// Where the cache is.
    pub(crate) fn cache(&self) -> PathBuf {
        cache_below(self.home.path())
    }

    /// The only entry in the cache.
    pub(crate) fn cache_entry(&self) -> PathBuf {
        let entries = files(&self.cache());
        let mut entries = entries.into_iter().filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        let entry = entries.next().expect("the cache has an entry");
        assert_eq!(entries.next(), None, "the cache has one entry");
        entry
    }

    /// Gives the cached token this expiry.
    pub(crate) fn age_cached_token(&self, expires_at: &str) {
        let path = self.cache_entry();
        let mut body: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        body["expires_at"] = expires_at.into();
        fs::write(&path, body.to_string()).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _context = self.runtime.enter();
        drop(self.running.take());
    }
}

/// The IAM action that a request to AWS needs.
pub(crate) fn aws_action(request: &RecordedRequest) -> String {
    let path = request.path.split('?').next().unwrap();
    match (request.header("x-amz-target"), path.rsplit('/').next()) {
        (Some(target), _) => target
            .replace("AmazonSSM.", "ssm:")
            .replace("TrentService.", "kms:"),
        (_, Some("configuration")) => "lambda:GetFunctionConfiguration".to_owned(),
        (_, Some("policy")) => "lambda:GetPolicy".to_owned(),
        (_, Some("invocations")) => "lambda:InvokeFunction".to_owned(),
        _ => {
            let form = url::form_urlencoded::parse(&request.body);
            let mut actions = form.filter(|(name, _)| name == "Action");
            let (_, operation) = actions.next().expect("it is a call of IAM or STS");
            let service = if operation == "GetCallerIdentity" {
                "sts"
            } else {
                "iam"
            };
            format!("{service}:{operation}")
        }
    }
}

/// Where the cache of a user is.
pub(crate) fn cache_below(home: &Path) -> PathBuf {
    let parent = if cfg!(target_os = "macos") {
        "Library/Caches"
    } else {
        ".cache"
    };
    home.join(parent).join("github-token-broker")
}

/// The files in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Reads until this text has arrived, and returns all text up to it.
pub(crate) fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        let mut byte = [0];
        let count = stream.read(&mut byte).unwrap();
        assert_eq!(count, 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

/// The time in this many seconds, as GitHub writes it.
pub(crate) fn in_seconds(seconds: i64) -> String {
    let time = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let format = time::format_description::well_known::Rfc3339;
    time.replace_nanosecond(0).unwrap().format(&format).unwrap()
}

/// A program to be run: by default the client, with nothing of the environment of the tests.
pub(crate) struct Client {
    pub(crate) command: Command,
    stdin: Vec<u8>,
}

/// What a program left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Client {
    /// Without a home folder, and without AWS.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self::program(BINARY).args(args)
    }

    /// Another program.
    pub(crate) fn program(program: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // No machine of a cloud, and no configuration of the machine's git.
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        Self {
            command,
            stdin: Vec::new(),
        }
    }

    /// Runs another program in the same environment.
    pub(crate) fn instead(self, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Self {
        let mut other = Self::program(program).args(args);
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => other.command.env(name, value),
                None => other.command.env_remove(name),
            };
        }
        other
    }

    /// Runs the client with these arguments in the same environment, on a terminal that `script` provides. Both of its outputs are
    /// the program's stdout. It ends after [`GIVE_UP`], so that a test that waits for its output fails.
    #[cfg(target_os = "linux")] // `script` has other options on other systems.
    pub(crate) fn on_terminal(self, args: &str) -> Self {
        let limit = GIVE_UP.as_secs().to_string();
        let command = format!("exec {BINARY} {args}");
        self.instead(
            "timeout",
            &[&limit, "script", "-qec", &command, "/dev/null"],
        )
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn home(self, home: &Path) -> Self {
        self.env("HOME", home)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        text.as_ref().clone_into(&mut self.stdin);
        self
    }

    pub(crate) fn spawn(&mut self) -> std::process::Child {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = loop {
            match self.command.spawn() {
                Ok(child) => break child,
                // A process that a different test just forked has the program, which a test wrote, open for a moment.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
                Err(error) => panic!("{}: {error}", self.command.get_program().display()),
            }
        };
        // A program that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(&self.stdin);
        child
    }

    pub(crate) fn run(mut self) -> Finished {
        let child = self.spawn();
        finished(child.wait_with_output().unwrap())
    }

    /// Runs it; it must succeed and leave stderr empty.
    pub(crate) fn stdout(self) -> String {
        let finished = self.run();
        assert_eq!(
            (finished.code, finished.stderr.as_str()),
            (0, ""),
            "{finished:?}"
        );
        finished.stdout
    }

    /// Runs it; it must fail with this exit code and print nothing on stdout.
    pub(crate) fn fails(self, code: i32) -> String {
        let finished = self.run();
        assert_eq!(
            (finished.code, finished.stdout.as_str()),
            (code, ""),
            "{finished:?}"
        );
        finished.stderr
    }
}

/// A process that gets a signal while a service handles its request, before the response leaves.
#[derive(Clone, Default)]
pub(crate) struct Target(Arc<OnceLock<u32>>);

impl Target {
    /// Sends the signal with the first response that has this property. All these responses must be JSON.
    pub(crate) fn signal_at(
        &self,
        signal: &'static str,
        is_the_one: impl Fn(&serde_json::Value) -> bool + Send + Sync + 'static,
    ) -> Schedule {
        let (target, once) = (Arc::clone(&self.0), Once::new());
        Schedule::Always(Fault::edit(move |body| {
            if is_the_one(body) {
                once.call_once(|| send_signal(*target.wait(), signal));
            }
        }))
    }

    /// This is the process.
    pub(crate) fn is(&self, pid: u32) {
        self.0.set(pid).unwrap();
    }

    /// Runs the client to its end.
    pub(crate) fn run(&self, mut client: Client) -> Finished {
        let child = client.spawn();
        self.is(child.id());
        finished(child.wait_with_output().unwrap())
    }
}

/// Sends this signal, such as `INT`, to a process.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    Client::program("kill")
        .args(&["-s", signal, &pid.to_string()])
        .stdout();
}

fn finished(output: Output) -> Finished {
    use std::os::unix::process::ExitStatusExt as _;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output
        .status
        .code()
        .unwrap_or_else(|| 128 + output.status.signal().unwrap());
    Finished {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code,
    }
}
