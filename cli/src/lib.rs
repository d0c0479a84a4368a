//! `github-token-broker`, the command-line client: it invokes the function for a caller, keeps the token out of sight, and
//! helps an operator to run a broker.
//!
//! Input: the command line, the environment, the AWS configuration. Output: the result of the command on stdout,
//! diagnostics on stderr, an exit code.
//!
//! The map, in reading order:
//!
//! - [`arguments`]: the command line as `clap` types. The man page, the completions and the reference page come from it.
//! - [`settings`]: the global options, validated. [`function`] names the function, [`github::host`] the GitHub server.
//! - [`commands`]: one file for each command.
//! - [`tokens`]: a token from the cache or from one invocation. The function's [`response`] is parsed once.
//! - [`cache`]: the folder, the cache key, the lock and the entry.
//! - [`aws`]: credentials, signed calls, `Invoke`, GitHub Actions OIDC. [`http`] is the one HTTP client.
//! - [`github`]: the host rules, and the two calls that the client makes with a token.
//! - [`git`]: git's credential protocol and git's configuration.
//! - [`check`]: what is right and wrong with a broker. [`key`]: the App's key, into KMS or SSM. [`manifest`]: a new App,
//!   by a page on loopback.
//! - [`output`]: stderr, progress and `--verbose`. [`interrupt`]: Ctrl-C and other signals. [`error`]: every failure and its
//!   exit code.
//!
//! Invariant: a token appears on stdout if the user asked for it, in the environment of a child process, and in the cache.
//! It never appears in an argument list, on stderr or in another file.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test stops where its own setup fails")
)]

pub mod arguments;
pub mod aws;
pub mod cache;
pub mod check;
pub mod commands;
pub mod error;
pub mod function;
pub mod git;
pub mod github;
pub mod http;
pub mod interrupt;
pub mod key;
pub mod manifest;
pub mod output;
pub mod response;
pub mod settings;
pub mod tokens;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Parser as _, error::ErrorKind};

use arguments::Arguments;

/// The name under which git calls the client for `credential.helper = github-token-broker`.
const GIT_HELPER_NAME: &str = "git-credential-github-token-broker";

/// Runs the command line to its end.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = with_helper_name_expanded(args);
    let error = match Arguments::try_parse_from(&args) {
        Ok(arguments) => return commands::run(arguments),
        Err(error) => error,
    };
    // If stdout or stderr is closed, the exit code is all that is left to report.
    let is_request = match error.kind() {
        ErrorKind::MissingSubcommand => {
            print_help_as_error(args);
            false
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            true
        }
        _ if is_question_of_git(&args) => {
            commands::git_credential::quit(&first_line(&error));
            false
        }
        _ => {
            let _ = error.print();
            false
        }
    };
    ExitCode::from(if is_request { 0 } else { error::USAGE })
}

/// Git appends the operation to the helper's own arguments.
fn is_question_of_git(args: &[OsString]) -> bool {
    args.last().is_some_and(|last| last == "get") && args.iter().any(|arg| arg == "git-credential")
}

/// What is wrong, without the usage and the hints that follow.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!(
        "github-token-broker: {}",
        line.trim_start_matches("error: ")
    )
}

/// Without a command, the short help says more than an error.
fn print_help_as_error(mut args: Vec<OsString>) {
    args.push("-h".into());
    if let Err(help) = Arguments::try_parse_from(args) {
        let _ = write!(io::stderr(), "{help}");
    }
}

/// Git starts the program `git-credential-NAME` for the helper `NAME`: the file name then stands for the subcommand.
fn with_helper_name_expanded(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.into_iter().collect();
    let name = args
        .first()
        .and_then(|program| Path::new(program).file_stem());
    if name.is_some_and(|name| name == GIT_HELPER_NAME) {
        args.insert(1, "git-credential".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(args: &[&str]) -> Vec<OsString> {
        with_helper_name_expanded(args.iter().map(OsString::from))
    }

    #[test]
    fn git_helper_name_stands_for_the_subcommand() {
        let path = "/usr/bin/git-credential-github-token-broker";
        assert_eq!(
            expanded(&[path, "--function", "f", "get"]),
            [path, "git-credential", "--function", "f", "get"]
        );
    }

    #[test]
    fn own_name_is_not_expanded() {
        let args = ["github-token-broker", "token"];
        assert_eq!(expanded(&args), args);
    }
}
