//! Measures the command-line client, next to `aws lambda invoke`.
//!
//! Input: a build of the client, the AWS CLI on PATH, and the function in the sandbox, without TLS and delays. A command that fails stops
//! the bench.

use std::io::{Write as _, pipe};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::Scenario;

use crate::cpu::of_finished_children;
use crate::statistics::{as_f64, median, ms};

/// What was measured, its limit, the unit of both, and the median.
pub(crate) type Measured = (&'static str, f64, &'static str, f64);

pub(crate) async fn measure(binary: &Path, runs: usize) -> [Measured; 6] {
    let running = Scenario::default().base_path("/api/v3").prepare().await;
    let home = tempfile::tempdir().expect("there is space");
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = [
        ("HOME", home.path().to_string_lossy().into_owned()),
        ("AWS_ENDPOINT_URL", running.aws_url()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_DEFAULT_REGION", "us-east-1".into()), // for version 1 of the AWS CLI
        ("AWS_ACCESS_KEY_ID", "testing".into()),
        ("AWS_SECRET_ACCESS_KEY", "testing".into()),
        ("GH_HOST", running.github_host()),
        ("PATH", path),
    ];
    let run = |program: &Path, arguments: &str, stdin: &str| {
        let mut command = Command::new(program);
        let command = command.args(arguments.split_whitespace());
        run(command.env_clear().envs(environment.clone()), stdin)
    };
    let aws = "lambda invoke --payload null --function-name github-token-broker /dev/null";
    let question = format!("protocol=http\nhost={}\n\n", running.github_host());

    run(binary, "token", ""); // fills the cache
    let mut samples = [const { Vec::new() }; 5];
    for _ in 0..runs {
        samples[0].push(run(binary, "token", ""));
        samples[1].push(run(binary, "git-credential get", &question));
        samples[2].push(run(binary, "exec -- true", ""));
        samples[3].push(run(Path::new("true"), "", ""));
        samples[4].push(run(Path::new("aws"), aws, ""));
    }
    let before = of_finished_children();
    for _ in 0..runs {
        run(binary, "token --no-cache", "");
    }
    let uncached = ms(of_finished_children().saturating_sub(before)) / as_f64(runs as u64);
    running.finish().await;

    let [token, git, exec, plain, aws] = samples.map(|of_one| median(of_one.into_iter().map(ms)));
    let size = binary
        .metadata()
        .map_or(f64::NAN, |file| as_f64(file.len()))
        / 1e6;
    let ratio = "cached `token` relative to `aws lambda invoke`, wall";
    [
        ("cached `token`, wall", 5.0, "ms", token),
        ("cached `git-credential get`, wall", 5.0, "ms", git),
        ("`exec` adds, wall", 8.0, "ms", exec - plain),
        ("uncached `token`, CPU", 60.0, "ms", uncached),
        (ratio, 0.02, "x", token / aws),
        ("size of the program", 14.0, "MB", size),
    ]
}

/// Runs a program to its end, which must be a success.
fn run(command: &mut Command, stdin: &str) -> Duration {
    let (reader, mut writer) = pipe().expect("the kernel has pipes");
    let written = writer.write_all(stdin.as_bytes());
    written.expect("it fits into a pipe");
    drop(writer);
    let began = Instant::now();
    let output = command.stdin(reader).output();
    let took = began.elapsed();
    let output = output.expect("the program is on PATH");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    took
}
