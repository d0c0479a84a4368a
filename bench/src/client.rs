//! Measures the command-line client, next to `aws lambda invoke`.
//!
//! Input: the release build of the client, and the function in the sandbox, without TLS and delays. Without a client, there are
//! no figures. Without the AWS CLI, there is no comparison.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::Scenario;
use tempfile::TempDir;

use crate::cpu::of_finished_children;
use crate::statistics::{as_f64, median, ms};

/// Medians, in milliseconds.
pub(crate) struct Client {
    pub(crate) cached_token: f64,
    pub(crate) git_credential: f64,
    /// How much longer `exec -- true` takes than `true`, with a cached token.
    pub(crate) exec_adds: f64,
    /// The CPU time of a client that invokes the function.
    pub(crate) uncached_cpu: f64,
    pub(crate) aws_lambda_invoke: f64,
    /// In MB.
    pub(crate) size: f64,
}

/// What the client and the AWS CLI run with.
struct World {
    binary: PathBuf,
    home: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Client {
    pub(crate) async fn measure(binary: &Path, runs: usize) -> Option<Self> {
        let file = binary.metadata().ok()?;
        let scenario = Scenario::default().base_path("/api/v3");
        let running = scenario.prepare().await;
        let url = running.github_url();
        let host = url.trim_start_matches("http://").split('/').next()?;
        let world = World {
            binary: std::path::absolute(binary).ok()?,
            home: tempfile::tempdir().ok()?,
            environment: vec![
                ("AWS_ENDPOINT_URL", running.aws_url()),
                ("AWS_REGION", "us-east-1".into()),
                ("AWS_DEFAULT_REGION", "us-east-1".into()), // for version 1 of the AWS CLI
                ("AWS_ACCESS_KEY_ID", "testing".into()),
                ("AWS_SECRET_ACCESS_KEY", "testing".into()),
                ("GH_HOST", host.to_owned()),
                ("PATH", std::env::var("PATH").ok()?),
            ],
        };
        let question = format!("protocol=http\nhost={host}\n\n");
        let invoke = "lambda invoke --payload null --function-name github-token-broker /dev/null";
        let with_aws = Command::new("aws")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok();

        world.wall(&["token"], ""); // fills the cache
        let [mut token, mut git, mut exec, mut plain, mut aws] = [const { Vec::new() }; 5];
        for _ in 0..runs {
            token.push(world.wall(&["token"], ""));
            git.push(world.wall(&["git-credential", "get"], &question));
            exec.push(world.wall(&["exec", "--", "true"], ""));
            plain.push(world.run(Command::new("true"), &[], ""));
            if with_aws {
                let arguments: Vec<_> = invoke.split(' ').collect();
                aws.push(world.run(Command::new("aws"), &arguments, ""));
            }
        }
        let before = of_finished_children();
        for _ in 0..runs {
            world.wall(&["token", "--no-cache"], "");
        }
        let runs = u32::try_from(runs).unwrap_or(u32::MAX);
        let uncached = of_finished_children().saturating_sub(before) / runs;
        running.finish().await;

        let [token, git, exec, plain, aws] =
            [token, git, exec, plain, aws].map(|samples| median(samples.into_iter().map(ms)));
        Some(Self {
            cached_token: token,
            git_credential: git,
            exec_adds: exec - plain,
            uncached_cpu: ms(uncached),
            aws_lambda_invoke: aws,
            size: as_f64(file.len()) / 1e6,
        })
    }
}

impl World {
    fn wall(&self, arguments: &[&str], stdin: &str) -> Duration {
        self.run(Command::new(&self.binary), arguments, stdin)
    }

    /// Runs a program to its end, which must be a success with output, unless it is `true`.
    fn run(&self, mut command: Command, arguments: &[&str], stdin: &str) -> Duration {
        use std::io::Write as _;
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = command.get_program().to_string_lossy().into_owned();
        let began = Instant::now();
        let mut process = command.spawn().expect("the program starts");
        let mut input = process.stdin.take().expect("stdin is a pipe");
        let _ = input.write_all(stdin.as_bytes()); // a program that does not read it may have ended
        drop(input);
        let output = process.wait_with_output().expect("the program ends");
        let took = began.elapsed();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {}: {errors}",
            arguments.join(" ")
        );
        took
    }
}
