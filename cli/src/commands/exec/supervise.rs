//! Runs the command: replaces this process with it, or starts it as a child, forwards signals to it, and returns its exit code.
//!
//! Invariant: from [`Supervisor::start`] on, the first signal does not end this process.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitCode, ExitStatus},
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::{
    SigId,
    consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    flag,
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::{
        siginfo::{Cause, Origin},
        unregister,
    },
};

use crate::interrupt::ignored_signals;

const FORWARDED: [i32; 6] = [SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT, SIGHUP];

/// Replaces this process.
pub(super) fn become_command(command: &mut Command) -> io::Result<ExitCode> {
    Err(command.exec())
}

/// The parent of the command, while it mints and while the command runs.
pub(super) struct Supervisor {
    signals: SignalsInfo<WithOrigin>,
    before_start: Vec<SigId>,
}

impl Supervisor {
    /// Handles signals from now on. Before the command starts, a second signal ends this process at once, for a user
    /// who does not want to wait for the function.
    pub(super) fn start() -> io::Result<Self> {
        // The command inherits what this process ignores: a handler would take that from it.
        let ignored = ignored_signals();
        let handled = || FORWARDED.into_iter().filter(|signal| !ignored(*signal));
        let is_interrupted = Arc::new(AtomicBool::new(false));
        let mut before_start = Vec::new();
        for signal in handled() {
            // In this order: the first signal finds the flag unset, and sets it.
            let exit = flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&is_interrupted),
            )?;
            let interrupt = flag::register(signal, Arc::clone(&is_interrupted))?;
            before_start.extend([exit, interrupt]);
        }
        Ok(Self {
            signals: SignalsInfo::new(handled())?,
            before_start,
        })
    }

    /// Starts the command and waits for its end. It does not start after a signal.
    pub(super) fn run(mut self, command: &mut Command) -> io::Result<ExitCode> {
        for action in self.before_start {
            unregister(action);
        }
        if let Some(origin) = self.signals.pending().next() {
            return Ok(signal_code(origin.signal));
        }
        let mut child = command.spawn()?;
        let handle = self.signals.handle();
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return child.wait().map(exit_code);
        };
        let forwarder = thread::spawn(move || {
            for origin in &mut self.signals {
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
}

/// The terminal sends its own signals to the command as well. A second interrupt would make Terraform exit at once.
fn is_forwarded(origin: &Origin) -> bool {
    let from_terminal = [SIGINT, SIGQUIT, SIGHUP].contains(&origin.signal);
    !from_terminal || matches!(origin.cause, Cause::Sent(_))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        return signal_code(signal);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

fn signal_code(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}
