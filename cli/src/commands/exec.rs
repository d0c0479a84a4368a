//! `exec`: runs a command with a token in its environment.
//!
//! Without `--revoke`, this process becomes the command. With it, this process stays as the parent and passes signals on.

use std::{
    env,
    io::{self, ErrorKind},
    process::{self, ExitCode},
};

use secrecy::ExposeSecret as _;

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
    let obtained = if arguments.revoke {
        tokens::mint(settings)
    } else {
        tokens::obtain(settings)
    };
    let grant = match obtained {
        Ok(grant) => grant,
        Err(error) => {
            output::print_diagnostic(&error.line());
            let is_usage = matches!(error, Error::Usage(_));
            return ExitCode::from(if is_usage { USAGE } else { NO_TOKEN });
        }
    };
    let mut command = process::Command::new(program);
    command.args(rest);
    set_environment(&mut command, settings, arguments, &grant);
    let ended = if arguments.revoke {
        let ended = supervise::run(&mut command);
        if let Err(error) = revoke(settings, &grant.token) {
            settings.diagnostics.warn(format_args!(
                "the token was not revoked and expires at {}: {error}",
                grant.expires_at
            ));
        }
        ended
    } else {
        supervise::become_command(&mut command)
    };
    ended.unwrap_or_else(|error| {
        let program = program.to_string_lossy();
        output::print_diagnostic(&format!(
            "github-token-broker: cannot run {program}: {error}"
        ));
        ExitCode::from(code_of(&error))
    })
}

fn code_of(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    }
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
    if !host.is_default() {
        command.env("GH_HOST", host.name());
    }
    command.env("GH_REPO", host.qualified(repository.full_name()));

    let inherited = env::var("GIT_CONFIG_COUNT")
        .ok()
        .and_then(|count| count.parse::<usize>().ok());
    let first = inherited.unwrap_or_default();
    let helper = protocol::environment_helper(names.first().copied().unwrap_or_default());
    let entries = config::entries(host, repository, &helper);
    command.env("GIT_CONFIG_COUNT", (first + entries.len()).to_string());
    for (number, (key, value)) in (first..).zip(entries) {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
}

#[cfg(unix)]
mod supervise {
    use std::{
        io,
        os::unix::process::{CommandExt as _, ExitStatusExt as _},
        process::{Command, ExitCode, ExitStatus},
        thread,
    };

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::{
        consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
        iterator::{SignalsInfo, exfiltrator::WithOrigin},
        low_level::siginfo::{Cause, Origin},
    };

    const FORWARDED: [i32; 6] = [SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT, SIGHUP];

    /// Replaces this process.
    pub(super) fn become_command(command: &mut Command) -> io::Result<ExitCode> {
        Err(command.exec())
    }

    /// Starts the command and waits for its end.
    pub(super) fn run(command: &mut Command) -> io::Result<ExitCode> {
        // The command starts before the handlers are set: it inherits what is ignored, as under `nohup`.
        let mut child = command.spawn()?;
        let mut signals = SignalsInfo::<WithOrigin>::new(FORWARDED)?;
        let handle = signals.handle();
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return child.wait().map(exit_code);
        };
        let forwarder = thread::spawn(move || {
            for origin in &mut signals {
                if is_forwarded(&origin)
                    && let Some(signal) = Signal::from_named_raw(origin.signal)
                {
                    // It fails only if the command has ended.
                    let _ = kill_process(pid, signal);
                }
            }
        });
        // The process ID stays the command's until it is collected below: no signal can reach another process.
        while let Err(rustix::io::Errno::INTR) = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {}
        handle.close();
        let _ = forwarder.join();
        child.wait().map(exit_code)
    }

    /// The terminal sends its own signals to the command as well. A second interrupt would make Terraform exit at once.
    fn is_forwarded(origin: &Origin) -> bool {
        let from_terminal = [SIGINT, SIGQUIT, SIGHUP].contains(&origin.signal);
        !from_terminal || matches!(origin.cause, Cause::Sent(_))
    }

    fn exit_code(status: ExitStatus) -> ExitCode {
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

/// Windows has no `execve` and no signals: the parent waits in both cases.
#[cfg(not(unix))]
mod supervise {
    use std::{
        io,
        process::{Command, ExitCode},
    };

    pub(super) fn become_command(command: &mut Command) -> io::Result<ExitCode> {
        run(command)
    }

    pub(super) fn run(command: &mut Command) -> io::Result<ExitCode> {
        let code = command.status()?.code().unwrap_or(1);
        Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)))
    }
}
