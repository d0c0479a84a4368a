//! The variables of the function's environment by name, and how they are read: all of them, with every fault noted.
//!
//! In: a lookup function, so that a test needs no real environment. Out: values that passed their rule
//! ([`crate::rules`] has them), or one error that lists every fault in the order of [`VARIABLES`]. It never
//! repeats a value: what a deployer pasted into the wrong variable may be a secret.

use std::fmt;

/// A variable of ours.
pub struct Variable {
    /// The name in the function's environment.
    pub name: &'static str,
    /// The value that stands for an unset or blank variable.
    pub default: Option<&'static str>,
}

const fn variable(name: &'static str, default: Option<&'static str>) -> Variable {
    Variable { name, default }
}

pub(crate) const REGION: Variable = variable("AWS_REGION", None);
pub(crate) const OWNER: Variable = variable("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", None);
pub(crate) const NAME: Variable = variable("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", None);
pub(crate) const CLIENT_ID_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM",
    Some("/github-token-broker/app/client-id"),
);
pub(crate) const INSTALLATION_ID_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM",
    Some("/github-token-broker/app/installation-id"),
);
pub(crate) const PRIVATE_KEY_PARAM: Variable = variable(
    "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
    Some("/github-token-broker/app/private-key-pem"),
);
pub(crate) const PERMISSIONS: Variable = variable(
    "GITHUB_TOKEN_BROKER_PERMISSIONS",
    Some(r#"{"contents":"read"}"#),
);
pub(crate) const API_BASE: Variable = variable(
    "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
    Some("https://api.github.com"),
);
pub(crate) const LOG_LEVEL: Variable = variable("GITHUB_TOKEN_BROKER_LOG_LEVEL", Some("info"));
pub(crate) const REPOSITORY_ID: Variable = variable("GITHUB_TOKEN_BROKER_REPOSITORY_ID", None);
pub(crate) const METRICS_NAMESPACE: Variable =
    variable("GITHUB_TOKEN_BROKER_METRICS_NAMESPACE", None);

/// Every variable of ours, in the order in which faults are reported. Tests hold the docs and Terraform to this list.
pub const VARIABLES: [Variable; 11] = [
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
];

/// What is wrong with a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Missing,
    UnsupportedCharacters,
    NotAParameterPath,
    NotAJsonObject,
    NoPermission,
    EmptyPermission,
    UrlNotAbsolute,
    UrlNotHttps,
    UrlWithExtras,
    NotALevel,
    NotANumber,
    NotABoolean,
    NotAnEndpoint,
    NotAProxy,
    NotANamespace,
    NotCertificates,
    NotWithAnEndpoint,
    NotDistinct,
}

impl Fault {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 18] = [
        Self::Missing,
        Self::UnsupportedCharacters,
        Self::NotAParameterPath,
        Self::NotAJsonObject,
        Self::NoPermission,
        Self::EmptyPermission,
        Self::UrlNotAbsolute,
        Self::UrlNotHttps,
        Self::UrlWithExtras,
        Self::NotALevel,
        Self::NotANumber,
        Self::NotABoolean,
        Self::NotAnEndpoint,
        Self::NotAProxy,
        Self::NotANamespace,
        Self::NotCertificates,
        Self::NotWithAnEndpoint,
        Self::NotDistinct,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Missing => "is required",
            Self::UnsupportedCharacters => "contains unsupported characters",
            Self::NotAParameterPath => "must be an absolute literal SSM parameter path",
            Self::NotAJsonObject => "must be a JSON object of string-to-string entries",
            Self::NoPermission => "must request at least one permission",
            Self::EmptyPermission => "entries must have non-empty keys and values",
            Self::UrlNotAbsolute => "GitHub API base URL must be absolute",
            Self::UrlNotHttps => "GitHub API base URL must use https unless the host is loopback",
            Self::UrlWithExtras => "GitHub API base URL must have no user info, query or fragment",
            Self::NotALevel => "must be debug, info, warn or error",
            Self::NotANumber => "must be the repository's numeric ID at GitHub",
            Self::NotABoolean => "must be true or false",
            Self::NotAnEndpoint => "must be an absolute http or https URL",
            Self::NotAProxy => "must be the http:// URL of a proxy",
            Self::NotANamespace => {
                "must be a CloudWatch namespace: 1 to 255 of A-Z a-z 0-9 . - _ / # : and neither AWS/ nor : at the start"
            }
            Self::NotCertificates => "must name a readable file of PEM certificates",
            Self::NotWithAnEndpoint => {
                "must not be true where AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_SSM is set"
            }
            Self::NotDistinct => "must name a parameter of its own",
        }
    }

    /// Whether the text names the thing in words. Users match these texts, so the variable stands behind them.
    const fn names_its_subject(self) -> bool {
        matches!(
            self,
            Self::UrlNotAbsolute | Self::UrlNotHttps | Self::UrlWithExtras
        )
    }
}

/// Everything that is wrong with the environment, each fault with the variable it is about.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigurationError(Vec<(&'static str, Fault)>);

#[cfg(test)]
impl ConfigurationError {
    pub(crate) fn of(variable: &'static str, fault: Fault) -> Self {
        Self(vec![(variable, fault)])
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.0.iter().map(|(variable, fault)| {
            if fault.names_its_subject() {
                format!("{} ({variable})", fault.text())
            } else {
                format!("{variable} {}", fault.text())
            }
        });
        f.write_str(&faults.collect::<Vec<_>>().join("; "))
    }
}

/// Reads variables and remembers what is wrong with them.
pub(crate) struct Reader<F> {
    lookup: F,
    faults: Vec<(&'static str, Fault)>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(crate) fn new(lookup: F) -> Self {
        Self {
            lookup,
            faults: Vec::new(),
        }
    }

    /// A variable's text without surrounding blanks; blank counts as unset.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = (self.lookup)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A variable that has to have a value, its own or its default. `None` only after a fault.
    pub(crate) fn value<T>(&mut self, variable: &Variable, rule: Rule<T>) -> Option<T> {
        let text = self.text(variable.name);
        let outcome = match text.as_deref().or(variable.default) {
            Some(text) => rule(text),
            None => Err(Fault::Missing),
        };
        self.note(variable.name, outcome)
    }

    /// A variable that may be unset. `None` then, and after a fault.
    pub(crate) fn optional<T>(&mut self, name: &'static str, rule: Rule<T>) -> Option<T> {
        let text = self.text(name)?;
        self.note(name, rule(&text))
    }

    /// Notes a fault that a variable has only beside others.
    pub(crate) fn refuse_if(&mut self, at_fault: bool, variable: &'static str, fault: Fault) {
        if at_fault {
            self.faults.push((variable, fault));
        }
    }

    /// What was made of the values, if nothing was wrong with any.
    pub(crate) fn finish<T>(self, complete: Option<T>) -> Result<T, ConfigurationError> {
        match complete {
            Some(complete) if self.faults.is_empty() => Ok(complete),
            _ => Err(ConfigurationError(self.faults)),
        }
    }

    fn note<T>(&mut self, name: &'static str, outcome: Result<T, Fault>) -> Option<T> {
        outcome
            .map_err(|fault| self.faults.push((name, fault)))
            .ok()
    }
}

/// What a text has to be.
pub(crate) type Rule<T> = fn(&str) -> Result<T, Fault>;
