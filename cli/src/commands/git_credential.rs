//! `git-credential`: answers git as a credential helper. Git reads stdout; the user sees stderr.

use std::{io, process::ExitCode};

use super::print;
use crate::{
    arguments::{Command, GitCredential},
    cache::Entry,
    error::{Error, FAILURE},
    git::protocol::{self, ProtocolError, Request},
    output,
    settings::Settings,
    tokens,
};

/// Why there is no answer.
enum NoAnswer {
    Protocol(ProtocolError),
    Failed(Error),
}

pub(super) fn run(settings: &Settings, arguments: &GitCredential) -> ExitCode {
    let done = match arguments.operation.as_str() {
        "get" => get(settings),
        "erase" => erase(settings),
        "capability" => print(protocol::CAPABILITIES).map_err(NoAnswer::Failed),
        // `store`: the cache has the token already. Later versions of git have other operations.
        _ => Ok(()),
    };
    let is_get = arguments.operation == "get";
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(NoAnswer::Protocol(error)) => {
            report(is_get, &format!("github-token-broker: {error}"));
            ExitCode::from(FAILURE)
        }
        Err(NoAnswer::Failed(error)) => {
            report(is_get, &error.line());
            // Git reads the answer, and does not care for the exit code.
            if is_get {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(FAILURE)
            }
        }
    }
}

/// Settings that cannot be used stop git too.
pub(super) fn quit_if_asked(command: &Command) {
    if matches!(command, Command::GitCredential(arguments) if arguments.operation == "get") {
        tell_git_to_quit();
    }
}

/// Reports why there is no answer to `get`.
pub(crate) fn quit(line: &str) {
    report(true, line);
}

fn report(is_get: bool, line: &str) {
    output::print_diagnostic(line);
    if is_get {
        tell_git_to_quit();
    }
}

/// Git then neither prompts nor asks another helper.
fn tell_git_to_quit() {
    // If git has ended, no process needs the answer.
    let _ = output::print_result(protocol::QUIT);
}

fn get(settings: &Settings) -> Result<(), NoAnswer> {
    let request = Request::read(io::stdin().lock()).map_err(NoAnswer::Protocol)?;
    if !request.is_for_host(&settings.host) {
        settings
            .diagnostics
            .detail("the request is for another host");
        return Ok(());
    }
    let grant = tokens::obtain(settings).map_err(NoAnswer::Failed)?;
    if !request.is_for_repository_of(&grant) {
        settings
            .diagnostics
            .detail("the request is for another repository");
        return Ok(());
    }
    print(&protocol::answer(&grant)).map_err(NoAnswer::Failed)
}

fn erase(settings: &Settings) -> Result<(), NoAnswer> {
    let request = Request::read(io::stdin().lock()).map_err(NoAnswer::Protocol)?;
    let failed = |error: crate::cache::CacheError| NoAnswer::Failed(error.into());
    if !request.is_for_host(&settings.host) {
        return Ok(());
    }
    let Some(entry) = Entry::open(settings).map_err(failed)? else {
        return Ok(());
    };
    match entry.read().map_err(failed)? {
        Some(grant) if request.is_for_repository_of(&grant) && request.has_password_of(&grant) => {
            entry.forget().map_err(failed)
        }
        _ => Ok(()),
    }
}
