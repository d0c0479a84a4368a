//! `sandbox demo` shows the broker at work and exits; `sandbox serve` keeps AWS and GitHub running.
#![expect(clippy::print_stderr, reason = "a command-line program reports errors")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// AWS and GitHub on loopback, to try github-token-broker without an account.
#[derive(Parser)]
#[command(name = "sandbox")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Mint a token, show what it can do, and exit
    Demo {
        /// Sign with a KMS key instead of a private key from SSM
        #[arg(long)]
        kms: bool,
    },
    /// Keep AWS and GitHub running until Ctrl-C
    Serve(Box<sandbox::ServeOptions>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let serving = matches!(command, Command::Serve(_));
    // A signal drops the command and with it the processes it started. The default action would leave a frozen one behind.
    let result = tokio::select! {
        result = run(command) => result,
        interrupted = interruption() => match interrupted {
            Ok(()) if serving => Ok(()),
            Ok(()) => Err(std::io::ErrorKind::Interrupted.into()),
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> std::io::Result<()> {
    match command {
        Command::Demo { kms } => sandbox::demo(kms).await,
        Command::Serve(options) => sandbox::serve(*options).await,
    }
}

/// Returns when the user or the system asks the program to stop.
async fn interruption() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}
