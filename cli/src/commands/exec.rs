//! `exec`: runs a command with a token in its environment.
//!
//! Without `--revoke`, this process becomes the command. With it, this process stays as the parent and passes signals on.

#[cfg(unix)]
mod supervise;

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, ErrorKind},
    process::{self, ExitCode},
};

use secrecy::ExposeSecret as _;

use self::supervise::Supervisor;
use super::revoke::revoke;
use crate::{
    arguments::Exec,
    error::{Error, USAGE},
    git::{config, protocol},
    output,
    response::Grant,
    settings::Settings,
    tokens,
};

/// There is no token. `timeout` and `env` use 124 to 127 for failures of their own; 111 is free.
const NO_TOKEN: u8 = 111;
/// As in a shell: the command exists and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// As in a shell: the command does not exist.
const NOT_FOUND: u8 = 127;

pub(super) fn run(settings: &Settings, arguments: &Exec) -> ExitCode {
    let Some((program, rest)) = arguments.command.split_first() else {
        return ExitCode::from(USAGE);
    };
    if arguments.revoke {
        return supervised(settings, arguments, program, rest);
    }
    let grant = match tokens::obtain(settings) {
        Ok(grant) => grant,
        Err(error) => return no_token(&error),
    };
    let mut command = command(program, rest, settings, arguments, &grant);
    supervise::become_command(&mut command).unwrap_or_else(|error| cannot_run(program, &error))
}

/// Mints a token for this command only, runs the command, and revokes the token.
fn supervised(
    settings: &Settings,
    arguments: &Exec,
    program: &OsStr,
    rest: &[OsString],
) -> ExitCode {
    // From here on, no signal ends this process before it has revoked the token that the function returned.
    let supervisor = match Supervisor::start() {
        Ok(supervisor) => supervisor,
        Err(error) => return cannot_run(program, &error),
    };
    let grant = match tokens::mint(settings) {
        Ok(grant) => grant,
        Err(error) => return no_token(&error),
    };
    let mut command = command(program, rest, settings, arguments, &grant);
    let ended = supervisor.run(&mut command);
    if let Err(error) = revoke(settings, &grant.token) {
        settings.diagnostics.warn(format_args!(
            "the token was not revoked and expires at {}: {error}",
            grant.expires_at
        ));
    }
    ended.unwrap_or_else(|error| cannot_run(program, &error))
}

fn no_token(error: &Error) -> ExitCode {
    output::print_diagnostic(&error.line());
    let is_usage = matches!(error, Error::Usage(_));
    ExitCode::from(if is_usage { USAGE } else { NO_TOKEN })
}

fn cannot_run(program: &OsStr, error: &io::Error) -> ExitCode {
    let program = program.to_string_lossy();
    output::print_diagnostic(&format!(
        "github-token-broker: cannot run {program}: {error}"
    ));
    ExitCode::from(if error.kind() == ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}

fn command(
    program: &OsStr,
    rest: &[OsString],
    settings: &Settings,
    arguments: &Exec,
    grant: &Grant,
) -> process::Command {
    let mut command = process::Command::new(program);
    command.args(rest);
    set_environment(&mut command, settings, arguments, grant);
    command
}

fn set_environment(
    command: &mut process::Command,
    settings: &Settings,
    arguments: &Exec,
    grant: &Grant,
) {
    let (host, repository) = (&settings.host, &grant.repository);
    let names: Vec<&str> = if arguments.env.is_empty() {
        host.token_variables().to_vec()
    } else {
        arguments.env.iter().map(String::as_str).collect()
    };
    for name in &names {
        command.env(name, grant.token.expose_secret());
    }
    if host.is_default() {
        command.env_remove("GH_HOST"); // an inherited one can name another host
    } else {
        command.env("GH_HOST", host.name());
    }
    command.env("GH_REPO", host.qualified(repository.full_name()));

    let helper = protocol::environment_helper(names.first().copied().unwrap_or_default());
    // Entries that this process has inherited stay. Git itself accepts no larger number.
    let inherited = env::var("GIT_CONFIG_COUNT").ok();
    let inherited = inherited.and_then(|count| count.parse::<u32>().ok());
    let mut number = u64::from(inherited.unwrap_or_default());
    for (key, value) in config::entries(host, repository, &helper) {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        number += 1;
    }
    command.env("GIT_CONFIG_COUNT", number.to_string());
}

/// Windows has no `execve` and no signals: the parent waits in both cases.
#[cfg(not(unix))]
mod supervise {
    use std::{
        io,
        process::{Command, ExitCode},
    };

    pub(super) fn become_command(command: &mut Command) -> io::Result<ExitCode> {
        Supervisor::start()?.run(command)
    }

    pub(super) struct Supervisor;

    impl Supervisor {
        pub(super) fn start() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn run(self, command: &mut Command) -> io::Result<ExitCode> {
            let code = command.status()?.code().unwrap_or(1);
            Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)))
        }
    }
}
