//! The variables of the function's environment: names, defaults, and a reader that collects every error.
//!
//! Input: a lookup function, so that a test needs no real environment.
//! Output: values that passed their rule ([`super::parse`] has them), or one error that lists every problem in the order of
//! [`VARIABLES`].
//! Invariant: no value is repeated. What a deployer pasted into the wrong variable may be a secret.

use std::fmt;

/// A variable with a rule.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name in the function's environment.
    pub name: &'static str,
    /// The value of an unset or blank variable.
    pub default: Option<&'static str>,
    /// The input of the Terraform module that sets it.
    pub terraform_input: Option<&'static str>,
}

const fn variable(
    name: &'static str,
    default: Option<&'static str>,
    terraform_input: &'static str,
) -> Variable {
    Variable {
        name,
        default,
        terraform_input: Some(terraform_input),
    }
}

const fn standard(name: &'static str) -> Variable {
    Variable {
        name,
        default: None,
        terraform_input: None,
    }
}

pub(super) const REGION: Variable = standard("AWS_REGION");
pub(super) const OWNER: Variable = variable(
    "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
    None,
    "repository_owner",
);
pub(super) const NAME: Variable = variable(
    "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
    None,
    "repository_name",
);
pub(super) const CLIENT_ID_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM",
    Some("/github-token-broker/app/client-id"),
    "ssm_parameter_paths",
);
pub(super) const INSTALLATION_ID_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM",
    Some("/github-token-broker/app/installation-id"),
    "ssm_parameter_paths",
);
pub(super) const PRIVATE_KEY_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
    Some("/github-token-broker/app/private-key-pem"),
    "ssm_parameter_paths",
);
pub(super) const PERMISSIONS: Variable = variable(
    "GITHUB_TOKEN_BROKER_PERMISSIONS",
    Some(r#"{"contents":"read"}"#),
    "permissions",
);
pub(super) const API_BASE: Variable = variable(
    "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
    Some("https://api.github.com"),
    "github_api_base_url",
);
pub(super) const LOG_LEVEL: Variable =
    variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", Some("info"), "log_level");
pub(super) const REPOSITORY_ID: Variable =
    variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", None, "repository_id");
pub(super) const METRICS_NAMESPACE: Variable = variable(
    "GITHUB_TOKEN_BROKER_METRICS_NAMESPACE",
    None,
    "metrics_namespace",
);
pub(super) const CLIENT_ID: Variable = variable("GITHUB_TOKEN_BROKER_CLIENT_ID", None, "client_id");
pub(super) const INSTALLATION_ID: Variable = variable(
    "GITHUB_TOKEN_BROKER_INSTALLATION_ID",
    None,
    "installation_id",
);
pub(super) const KMS_KEY_ID: Variable =
    variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", None, "signing_key_arns");

/// The region and every variable of ours, in the order in which errors are reported. Tests compare the docs and Terraform
/// with this list.
pub const VARIABLES: [Variable; 14] = [
    REGION,
    OWNER,
    NAME,
    CLIENT_ID_PARAM,
    INSTALLATION_ID_PARAM,
    PRIVATE_KEY_PARAM,
    PERMISSIONS,
    API_BASE,
    LOG_LEVEL,
    REPOSITORY_ID,
    METRICS_NAMESPACE,
    CLIENT_ID,
    INSTALLATION_ID,
    KMS_KEY_ID,
];

pub(super) const ENDPOINT: Variable = standard("AWS_ENDPOINT_URL");
pub(super) const ENDPOINT_SSM: Variable = standard("AWS_ENDPOINT_URL_SSM");
pub(super) const ENDPOINT_KMS: Variable = standard("AWS_ENDPOINT_URL_KMS");
pub(super) const USE_FIPS: Variable = standard("AWS_USE_FIPS_ENDPOINT");
pub(super) const USE_DUAL_STACK: Variable = standard("AWS_USE_DUALSTACK_ENDPOINT");
pub(super) const ACCESS_KEY: Variable = standard("AWS_ACCESS_KEY_ID");
pub(super) const SECRET_KEY: Variable = standard("AWS_SECRET_ACCESS_KEY");
pub(super) const SESSION_TOKEN: Variable = standard("AWS_SESSION_TOKEN");
pub(super) const CONTAINER_CREDENTIALS: Variable = standard("AWS_CONTAINER_CREDENTIALS_FULL_URI");
pub(super) const CONTAINER_TOKEN: Variable = standard("AWS_CONTAINER_AUTHORIZATION_TOKEN");
pub(super) const CONTAINER_TOKEN_FILE: Variable =
    standard("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
pub(super) const HTTPS_PROXY: Variable = standard("HTTPS_PROXY");
pub(super) const HTTPS_PROXY_LOWER: Variable = standard("https_proxy");
pub(super) const NO_PROXY: Variable = standard("NO_PROXY");
pub(super) const NO_PROXY_LOWER: Variable = standard("no_proxy");
pub(super) const SSL_CERT_FILE: Variable = standard("SSL_CERT_FILE");
pub(super) const LAMBDA_LOG_LEVEL: Variable = standard("AWS_LAMBDA_LOG_LEVEL");
pub(super) const INITIALIZATION_TYPE: Variable = standard("AWS_LAMBDA_INITIALIZATION_TYPE");
pub(super) const MAX_CONCURRENCY: Variable = standard("AWS_LAMBDA_MAX_CONCURRENCY");
/// Where Lambda's Runtime API is.
pub const RUNTIME_API: Variable = standard("AWS_LAMBDA_RUNTIME_API");
/// The name of the function.
pub const FUNCTION_NAME: Variable = standard("AWS_LAMBDA_FUNCTION_NAME");

/// The other variables that the function reads. A test compares the docs with this list.
pub const STANDARD_VARIABLES: [Variable; 21] = [
    ENDPOINT,
    ENDPOINT_SSM,
    ENDPOINT_KMS,
    USE_FIPS,
    USE_DUAL_STACK,
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    CONTAINER_CREDENTIALS,
    CONTAINER_TOKEN,
    CONTAINER_TOKEN_FILE,
    HTTPS_PROXY,
    HTTPS_PROXY_LOWER,
    NO_PROXY,
    NO_PROXY_LOWER,
    SSL_CERT_FILE,
    LAMBDA_LOG_LEVEL,
    INITIALIZATION_TYPE,
    MAX_CONCURRENCY,
    RUNTIME_API,
    FUNCTION_NAME,
];

/// What is wrong with the value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum ValueError {
    /// It is unset or blank.
    Missing,
    /// It has characters that it must not have.
    UnsupportedCharacters,
    /// It is a repository with its owner.
    NameWithOwner,
    /// It is not an absolute path without wildcards.
    NotAParameterPath,
    /// It is not a JSON object of texts.
    NotAJsonObject,
    /// It has no permission.
    NoPermission,
    /// It has a permission without a name or a level.
    EmptyPermission,
    /// It has no scheme or no host.
    UrlNotAbsolute,
    /// It uses http for a host that is not loopback.
    UrlNotHttps,
    /// It has user info, a query or a fragment.
    UrlWithExtras,
    /// Its port is not a number from 1 to 65535.
    UrlPort,
    /// It is not a log level.
    NotALevel,
    /// It is not a positive whole number.
    NotARepositoryId,
    /// It has only the characters of a client ID, but it is a placeholder, a token or a client secret.
    NotAClientId,
    /// It is not a positive whole number.
    NotAPositiveInteger,
    /// It is neither `true` nor `false`.
    NotABoolean,
    /// It is not an http or https URL.
    NotAnEndpoint,
    /// It is not the URL of a proxy.
    NotAProxy,
    /// It is not a CloudWatch namespace.
    NotANamespace,
    /// It is not a file of certificates.
    NotCertificates,
    /// It is not one of KMS's forms of a key.
    NotAKmsKey,
    /// It is not a URL from which the AWS SDKs would take credentials.
    NotACredentialsUrl,
    /// It is true although an endpoint is set.
    NotWithAnEndpoint,
    /// It names the parameter of a different variable.
    NotDistinct,
    /// It is set together with this variable.
    Excludes(&'static str),
}

impl ValueError {
    /// What follows the variable's name in a message.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Missing => "is required",
            Self::UnsupportedCharacters | Self::NameWithOwner => "contains unsupported characters",
            Self::NotAParameterPath => "must be an absolute literal SSM parameter path",
            Self::NotAJsonObject => "must be a JSON object of string-to-string entries",
            Self::NoPermission => "must request at least one permission",
            Self::EmptyPermission => "entries must have non-empty keys and values",
            Self::UrlNotAbsolute => "GitHub API base URL must be absolute",
            Self::UrlNotHttps => "GitHub API base URL must use https unless the host is loopback",
            Self::UrlWithExtras => "GitHub API base URL must have no user info, query or fragment",
            Self::UrlPort => "GitHub API base URL must have a port from 1 to 65535, or none",
            Self::NotALevel => "must be debug, info, warn or error",
            Self::NotARepositoryId => "must be the repository's numeric ID on GitHub",
            Self::NotAClientId => "must be a GitHub App client ID or App ID",
            Self::NotAPositiveInteger => "must be a positive integer",
            Self::NotABoolean => "must be true or false",
            Self::NotAnEndpoint => {
                "must be an absolute http or https URL, with a port from 1 to 65535 or none"
            }
            Self::NotAProxy => {
                "must be the http:// URL of a proxy, with a port from 1 to 65535, and with special characters of the password percent-encoded"
            }
            Self::NotANamespace => {
                "must be a CloudWatch namespace: 1 to 255 of A-Z a-z 0-9 . - _ / # : that begin with neither AWS/ nor a colon"
            }
            Self::NotCertificates => "must name a readable file of PEM certificates",
            Self::NotAKmsKey => "must be a key ID, key ARN, alias/NAME or alias ARN",
            Self::NotACredentialsUrl => {
                "must be an https URL, or an http URL of a loopback or container credentials address"
            }
            Self::NotWithAnEndpoint => "must not be true if an AWS_ENDPOINT_URL variable is set",
            Self::NotDistinct => "must name a different parameter than the other variables",
            Self::Excludes(_) => "are mutually exclusive",
        }
    }

    /// Whether the text names its subject. Users match these texts, so the variable's name follows them.
    const fn names_its_subject(self) -> bool {
        matches!(
            self,
            Self::UrlNotAbsolute | Self::UrlNotHttps | Self::UrlWithExtras | Self::UrlPort
        )
    }
}

/// Everything that is wrong with the environment.
#[derive(Debug)]
pub struct ConfigError(Vec<(Variable, ValueError)>);

impl ConfigError {
    #[cfg(test)]
    pub(crate) fn for_tests(error: ValueError) -> Self {
        Self(vec![(OWNER, error)])
    }

    /// Each problem as the variable's name and a text.
    pub fn problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().map(|(variable, error)| {
            let name = variable.name;
            let text = error.text();
            let text = match error {
                ValueError::Excludes(other) => format!("{name} and {other} {text}"),
                error if error.names_its_subject() => format!("{text} ({name})"),
                _ => format!("{name} {text}"),
            };
            (name, text)
        })
    }

    /// More about single problems, as sentences. They follow the list, whose text users match.
    pub fn hints(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|(variable, error)| match error {
            ValueError::NameWithOwner => Some(format!(
                "Set {} to the name of the repository without the owner.",
                variable.name
            )),
            _ => None,
        })
    }

    /// The inputs of the Terraform module that set the variables, without repetition.
    pub fn terraform_inputs(&self) -> Vec<&'static str> {
        let mut inputs = Vec::new();
        for input in self
            .0
            .iter()
            .filter_map(|(variable, _)| variable.terraform_input)
        {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        inputs
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.problems().map(|(_, text)| text).collect();
        f.write_str(&texts.join("; "))
    }
}

/// Reads variables and collects what is wrong with them.
pub(super) struct EnvReader<F> {
    lookup: F,
    problems: Vec<(Variable, ValueError)>,
    conflicts: Vec<(Variable, ValueError)>,
}

/// What a text has to be.
pub(super) type Rule<T> = fn(&str) -> Result<T, ValueError>;

impl<F: Fn(&str) -> Option<String>> EnvReader<F> {
    pub(super) fn new(lookup: F) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// A variable's text without surrounding whitespace. A blank variable counts as unset.
    pub(super) fn raw(&self, variable: Variable) -> Option<String> {
        let text = (self.lookup)(variable.name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Whether a variable has a value.
    pub(super) fn is_set(&self, variable: Variable) -> bool {
        self.raw(variable).is_some()
    }

    /// A variable that must have a value or a default. `None` only after a problem.
    pub(super) fn required<T>(&mut self, variable: Variable, rule: Rule<T>) -> Option<T> {
        let text = self.raw(variable);
        let value = match text.as_deref().or(variable.default) {
            Some(text) => rule(text),
            None => Err(ValueError::Missing),
        };
        self.collect(variable, value)
    }

    /// A variable that may be unset. `None` then, and after a problem.
    pub(super) fn optional<T>(&mut self, variable: Variable, rule: Rule<T>) -> Option<T> {
        let text = self.raw(variable)?;
        self.collect(variable, rule(&text))
    }

    /// Adds a conflict between variables. Conflicts are listed last.
    pub(super) fn conflict_if(&mut self, is_conflict: bool, variable: Variable, error: ValueError) {
        if is_conflict {
            self.conflicts.push((variable, error));
        }
    }

    /// What was made of the values, if there is no problem.
    pub(super) fn finish<T>(mut self, complete: Option<T>) -> Result<T, ConfigError> {
        self.problems.append(&mut self.conflicts);
        match complete {
            Some(complete) if self.problems.is_empty() => Ok(complete),
            _ => Err(ConfigError(self.problems)),
        }
    }

    fn collect<T>(&mut self, variable: Variable, value: Result<T, ValueError>) -> Option<T> {
        value
            .map_err(|error| self.problems.push((variable, error)))
            .ok()
    }
}
