//! Every way in which a command fails, and its exit code.
//!
//! Each folder has an error type of its own; this one joins them. Each message says what failed, why, and what to do next.

use crate::{
    aws::{AwsError, operator::CallError},
    cache::CacheError,
    git::config::ConfigError,
    github::client::GitHubError,
    key::KeyError,
    manifest::ManifestError,
    response::ResponseError,
};

/// The exit code for a command line that cannot be understood.
pub const USAGE: u8 = 2;
/// The exit code for every other failure.
pub const FAILURE: u8 = 1;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// The function ran and reported a failure: `errorType: errorMessage`, unchanged.
    #[error("{0}")]
    Function(String),
    /// What the function returned is not a token.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// AWS, or the way to it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// GitHub, or the way to it.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The cache is not safe to use.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An operation of AWS, for an operator.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The App's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A new App.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Git's configuration.
    #[error(transparent)]
    Git(#[from] ConfigError),
    /// A signal, where the command can stop.
    #[error("interrupted before the command was complete")]
    Interrupted,
    /// Standard input or output, or another service of the operating system.
    #[error("{what}: {source}")]
    Stdio {
        /// What was not possible.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Standard input does not hold what the command needs.
    #[error("{0}")]
    Input(&'static str),
}

impl Error {
    /// The exit code, for all commands except `exec`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            _ => FAILURE,
        }
    }

    /// The line for stderr. Only a failure of the function has no program name in front: scripts match its text.
    pub fn line(&self) -> String {
        match self {
            Self::Function(text) => text.clone(),
            error => format!("github-token-broker: {error}"),
        }
    }
}
