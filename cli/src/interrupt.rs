//! Ctrl-C, and on Unix also SIGTERM and SIGHUP, as an event that a command checks where it can stop.
//!
//! Invariant: from [`Interrupt::listen`] on, no such signal ends this process, and none is lost.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC as Signal, ctrl_c};

use crate::error::Error;

/// The signals since [`Interrupt::listen`].
pub struct Interrupt {
    signals: Vec<Signal>,
    has_arrived: bool,
}

impl Interrupt {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> Result<Self, Error> {
        let signals = signals().map_err(|source| Error::Stdio {
            what: "cannot handle signals",
            source,
        })?;
        Ok(Self {
            signals,
            has_arrived: false,
        })
    }

    /// Does this work, and stops it if a signal arrives or has arrived.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or the error of the work.
    pub async fn or<T, E: Into<Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        self.check().await?;
        tokio::select! {
            biased;
            () = poll_fn(|context| self.poll(context)) => Err(Error::Interrupted),
            outcome = work => outcome.map_err(Into::into),
        }
    }

    /// Whether the command can go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub async fn check(&mut self) -> Result<(), Error> {
        // The runtime notices signals when a task yields.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            () = poll_fn(|context| self.poll(context)) => Err(Error::Interrupted),
            () = async {} => Ok(()),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for signal in &mut self.signals {
            self.has_arrived |= signal.poll_recv(context).is_ready();
        }
        if self.has_arrived {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Those that this process does not ignore: `nohup` makes it ignore SIGHUP.
#[cfg(unix)]
fn signals() -> io::Result<Vec<Signal>> {
    let is_ignored = ignored_signals();
    [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .into_iter()
    .filter(|kind| !is_ignored(kind.as_raw_value()))
    .map(signal)
    .collect()
}

#[cfg(windows)]
fn signals() -> io::Result<Vec<Signal>> {
    Ok(vec![ctrl_c()?])
}

/// Which signals this process ignores, as under `nohup`.
///
/// Only Linux reports it in a file. Everywhere else, the question needs `unsafe` code: there, it ignores none.
#[cfg(unix)]
pub fn ignored_signals() -> impl Fn(i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    move |signal| mask & (1 << (signal - 1)) != 0
}
