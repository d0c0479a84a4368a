//! The table of commands and outputs, the reference page, the man page and the completions.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use clap::{Arg, Command, CommandFactory as _};
use github_token_broker::arguments::Arguments;

use crate::support::Client;

/// Each file in `tests/table` shows commands and exactly what they print.
#[test]
fn commands_print_what_the_table_shows() {
    trycmd::TestCases::new()
        .default_bin_name("github-token-broker")
        .insert_var("[VERSION]", env!("CARGO_PKG_VERSION"))
        .unwrap()
        .case("tests/table/*.md");
}

#[test]
fn a_missing_command_shows_the_help() {
    // Variables of the client are not arguments.
    for args in [&[][..], &["key"]] {
        let stderr = Client::new(args)
            .env("GITHUB_TOKEN_BROKER_FUNCTION", "f")
            .fails(2);
        assert!(stderr.contains("Commands:\n"), "{stderr}");
    }
    let help = Client::new(&["help", "exec"]).stdout();
    assert_eq!(help, Client::new(&["exec", "--help"]).stdout());
}

#[test]
fn man_page_names_every_command_and_option() {
    let page = Client::new(&["man"]).stdout();
    let plain = page.replace('\\', "");
    let command = built();
    for (name, subcommand) in leaves(&command) {
        assert!(
            plain.contains(&format!("COMMAND {}", name.to_uppercase())),
            "{name}"
        );
        for long in subcommand.get_arguments().filter_map(Arg::get_long) {
            assert!(plain.contains(&format!("--{long}")), "{name} --{long}");
        }
    }
    // A program that reads man pages finds nothing to complain about, if there is one.
    let groff = Client::program("sh").args(&[
        "-c",
        "command -v groff >/dev/null || exit 0; groff -ww -Tutf8 -man 2>&1 >/dev/null",
    ]);
    assert_eq!(groff.stdin(page).stdout(), "");
}

#[test]
fn completions_are_valid_for_their_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Client::new(&["completions", shell]).stdout();
        assert!(
            script.contains("git-credential") && script.contains("role-arn"),
            "{shell}"
        );
        let check = format!("command -v {shell} >/dev/null || exit 0; {shell} -n /dev/stdin");
        if ["bash", "zsh", "fish"].contains(&shell) {
            assert_eq!(
                Client::program("sh")
                    .args(&["-c", &check])
                    .stdin(script)
                    .stdout(),
                "",
                "{shell}"
            );
        }
    }
    Client::new(&["completions", "cmd"]).fails(2);
}

/// `UPDATE=1` writes the page.
#[test]
fn reference_page_is_current() {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/command-line.md");
    let page = reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "run `UPDATE=1 cargo test -p github-token-broker reference_page`"
    );
}

#[test]
fn every_dependency_has_its_reason() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest: Vec<_> = manifest
        .split("\n[")
        .filter(|section| {
            section.starts_with("dependencies]") || section.starts_with("target.'cfg(unix)'.dep")
        })
        .flat_map(|section| section.lines().filter_map(|line| line.split_once(" = ")))
        .map(|(name, _)| name)
        .filter(|name| *name != "broker")
        .collect();
    let page = fs::read_to_string(root.join("../CONTRIBUTING.md")).unwrap();
    let (_, section) = page
        .split_once("\n### Dependencies of the client\n")
        .unwrap();
    let (section, _) = section.split_once("\n#").unwrap();
    let on_page: BTreeSet<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "))
        .flat_map(|(crates, _)| crates.trim_end_matches('`').split("`, `"))
        .collect();
    assert!(manifest.len() > 20, "{manifest:?}");
    assert_eq!(on_page, manifest.into_iter().collect());
}

fn built() -> Command {
    let mut command = Arguments::command();
    command.build();
    command
}

/// The book's page, from the definitions of the command line.
fn reference() -> String {
    let command = built();
    let mut page = String::from(INTRODUCTION);
    page.push_str(
        "\n## Global options\n\n| option | environment | default | meaning |\n|---|---|---|---|\n",
    );
    for argument in options(&command, true) {
        let environment = argument
            .get_env()
            .map(|name| format!("`{}`", name.to_string_lossy()))
            .unwrap_or_default();
        let help = argument.get_help().unwrap().to_string();
        let (meaning, default) = match help.split_once(" [default: ") {
            Some((meaning, default)) => {
                (meaning.to_owned(), default.trim_end_matches(']').to_owned())
            }
            None => (help, default(argument)),
        };
        writeln!(
            page,
            "| `{}` | {environment} | {default} | {meaning} |",
            usage(argument)
        )
        .unwrap();
    }
    page.push_str(ENVIRONMENT);
    for (name, subcommand) in leaves(&command) {
        writeln!(page, "\n## `{name}`\n").unwrap();
        let rendered = subcommand.clone().render_usage().to_string();
        writeln!(
            page,
            "```text\n{}\n```\n",
            rendered.trim_start_matches("Usage: ")
        )
        .unwrap();
        let about = subcommand
            .get_long_about()
            .or(subcommand.get_about())
            .unwrap()
            .to_string();
        for paragraph in about.split("\n\n") {
            writeln!(page, "{}\n", as_sentence(&paragraph.replace('\n', " "))).unwrap();
        }
        let own: Vec<_> = options(subcommand, false);
        if !own.is_empty() {
            page.push_str("| argument | meaning |\n|---|---|\n");
            for argument in own {
                let mut meaning = argument.get_help().unwrap().to_string();
                let values: Vec<_> = argument
                    .get_possible_values()
                    .iter()
                    .map(|value| format!("`{}`", value.get_name()))
                    .collect();
                if argument.get_action().takes_values() && !values.is_empty() {
                    write!(meaning, ": {}", values.join(", ")).unwrap();
                }
                writeln!(page, "| `{}` | {meaning} |", usage(argument)).unwrap();
            }
        }
    }
    page.push_str(PERMISSIONS);
    for (command, actions) in github_token_broker::aws::operator::ACTIONS {
        let actions: Vec<_> = actions.iter().map(|action| format!("`{action}`")).collect();
        writeln!(page, "| `{command}` | {} |", actions.join(", ")).unwrap();
    }
    page.push_str(POLICIES);
    for (command, _) in github_token_broker::aws::operator::ACTIONS {
        let policy = serde_json::to_string_pretty(&crate::permissions::policy(command)).unwrap();
        writeln!(
            page,
            "<details><summary>Policy for <code>{command}</code></summary>\n\n```json\n{policy}\n```\n\n</details>\n"
        )
        .unwrap();
    }
    page.push_str(EXIT_CODES);
    let lines: Vec<_> = page.lines().map(str::trim_end).collect();
    let mut text = lines.join("\n");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    format!("{}\n", text.trim_end())
}

/// The commands that do something, with their whole names.
fn leaves(command: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help")
    {
        let name = subcommand.get_name();
        let below = leaves(subcommand);
        if below.is_empty() {
            found.push((name.to_owned(), subcommand));
        }
        found.extend(
            below
                .into_iter()
                .map(|(leaf, command)| (format!("{name} {leaf}"), command)),
        );
    }
    found
}

fn options(command: &Command, global: bool) -> Vec<&Arg> {
    let wanted = |argument: &&Arg| {
        argument.is_global_set() == global
            && !["help", "version"].contains(&argument.get_id().as_str())
    };
    command.get_arguments().filter(wanted).collect()
}

fn usage(argument: &Arg) -> String {
    let text = argument.to_string().replace('|', "\\|");
    let text = text
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    argument
        .get_short()
        .filter(|_| argument.get_long().is_some())
        .map_or(text.clone(), |short| format!("-{short}, {text}"))
}

fn default(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return String::new();
    }
    argument
        .get_default_values()
        .first()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .unwrap_or_default()
}

fn as_sentence(text: &str) -> String {
    if text.ends_with(['.', ':']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

const INTRODUCTION: &str = "\
# Command line

<!-- Generated from the client's own definitions. `UPDATE=1 cargo test -p github-token-broker reference_page` writes it. -->

`github-token-broker` gets a token from your broker and hands it to git, gh or any other program. A token appears only where you
asked for it: on standard output of `token`, in the environment of the command that `exec` runs, and in git's memory.
";

const ENVIRONMENT: &str = "
An empty variable counts as unset. A duration is a number with a unit, and at most a day: `30s`, `9m`, `1h30m`, `0s`. Only the
invocation of the function waits as long as `--timeout`: every other call to AWS ends after a minute.

Credentials, region and endpoints come from the standard chain of the AWS SDKs:
[environment, profiles, IAM Identity Center, web identity, container and instance](https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
`AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_LAMBDA`, `_KMS`, `_SSM`, `_IAM` and `_STS` work as in every AWS SDK. A user name and a
password in such a URL are an error.

`HTTPS_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` work as in curl. `HTTP_PROXY` is for `http://` endpoints, and `ALL_PROXY` for both. The
URL of a proxy begins with `http://`. An entry of `NO_PROXY` can be `example.com`, `*.example.com`, `example.com:443` or `10.0.0.0/8`.
Without `SSL_CERT_FILE`, the client trusts the system's certificate authorities. For AWS alone, `AWS_CA_BUNDLE` or the profile's
`ca_bundle` replaces them.

If `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` are set, as in a GitHub Actions job with `id-token: write`,
`--role-arn` uses the job's OIDC token with the audience `sts.amazonaws.com`.

## The cache

A token stays in `$XDG_RUNTIME_DIR/github-token-broker`, or in the platform's cache folder: `~/.cache` on Linux, `~/Library/Caches`
on macOS, `%LOCALAPPDATA%` on Windows. Only your user can read it. If another user owns the folder or a file in it, if another user
can access it, or if it is a symbolic link, the client stops and names it. `--no-cache` still works.

> [!WARNING]
> On Windows, the client rejects symbolic links, but it does not check owners and access control lists. The folder inherits the
> list of your profile, which by default admits only you, `SYSTEM` and administrators. If you have changed that list, use
> `--no-cache`.

The entry depends on the function, the region, the endpoints, `--role-arn`, the profile and the access key ID.

> [!NOTE]
> The client does not read the AWS configuration if a fresh token is in the cache. If you change the content of a profile, its
> cached token stays until it expires or you run `revoke`.
";

const PERMISSIONS: &str = "
## What an operator must be allowed to do

Callers need `lambda:InvokeFunction` on the function, and nothing else. Operators need these IAM actions; `check` skips what it is
not allowed to see. `check --as-app` and `check --mint` need those of `check` as well. SSM uses `kms:Decrypt` and `kms:Encrypt` of
the operator for encrypted parameters. A policy for each command follows the table.

| command | IAM actions |
|---|---|
";

const POLICIES: &str = "
Replace the region, the account, the function and its role. Limit `key/*` to the keys that you have: the ID of the signing key, and
of the key that encrypts the parameters. A new KMS key has no ARN before it exists.

";

const EXIT_CODES: &str = "
## Exit codes

| code | meaning |
|---|---|
| 0 | Success |
| 1 | Failure. `check`: a check failed |
| 2 | The command line is wrong |
| 111 | `exec`: there is no token |
| 126 | `exec`: the command is not executable |
| 127 | `exec`: the command does not exist |
| 128 + n | `exec`: signal n ended the command |

`exec` otherwise ends with the command's own exit code. As a credential helper, the client prints `quit=1` for git and exits with 0
if there is no token.

If the function reports a failure, standard error has one line, `errorType: errorMessage`, unchanged. [Errors](errors.md) lists them.
";
