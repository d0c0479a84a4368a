//! The global options, validated.

use std::time::Duration;

use crate::{
    arguments::Options,
    error::Error,
    function::{self, Function},
    github::host::{self, Host},
    output::Diagnostics,
};

/// What every command knows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The function to invoke.
    pub function: Function,
    /// The region on the command line.
    pub region: Option<String>,
    /// The profile on the command line.
    pub profile: Option<String>,
    /// The role to assume first.
    pub role_arn: Option<String>,
    /// The GitHub server.
    pub host: Host,
    /// The least time that a cached token must have left.
    pub min_ttl: Duration,
    /// Whether the cache is used.
    pub use_cache: bool,
    /// How long the client waits for the function's response.
    pub timeout: Duration,
    /// What is reported on stderr.
    pub diagnostics: Diagnostics,
    /// Whether results are JSON.
    pub json: bool,
}

impl TryFrom<&Options> for Settings {
    type Error = Error;

    /// An empty value counts as unset, as for every variable of the function.
    fn try_from(options: &Options) -> Result<Self, Error> {
        let function = set(options.function.as_ref()).unwrap_or(function::DEFAULT.to_owned());
        let host = set(options.github_host.as_ref()).unwrap_or(host::DEFAULT.to_owned());
        let role_arn = set(options.role_arn.as_ref());
        if let Some(role) = role_arn.as_ref().filter(|role| !is_role_arn(role)) {
            let role = crate::output::escape(role);
            return Err(Error::Usage(format!(
                "--role-arn: {role} is not the ARN of an IAM role"
            )));
        }
        Ok(Self {
            function: Function::parse(&function)
                .map_err(|reason| Error::Usage(format!("--function: {reason}")))?,
            region: set(options.region.as_ref()),
            profile: set(options.profile.as_ref()),
            role_arn,
            host: Host::parse(&host)
                .map_err(|reason| Error::Usage(format!("--github-host: {reason}")))?,
            min_ttl: options.min_ttl,
            use_cache: !options.no_cache,
            timeout: options.timeout,
            diagnostics: Diagnostics {
                is_verbose: options.verbose,
            },
            json: options.json,
        })
    }
}

fn set(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn is_role_arn(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", account, role]
        if account.len() == 12 && role.len() > 5 && role.starts_with("role/"))
        && text.chars().all(|c| c.is_ascii_graphic())
}
