//! Facts about the project itself: its version and its repository's slug stand in `Cargo.toml`, and every other mention
//! is held to them; the dependency tree stays within `packaging/budget.toml`. The zips' sizes are held to that file by
//! `make test-package`, which builds them. The workflows' steps are make targets, each of which is run before there is a tag.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a version of ours follows, wherever one is written.
const BEFORE_A_VERSION: [&str; 7] = [
    "?ref=v",
    "release_version = \"v",
    "/releases/download/v",
    "/releases/tag/v",
    "gh release download v",
    "refs/tags/v",
    "git checkout v",
];

#[test]
fn every_version_is_the_one_of_cargo_toml() {
    let mut mentions = 0;
    for (file, number, line) in lines() {
        for before in BEFORE_A_VERSION {
            for (_, after) in split_at_each(&line, before) {
                let found = after
                    .split(|c: char| !c.is_ascii_digit() && c != '.')
                    .next()
                    .unwrap();
                if !found.starts_with(|c: char| c.is_ascii_digit()) {
                    continue; // a placeholder, such as vX.Y.Z
                }
                mentions += 1;
                let found = found.trim_end_matches('.');
                assert_eq!(
                    found, VERSION,
                    "{file}:{number}: Cargo.toml says {VERSION}: {line}"
                );
            }
        }
    }
    assert!(
        mentions >= 5,
        "only {mentions} versions found: the search is broken"
    );

    let changelog = read("CHANGELOG.md");
    let newest = changelog
        .lines()
        .find(|line| line.starts_with("## [") && !line.contains("[Unreleased]"));
    assert!(
        newest.is_some_and(|line| line.starts_with(&format!("## [{VERSION}]"))),
        "CHANGELOG.md: its newest release is not {VERSION}: {newest:?}"
    );
    for field in ["version", "repository"] {
        let inherited = format!("{field}.workspace = true");
        assert!(
            read("sandbox/Cargo.toml").contains(&inherited),
            "sandbox/Cargo.toml lacks `{inherited}`"
        );
    }
}

#[test]
fn every_slug_is_the_one_of_cargo_toml() {
    let slug = env!("CARGO_PKG_REPOSITORY")
        .strip_prefix("https://github.com/")
        .unwrap();
    let (_, name) = slug.split_once('/').unwrap();
    let mut mentions = 0;
    for (file, number, line) in lines() {
        for (before, after) in split_at_each(&line, &format!("/{name}")) {
            let owner = before
                .rsplit(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
                .next()
                .unwrap();
            // `/github-token-broker/app/...` is a parameter, `/aws/lambda/github-token-broker` a log group,
            // `.terraform/github-token-broker` and `dist/....zip` are paths.
            let is_a_path =
                owner.is_empty() || ["parameter", "lambda", ".terraform", "dist"].contains(&owner);
            let is_longer = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
                || after.starts_with(".zip");
            if is_a_path || is_longer {
                continue;
            }
            mentions += 1;
            assert_eq!(
                format!("{owner}/{name}"),
                slug,
                "{file}:{number}: Cargo.toml says {slug}: {line}"
            );
        }
    }
    assert!(
        mentions >= 5,
        "only {mentions} slugs found: the search is broken"
    );
}

/// What only GitHub's runners can do: they have the network, and are not the machine that someone works on.
const ON_RUNNERS_ONLY: [&str; 3] = [
    "release-toolchain",
    "advisories",
    "test-terraform PROVIDER=registry",
];

#[test]
fn every_step_of_the_workflows_is_a_make_target_that_is_run_here_too() {
    let ci = read(".ci/run");
    let here = ci.clone() + &read("tests/run.py") + &read("packaging/test_release.py");
    let makefile = read("Makefile");
    let mut steps = 0;
    for workflow in ["ci", "release"] {
        let file = format!(".github/workflows/{workflow}.yml");
        for line in read(&file).lines() {
            let Some((_, step)) = line.split_once("run: ") else {
                continue;
            };
            steps += 1;
            let Some(targets) = step.strip_prefix("make ") else {
                panic!(
                    "{file}: a step that is no make target cannot be run before there is a tag: {step}"
                )
            };
            if ON_RUNNERS_ONLY.contains(&targets) {
                continue;
            }
            for target in targets.split(' ') {
                assert!(
                    makefile.contains(&format!("\n{target}: ")),
                    "{file}: the Makefile has no {target}"
                );
                assert!(
                    here.contains(&format!("\"{target}\""))
                        || ci.contains(&format!("make {target}\n")),
                    "{file}: nothing that CI runs here runs `make {target}`"
                );
            }
        }
    }
    assert!(
        steps >= 10,
        "only {steps} steps found: the search is broken"
    );
}

#[test]
fn the_dependency_tree_stays_within_its_budget() {
    let listed = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            "broker",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let crates: BTreeSet<&str> = listed
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    let budget = budget("crates");
    // Past the test harness's capture: the figure is printed at each run, passed or not.
    writeln!(
        std::io::stderr(),
        "budget: {} of {budget} crates in the product's tree",
        crates.len()
    )
    .unwrap();
    assert!(
        crates.len() > 10 && crates.len() <= budget,
        "{} crates: the budget in packaging/budget.toml is {budget}\n{listed}",
        crates.len()
    );
}

fn budget(name: &str) -> usize {
    let budget = read("packaging/budget.toml");
    let line = budget
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} = ")));
    let figure = line.unwrap_or_else(|| panic!("packaging/budget.toml has no {name}"));
    figure
        .split('#')
        .next()
        .unwrap()
        .trim()
        .replace('_', "")
        .parse()
        .unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every line of every text of ours that may speak of a release. Tests of Terraform and the sandbox make up releases and
/// repositories of their own; the changelog speaks of old ones.
fn lines() -> Vec<(String, usize, String)> {
    let mut folders = vec![PathBuf::from(ROOT)];
    let mut lines = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(ROOT)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let is_ours = ![
                "target",
                "dist",
                ".git",
                "CHANGELOG.md",
                "Cargo.lock",
                "fuzz",
                "tests",
                "docs/book",
            ]
            .contains(&name.as_str())
                && !name.contains("/tests")
                && !name.ends_with("/.terraform")
                && !name.contains("/book/")
                && !name.starts_with("docs/mermaid") // Mermaid itself, which `make docs` puts there
                && !name.contains("/target");
            if !is_ours || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                lines.extend(
                    text.lines()
                        .zip(1..)
                        .map(|(line, number)| (name.clone(), number, line.to_owned())),
                );
            }
        }
    }
    lines
}

/// What stands before and after each place where `what` stands.
fn split_at_each<'a>(line: &'a str, what: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    line.match_indices(what)
        .map(|(at, found)| (&line[..at], &line[at + found.len()..]))
}
