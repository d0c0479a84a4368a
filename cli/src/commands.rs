//! One file for each command. Input: the settings and the command's own arguments. Output: an exit code.

mod check;
mod completions;
mod exec;
pub(crate) mod git_credential;
mod key;
mod man;
mod revoke;
mod setup;
mod setup_git;
mod token;
mod version;
mod whoami;

use std::process::ExitCode;

use crate::{
    arguments::{Arguments, Command},
    error::Error,
    output,
    settings::Settings,
};

/// Runs a command, and reports its failure.
pub fn run(arguments: Arguments) -> ExitCode {
    let settings = match Settings::try_from(&arguments.options) {
        Ok(settings) => settings,
        Err(error) => {
            git_credential::quit_if_asked(&arguments.command);
            return failed(&error);
        }
    };
    let done = match arguments.command {
        Command::Exec(arguments) => return exec::run(&settings, &arguments),
        Command::GitCredential(arguments) => return git_credential::run(&settings, &arguments),
        Command::Check(arguments) => return check::run(&settings, &arguments),
        Command::Setup(arguments) => return setup::run(&settings, &arguments),
        Command::Key(arguments) => key::run(&settings, &arguments),
        Command::Token => token::run(&settings),
        Command::SetupGit(command) => setup_git::run(&settings, &arguments.options, &command),
        Command::Revoke(arguments) => revoke::run(&settings, &arguments),
        Command::Whoami => whoami::run(&settings),
        Command::Version => version::run(&settings),
        Command::Completions { shell } => completions::run(shell),
        Command::Man => man::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> ExitCode {
    output::print_diagnostic(&error.line());
    ExitCode::from(error.exit_code())
}

/// Prints what the user needs after a change. If stdout is closed or full, it is on stderr.
fn print_outcome(text: &str) -> Result<(), Error> {
    print(text).inspect_err(|_| text.lines().for_each(output::print_diagnostic))
}

/// Writes a command's result to stdout.
fn print(text: &str) -> Result<(), Error> {
    output::print_result(text).map_err(|source| Error::Stdio {
        what: "cannot write to standard output",
        source,
    })
}
