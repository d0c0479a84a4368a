//! The scripts of the GitHub Actions action, started as a runner starts them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::support::{BINARY, Client, Finished, World};

const FILES: [&str; 4] = ["GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_ENV", "GITHUB_PATH"];

/// A job on a runner.
struct Job<'a> {
    world: &'a World,
    folder: tempfile::TempDir,
    inputs: Vec<(&'static str, String)>,
}

impl<'a> Job<'a> {
    fn new(world: &'a World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), "").unwrap();
        }
        // As `action.yml` sets them if the workflow does not.
        let inputs = vec![
            ("FUNCTION", "github-token-broker".to_owned()),
            ("ROLE-ARN", String::new()),
            ("REGION", String::new()),
            ("GITHUB-HOST", world.git.host()),
            ("EXPORT-ENV", "false".to_owned()),
            ("CLIENT", BINARY.to_owned()),
            ("GITHUB-TOKEN", "ghs_of_the_job".to_owned()),
        ];
        Self {
            world,
            folder,
            inputs,
        }
    }

    fn input(mut self, name: &'static str, value: &str) -> Self {
        self.inputs.retain(|(input, _)| *input != name);
        self.inputs.push((name, value.to_owned()));
        self
    }

    fn step(&self, script: &str) -> Client {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../action")
            .join(script);
        let mut step = self
            .world
            .client(&[])
            .instead("node", &[script.to_str().unwrap()])
            .without("GH_HOST")
            .env("RUNNER_TEMP", self.folder.path());
        for name in FILES {
            step = step.env(name, self.folder.path().join(name));
        }
        for (name, value) in &self.inputs {
            step = step.env(&format!("INPUT_{name}"), value);
        }
        step
    }

    fn main(&self) -> Finished {
        self.step("main.mjs").run()
    }

    fn post(&self) -> Finished {
        let mut step = self.step("post.mjs");
        for (name, value) in self.written("GITHUB_STATE") {
            step = step.env(&format!("STATE_{name}"), value);
        }
        step.run()
    }

    /// What the action wrote into one of the runner's files, parsed as the runner does.
    fn written(&self, file: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap();
        let mut lines = text.lines();
        let mut values = Vec::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            values.push((name.to_owned(), value.join("\n")));
        }
        values
    }

    fn value(&self, file: &str, name: &str) -> String {
        let values = self.written(file);
        let found = values.into_iter().find(|(written, _)| written == name);
        found.unwrap_or_else(|| panic!("{file} has no {name}")).1
    }
}

#[test]
fn token_is_a_masked_output_and_is_revoked_at_the_end() {
    let world = World::new();
    let job = Job::new(&world);
    let main = job.main();
    let token = world.newest_token();
    assert_eq!((main.code, main.stderr.as_str()), (0, ""));
    assert_eq!(
        main.stdout,
        format!("::add-mask::{token}\n"),
        "nothing before the mask, and nothing after it"
    );
    assert_eq!(job.value("GITHUB_OUTPUT", "token"), token);
    assert_eq!(
        job.value("GITHUB_OUTPUT", "repository"),
        "octo-org/octo-repo"
    );
    assert!(job.value("GITHUB_OUTPUT", "expires-at").ends_with('Z'));
    assert_eq!(job.written("GITHUB_ENV"), []);
    assert!(!world.cache().exists(), "the runner's disk keeps no token");
    assert!(world.is_alive(&token));
    let post = job.post();
    assert_eq!(
        (post.code, post.stdout.as_str(), post.stderr.as_str()),
        (0, "", "")
    );
    assert!(!world.is_alive(&token));
}

#[test]
fn export_env_sets_what_exec_sets() {
    let world = World::new();
    let job = Job::new(&world).input("EXPORT-ENV", "true");
    assert_eq!(job.main().code, 0);
    let exported: std::collections::BTreeMap<_, _> =
        job.written("GITHUB_ENV").into_iter().collect();
    let printed = world.client(&["exec", "--", "env"]).stdout();
    for (name, value) in &exported {
        let expected = if name.ends_with("TOKEN") {
            world.sandbox().github().tokens[0].value.clone()
        } else {
            printed
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}=")))
                .unwrap()
                .to_owned()
        };
        assert_eq!(*value, expected, "{name}");
    }
    let names: Vec<_> = exported.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "GH_ENTERPRISE_TOKEN",
            "GH_HOST",
            "GH_REPO",
            "GITHUB_ENTERPRISE_TOKEN"
        ]
    );

    let job = Job::new(&world)
        .input("EXPORT-ENV", "true")
        .input("GITHUB-HOST", "github.com");
    assert_eq!(job.main().code, 0);
    let names: Vec<_> = job
        .written("GITHUB_ENV")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["GH_TOKEN", "GITHUB_TOKEN", "GH_REPO"]);

    let job = job.input("GITHUB-HOST", "GITHUB.COM");
    let inherited = job.step("main.mjs").env("GH_HOST", "ghe.example.com").run();
    assert_eq!(inherited.code, 0);
    assert_eq!(job.value("GITHUB_ENV", "GH_HOST"), "github.com");
}

#[test]
fn failures_fail_the_step_and_leave_nothing() {
    let world = World::with(|scenario| {
        scenario.github(|github| github.installation_mut().suspended = true)
    });
    let job = Job::new(&world);
    let main = job.main();
    assert_eq!(main.code, 1);
    assert!(
        main.stderr.starts_with("InstallationSuspended: "),
        "{main:?}"
    );
    assert!(
        main.stdout.starts_with("::error::there is no token"),
        "{main:?}"
    );
    assert_eq!(job.written("GITHUB_OUTPUT"), []);
    let post = job.post();
    assert_eq!(
        (post.code, post.stdout.as_str()),
        (0, ""),
        "nothing to revoke"
    );
}

/// A client of a different program, or a wrapper that prints a line of its own.
#[test]
fn output_that_is_not_json_is_not_repeated() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("client");
    fs::write(&wrapper, "#!/bin/sh\necho ghs_secret\n").unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let main = Job::new(&world)
        .input("CLIENT", wrapper.to_str().unwrap())
        .main();
    assert_eq!(main.code, 1);
    assert!(
        main.stdout.contains("something other than JSON"),
        "{main:?}"
    );
    assert!(!format!("{main:?}").contains("ghs_secret"), "{main:?}");
}

#[test]
fn a_step_that_fails_after_the_mint_is_still_revoked() {
    let world = World::new();
    let job = Job::new(&world).input("EXPORT-ENV", "yes");
    let main = job.main();
    assert_eq!(main.code, 1);
    assert!(
        main.stdout
            .contains("::error::the input export-env must be true or false"),
        "{main:?}"
    );
    assert_eq!(job.post().code, 0);
    assert!(!world.is_alive(&world.newest_token()));
}

#[test]
fn failed_revocation_is_a_warning() {
    let world = World::new();
    let job = Job::new(&world);
    job.main();
    let server =
        crate::support::server::Server::start(|_| crate::support::server::Response::new(500, ""));
    let post = job
        .step("post.mjs")
        .env("STATE_token", world.newest_token())
        .env("STATE_client", BINARY);
    let post = post.env("INPUT_GITHUB-HOST", server.host()).run();
    assert_eq!(post.code, 0);
    assert!(
        post.stdout
            .starts_with("::warning::the token was not revoked")
            && !post.stdout.contains("ghs_"),
        "{post:?}"
    );
}

/// A release whose client runs the program under test, and a `gh` that downloads from it. To pack the program itself would take seconds.
fn release(job: &Job, checksums: &str, attested: bool) -> PathBuf {
    let folder = job.folder.path().join("release");
    fs::create_dir_all(folder.join("github-token-broker")).unwrap();
    let client = folder.join("github-token-broker/github-token-broker");
    fs::write(&client, format!("#!/bin/sh\nexec '{BINARY}' \"$@\"\n")).unwrap();
    fs::set_permissions(&client, Permissions::from_mode(0o755)).unwrap();
    let archive = folder.join("archive.tar.gz");
    let tar = [
        "-czf",
        archive.to_str().unwrap(),
        "-C",
        folder.to_str().unwrap(),
        "github-token-broker",
    ];
    Client::program("tar").args(&tar).stdout();
    let sum = Client::program("sha256sum")
        .args(&[archive.to_str().unwrap()])
        .stdout();
    fs::write(
        folder.join("checksums.txt"),
        checksums.replace("SUM", &sum[..64]),
    )
    .unwrap();
    let verdict = if attested { "exit 0" } else { "exit 1" };
    let gh = format!(
        "#!/bin/sh\necho \"$GH_TOKEN $*\" >> {root}/gh-calls\nif test $1 = attestation; then {verdict}; fi\n\
         while test $# -gt 0; do case $1 in --dir) dir=$2;; --pattern) test $2 = checksums.txt || name=$2;; esac; shift; done\n\
         sed \"s/ARCHIVE/$name/\" {root}/checksums.txt > $dir/checksums.txt; cp {root}/archive.tar.gz $dir/$name\n",
        root = folder.display()
    );
    fs::write(folder.join("gh"), gh).unwrap();
    Client::program("chmod")
        .args(&["755", folder.join("gh").to_str().unwrap()])
        .stdout();
    folder
}

fn main_with(job: &Job, release: &Path) -> Finished {
    let path = format!("{}:{}", release.display(), std::env::var("PATH").unwrap());
    job.step("main.mjs")
        .env("INPUT_CLIENT", "")
        .env("PATH", path)
        .run()
}

#[test]
fn client_of_the_own_release_is_verified_and_installed() {
    let world = World::new();
    let job = Job::new(&world);
    let folder = release(&job, "SUM  ARCHIVE\n", true);
    let main = main_with(&job, &folder);
    assert_eq!((main.code, main.stderr.as_str()), (0, ""), "{main:?}");
    assert_eq!(job.value("GITHUB_OUTPUT", "token"), world.newest_token());
    let path = fs::read_to_string(job.folder.path().join("GITHUB_PATH")).unwrap();
    assert!(Path::new(path.trim()).join("github-token-broker").is_file());
    let calls = fs::read_to_string(folder.join("gh-calls")).unwrap();
    let lines: Vec<_> = calls.lines().collect();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        lines[0].starts_with(&format!(
            "ghs_of_the_job release download v{version} --repo meigma/github-token-broker "
        )),
        "{calls}"
    );
    let identity = format!(
        "--cert-identity https://github.com/meigma/github-token-broker/.github/workflows/release.yml@refs/tags/v{version} "
    );
    assert!(
        lines[1].contains("attestation verify") && lines[1].contains(&identity),
        "{calls}"
    );
    assert!(lines[1].ends_with("--deny-self-hosted-runners"), "{calls}");
}

/// The token of a job on GitHub Enterprise Server must not reach github.com.
#[test]
fn without_a_token_of_github_com_nothing_is_downloaded() {
    let world = World::new();
    let job = Job::new(&world).input("GITHUB-TOKEN", "");
    let folder = release(&job, "SUM  ARCHIVE\n", true);
    let main = main_with(&job, &folder);
    assert_eq!(main.code, 1);
    assert!(
        main.stdout.contains("the input github-token is empty"),
        "{main:?}"
    );
    assert!(!folder.join("gh-calls").exists());
    let action = include_str!("../../../action/action.yml");
    let own_server_only = "${{ github.server_url == 'https://github.com' && github.token || '' }}";
    assert!(action.contains(&format!("default: {own_server_only}\n")));
}

#[test]
fn a_client_that_cannot_be_verified_never_runs() {
    let world = World::new();
    for (checksums, attested, reason) in [
        (
            format!("{}  ARCHIVE\n", "0".repeat(64)),
            true,
            "but checksums.txt says 000",
        ),
        (
            "SUM  another.tar.gz\n".to_owned(),
            true,
            "checksums.txt does not name",
        ),
        (
            "SUM  ARCHIVE\n".to_owned(),
            false,
            "gh attestation verify failed",
        ),
    ] {
        let job = Job::new(&world);
        let folder = release(&job, &checksums, attested);
        let main = main_with(&job, &folder);
        assert_eq!(main.code, 1);
        assert!(main.stdout.contains(reason), "{main:?}");
    }
    assert_eq!(world.minted(), 0);
}
