//! `sandbox demo` shows the broker at work and ends; `sandbox serve` stays up. All else is in the library.
#![expect(
    clippy::print_stderr,
    reason = "a program at a terminal says what went wrong"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// AWS and GitHub on loopback, to see github-token-broker work without an account.
#[derive(Parser)]
#[command(name = "sandbox")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Mint a token, show it at work, and end
    Demo,
    /// Stay up, to be tried by hand
    Serve(Box<sandbox::ServeOptions>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo => sandbox::demo().await,
        Command::Serve(options) => sandbox::serve(*options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
