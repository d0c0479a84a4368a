//! The function's environment -> [`Config`]. The rules on the values are in [`crate::rules`].
//!
//! In: a lookup function. Out: a value that every later step can trust, or all faults at once ([`crate::variables`]).

pub mod env;
pub mod parse;

use std::fmt;

use aws_credential_types::Credentials;
use http::Uri;
use rustls::RootCertStore;
use serde::Serialize;
use tracing::Level;

use crate::{
    aws::endpoint::regional_endpoint,
    config::env::{
        API_BASE, CLIENT_ID_PARAM, ConfigurationError, Fault, INSTALLATION_ID_PARAM, LOG_LEVEL,
        METRICS_NAMESPACE, NAME, OWNER, PERMISSIONS, PRIVATE_KEY_PARAM, REGION, REPOSITORY_ID,
        Reader, Variable,
    },
    scope::Permissions,
};

/// What the deployer decided. It has no `Debug`: it holds the role's credentials and maybe a proxy's.
pub struct Config {
    /// The one repository that tokens are for.
    pub repository: Repository,
    /// GitHub's numeric ID of that repository, where the deployer pinned it.
    pub repository_id: Option<RepositoryId>,
    /// What a token may do.
    pub permissions: Permissions,
    /// Where the GitHub App's credentials are.
    pub parameters: ParameterNames,
    /// The root of GitHub's REST API, without a slash at its end.
    pub api_base: Uri,
    /// Where SSM is, and as whom to read it.
    pub aws: Aws,
    /// How to reach hosts.
    pub network: Network,
    /// The CloudWatch namespace of the metrics; `None` means that no metrics are written.
    pub metrics_namespace: Option<String>,
}

/// The three SSM parameters.
pub struct ParameterNames {
    /// Holds the App's client ID.
    pub client_id: ParameterName,
    /// Holds the installation ID.
    pub installation_id: ParameterName,
    /// Holds the private key, as a `SecureString`.
    pub private_key: ParameterName,
}

/// The standard AWS settings that decide which SSM is called, and with which credentials.
pub struct Aws {
    /// The region of the function and of its parameters.
    pub region: String,
    /// `AWS_ENDPOINT_URL_SSM`, or else `AWS_ENDPOINT_URL`, or else the region's, by `AWS_USE_FIPS_ENDPOINT` and
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub endpoint: Uri,
    /// The role's credentials; Lambda replaces the whole environment before they expire.
    pub credentials: Credentials,
}

/// The standard settings of an HTTPS client.
#[derive(Default)]
pub struct Network {
    /// `HTTPS_PROXY`, an `http://` URL, maybe with a user and a password.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`
    pub no_proxy: Option<String>,
    /// What `SSL_CERT_FILE` holds: the roots to trust in place of the compiled-in ones.
    pub roots: Option<RootCertStore>,
}

/// A repository by owner and name, the only one a token may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The account that owns it.
    pub owner: String,
    /// Its name within the account.
    pub name: String,
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// GitHub's number for a repository; unlike the name, it is never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RepositoryId(pub u64);

/// The full name of an SSM parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterName(pub(crate) String);

impl ParameterName {
    /// The name, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// Reads and checks the whole environment. `lookup` gives a variable's value; unset and blank are the same.
    ///
    /// # Errors
    /// Every fault there is, in the order of [`VARIABLES`](crate::config::env::VARIABLES), the standard variables last.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationError> {
        let mut read = Reader::new(lookup);

        let region = read.value(&REGION, parse::region);
        let owner = read.value(&OWNER, parse::name);
        let name = read.value(&NAME, parse::name);
        let client_id = read.value(&CLIENT_ID_PARAM, parse::parameter_name);
        let installation_id = read.value(&INSTALLATION_ID_PARAM, parse::parameter_name);
        let same = installation_id.is_some() && installation_id == client_id;
        read.refuse_if(same, INSTALLATION_ID_PARAM.name, Fault::NotDistinct);
        let private_key = read.value(&PRIVATE_KEY_PARAM, parse::parameter_name);
        let same = private_key.is_some() && [&client_id, &installation_id].contains(&&private_key);
        read.refuse_if(same, PRIVATE_KEY_PARAM.name, Fault::NotDistinct);
        let permissions = read.value(&PERMISSIONS, parse::permissions);
        let api_base = read.value(&API_BASE, parse::api_base);
        let _ = read.value(&LOG_LEVEL, parse::level); // in force already: see `log_level`
        let repository_id = read.optional(REPOSITORY_ID.name, parse::repository_id);
        let metrics_namespace = read.optional(METRICS_NAMESPACE.name, parse::namespace);

        let ssm_endpoint = read.optional("AWS_ENDPOINT_URL_SSM", parse::endpoint);
        let any_endpoint = read.optional("AWS_ENDPOINT_URL", parse::endpoint);
        let use_fips = read.optional("AWS_USE_FIPS_ENDPOINT", parse::boolean);
        let use_dual_stack = read.optional("AWS_USE_DUALSTACK_ENDPOINT", parse::boolean);
        let access_key = read.value(&ACCESS_KEY, parse::credential);
        let secret_key = read.value(&SECRET_KEY, parse::any_text);
        let session_token = read.optional("AWS_SESSION_TOKEN", parse::credential);
        let upper_case_proxy = read.optional("HTTPS_PROXY", parse::proxy);
        let https_proxy = upper_case_proxy.or_else(|| read.optional("https_proxy", parse::proxy));
        let no_proxy = read.text("NO_PROXY").or_else(|| read.text("no_proxy"));
        let roots = read.optional("SSL_CERT_FILE", parse::roots);

        let endpoint_is_set = |name| read.text(name).is_some();
        if endpoint_is_set("AWS_ENDPOINT_URL_SSM") || endpoint_is_set("AWS_ENDPOINT_URL") {
            // As in AWS's SDKs: an endpoint that is given is taken as it is.
            let beside = Fault::NotWithAnEndpoint;
            read.refuse_if(use_fips == Some(true), "AWS_USE_FIPS_ENDPOINT", beside);
            read.refuse_if(
                use_dual_stack == Some(true),
                "AWS_USE_DUALSTACK_ENDPOINT",
                beside,
            );
        }

        let endpoint = ssm_endpoint.or(any_endpoint).or_else(|| {
            let (fips, dual_stack) = (use_fips == Some(true), use_dual_stack == Some(true));
            regional_endpoint(region.as_deref()?, fips, dual_stack)
        });

        let complete = || {
            Some(Self {
                repository: Repository {
                    owner: owner?,
                    name: name?,
                },
                repository_id,
                permissions: permissions?,
                parameters: ParameterNames {
                    client_id: client_id?,
                    installation_id: installation_id?,
                    private_key: private_key?,
                },
                api_base: api_base?,
                aws: Aws {
                    region: region?,
                    endpoint: endpoint?,
                    credentials: Credentials::new(
                        access_key?,
                        secret_key?,
                        session_token,
                        None,
                        "the function's environment",
                    ),
                },
                network: Network {
                    https_proxy,
                    no_proxy,
                    roots,
                },
                metrics_namespace,
            })
        };
        read.finish(complete())
    }

    /// Whether SSM's answers, the private key among them, cross a network in the clear: fit for an emulator only.
    pub fn reads_secrets_in_the_clear(&self) -> bool {
        let url = &self.aws.endpoint;
        url.scheme_str() == Some("http") && !parse::is_loopback(url)
    }
}

/// Whether Lambda starts the process for an invocation that waits for it. Else (provisioned concurrency), it freezes the
/// process when init is over.
pub fn invocation_waits(lookup: impl Fn(&str) -> Option<String>) -> bool {
    lookup("AWS_LAMBDA_INITIALIZATION_TYPE").is_some_and(|kind| kind == "on-demand")
}

/// The level below which log lines are left out: ours, or else the platform's `AWS_LAMBDA_LOG_LEVEL`, or else `info`.
/// Read apart from [`Config`], so that a faulty configuration is logged too.
pub fn log_level(lookup: impl Fn(&str) -> Option<String>) -> Level {
    let read = Reader::new(lookup);
    let ours = read
        .text(LOG_LEVEL.name)
        .and_then(|text| parse::level(&text).ok());
    let platforms = || parse::platform_level(&read.text("AWS_LAMBDA_LOG_LEVEL")?).ok();
    ours.or_else(platforms).unwrap_or(Level::INFO)
}

/// A level that passes Lambda's own filter and is no higher than that takes: the filter's. Lambda takes a line without a
/// level for `INFO` ("Log-level filtering" in its developer guide).
pub fn platforms_filter(lookup: impl Fn(&str) -> Option<String>) -> String {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let level = Reader::new(lookup).text("AWS_LAMBDA_LOG_LEVEL");
    level
        .map(|level| level.to_ascii_uppercase())
        .filter(|level| LEVELS.contains(&level.as_str()))
        .unwrap_or_else(|| "INFO".to_owned())
}

/// Lambda sets these from the function's role.
const ACCESS_KEY: Variable = Variable {
    name: "AWS_ACCESS_KEY_ID",
    default: None,
};
const SECRET_KEY: Variable = Variable {
    name: "AWS_SECRET_ACCESS_KEY",
    default: None,
};

#[cfg(test)]
mod tests;
