//! The function's environment becomes a [`Config`].
//!
//! Input: a lookup function. Output: values that every later step can trust, or every problem at once.

pub mod env;
pub mod parse;

use std::sync::Arc;

use aws_credential_types::Credentials;
use http::Uri;
use secrecy::SecretString;
use tracing::Level;

use self::env::{
    ACCESS_KEY, API_BASE, CLIENT_ID, CLIENT_ID_PARAM, CONTAINER_CREDENTIALS, CONTAINER_TOKEN,
    CONTAINER_TOKEN_FILE, ConfigError, ENDPOINT, ENDPOINT_KMS, ENDPOINT_SSM, EnvReader,
    HTTPS_PROXY, HTTPS_PROXY_LOWER, INITIALIZATION_TYPE, INSTALLATION_ID, INSTALLATION_ID_PARAM,
    KMS_KEY_ID, LAMBDA_LOG_LEVEL, LOG_LEVEL, MAX_CONCURRENCY, METRICS_NAMESPACE, NAME, NO_PROXY,
    NO_PROXY_LOWER, OWNER, PERMISSIONS, PRIVATE_KEY_PARAM, REGION, REPOSITORY_ID, Rule, SECRET_KEY,
    SESSION_TOKEN, SSL_CERT_FILE, USE_DUAL_STACK, USE_FIPS, ValueError, Variable,
};
use crate::{
    app::credentials::{AppSettings, KeySetting, Setting},
    aws::{
        credentials::{ContainerEndpoint, CredentialSource, EndpointToken},
        endpoint::{Endpoint, Service, regional_url},
        ssm::ParameterName,
    },
    http::NetworkSettings,
    scope::{Repository, TokenScope},
};

/// What the deployer decided.
pub struct Config {
    /// What tokens are for.
    pub scope: TokenScope,
    /// Where the GitHub App's credentials are.
    pub app: AppSettings,
    /// The root of GitHub's REST API, without a slash at its end.
    pub api_base: Uri,
    /// SSM.
    pub ssm: Endpoint,
    /// The credentials of the function's role.
    pub aws_credentials: Arc<CredentialSource>,
    /// How to reach hosts.
    pub network: NetworkSettings,
    /// The CloudWatch namespace of the metrics. `None` means that no metrics are written.
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads and checks the whole environment. `lookup` returns a variable's value. Unset and blank are the same.
    ///
    /// # Errors
    /// Every problem, in the order of [`env::VARIABLES`], then the standard variables, then conflicts between variables.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = EnvReader::new(lookup);
        let region = env.required(REGION, parse::region);
        let owner = env.required(OWNER, parse::repository_owner);
        let name = env.required(NAME, parse::repository_name);
        let client_id_param = env.parameter(CLIENT_ID_PARAM, CLIENT_ID);
        let installation_id_param = env.parameter(INSTALLATION_ID_PARAM, INSTALLATION_ID);
        let private_key_param = env.parameter(PRIVATE_KEY_PARAM, KMS_KEY_ID);
        let permissions = env.required(PERMISSIONS, parse::permissions);
        let api_base = env.required(API_BASE, parse::api_base);
        // It is only checked here: `log_level` has already applied it.
        let _ = env.required(LOG_LEVEL, parse::log_level);
        let repository_id = env.optional(REPOSITORY_ID, parse::repository_id);
        let metrics_namespace = env.optional(METRICS_NAMESPACE, parse::namespace);
        let client_id = env.optional(CLIENT_ID, parse::client_id);
        let installation_id = env.optional(INSTALLATION_ID, parse::installation_id);
        let kms_key = env.optional(KMS_KEY_ID, parse::kms_key);
        let endpoints = Endpoints::read(&mut env);
        let aws_credentials = aws_credentials(&mut env);
        let network = network(&mut env);
        env.reject_shared_parameters([
            (CLIENT_ID_PARAM, &client_id_param),
            (INSTALLATION_ID_PARAM, &installation_id_param),
            (PRIVATE_KEY_PARAM, &private_key_param),
        ]);

        let complete = || {
            let region = region?;
            let key = match kms_key {
                Some(id) => {
                    let kms = endpoints.of(Service::Kms, id.region().unwrap_or(&region))?;
                    KeySetting::Kms(id, kms)
                }
                None => KeySetting::Parameter(private_key_param?),
            };
            Some(Self {
                scope: TokenScope {
                    repository: Repository::parse(&owner?, &name?)?,
                    repository_id,
                    permissions: permissions?,
                },
                app: AppSettings {
                    client_id: setting(client_id, client_id_param)?,
                    installation_id: setting(installation_id, installation_id_param)?,
                    key,
                },
                api_base: api_base?,
                ssm: endpoints.of(Service::Ssm, &region)?,
                aws_credentials: Arc::new(aws_credentials?),
                network,
                metrics_namespace,
            })
        };
        let complete = complete();
        env.finish(complete)
    }

    /// The AWS endpoints that are called without TLS over a network. That is fit for an emulator only.
    pub fn unencrypted_endpoints(&self) -> Vec<Service> {
        let kms = match &self.app.key {
            KeySetting::Kms(_, kms) => Some(kms),
            KeySetting::Parameter(_) => None,
        };
        let ssm = (!self.app.parameters().is_empty()).then_some(&self.ssm);
        let is_unencrypted = |endpoint: &&Endpoint| {
            endpoint.url.scheme_str() == Some("http") && !parse::is_loopback(&endpoint.url)
        };
        let endpoints = ssm.into_iter().chain(kms).filter(is_unencrypted);
        endpoints.map(|endpoint| endpoint.service).collect()
    }
}

fn setting<T>(value: Option<T>, parameter: Option<ParameterName>) -> Option<Setting<T>> {
    value
        .map(Setting::Value)
        .or_else(|| parameter.map(Setting::Parameter))
}

impl<F: Fn(&str) -> Option<String>> EnvReader<F> {
    /// The name of a parameter, unless `value` is set, which replaces it.
    fn parameter(&mut self, parameter: Variable, value: Variable) -> Option<ParameterName> {
        let both = self.is_set(parameter) && self.is_set(value);
        self.conflict_if(both, value, ValueError::Excludes(parameter.name));
        if self.is_set(value) {
            self.optional(parameter, parse::parameter_name)
        } else {
            self.required(parameter, parse::parameter_name)
        }
    }

    fn reject_shared_parameters(&mut self, parameters: [(Variable, &Option<ParameterName>); 3]) {
        for (index, (variable, name)) in parameters.iter().enumerate() {
            let is_shared =
                name.is_some() && parameters[..index].iter().any(|(_, other)| other == name);
            self.conflict_if(is_shared, *variable, ValueError::NotDistinct);
        }
    }

    /// The upper-case variable, or else the lower-case one.
    fn either<T>(&mut self, upper: Variable, lower: Variable, rule: Rule<T>) -> Option<T> {
        if self.is_set(upper) {
            self.optional(upper, rule)
        } else {
            self.optional(lower, rule)
        }
    }
}

/// The variables that decide where AWS services are.
struct Endpoints {
    ssm: Option<Uri>,
    kms: Option<Uri>,
    use_fips: bool,
    use_dual_stack: bool,
}

impl Endpoints {
    fn read<F: Fn(&str) -> Option<String>>(env: &mut EnvReader<F>) -> Self {
        let ssm = env.optional(ENDPOINT_SSM, parse::endpoint);
        let kms = env.optional(ENDPOINT_KMS, parse::endpoint);
        let any = env.optional(ENDPOINT, parse::endpoint);
        let use_fips = env.optional(USE_FIPS, parse::boolean) == Some(true);
        let use_dual_stack = env.optional(USE_DUAL_STACK, parse::boolean) == Some(true);
        let is_set = [ENDPOINT, ENDPOINT_SSM, ENDPOINT_KMS]
            .into_iter()
            .any(|variable| env.is_set(variable));
        // The AWS SDKs use an endpoint as it is, so the function would not call a FIPS or dual-stack endpoint.
        let conflict = ValueError::NotWithAnEndpoint;
        env.conflict_if(use_fips && is_set, USE_FIPS, conflict);
        env.conflict_if(use_dual_stack && is_set, USE_DUAL_STACK, conflict);
        Self {
            ssm: ssm.or_else(|| any.clone()),
            kms: kms.or(any),
            use_fips,
            use_dual_stack,
        }
    }

    fn of(&self, service: Service, region: &str) -> Option<Endpoint> {
        let explicit = match service {
            Service::Ssm => self.ssm.clone(),
            Service::Kms => self.kms.clone(),
        };
        let regional = || regional_url(service, region, self.use_fips, self.use_dual_stack);
        Some(Endpoint {
            service,
            region: region.to_owned(),
            url: explicit.or_else(regional)?,
        })
    }
}

fn aws_credentials<F: Fn(&str) -> Option<String>>(
    env: &mut EnvReader<F>,
) -> Option<CredentialSource> {
    let has_static = env.is_set(ACCESS_KEY) || env.is_set(SECRET_KEY);
    if !has_static && env.is_set(CONTAINER_CREDENTIALS) {
        let url = env.optional(CONTAINER_CREDENTIALS, parse::container_credentials);
        let token = env.optional(CONTAINER_TOKEN, parse::non_blank);
        let file = env.optional(CONTAINER_TOKEN_FILE, parse::non_blank);
        let token = file
            .map(|file| EndpointToken::File(file.into()))
            .or_else(|| Some(EndpointToken::Value(SecretString::from(token?))));
        return Some(CredentialSource::Container(ContainerEndpoint::new(
            &url?, token,
        )));
    }
    let access_key = env.required(ACCESS_KEY, parse::credential);
    let secret_key = env.required(SECRET_KEY, parse::non_blank);
    let session_token = env.optional(SESSION_TOKEN, parse::credential);
    Some(CredentialSource::Fixed(Credentials::new(
        access_key?,
        secret_key?,
        session_token,
        None,
        "the function's environment",
    )))
}

fn network<F: Fn(&str) -> Option<String>>(env: &mut EnvReader<F>) -> NetworkSettings {
    NetworkSettings {
        https_proxy: env.either(HTTPS_PROXY, HTTPS_PROXY_LOWER, parse::proxy),
        no_proxy: env.either(NO_PROXY, NO_PROXY_LOWER, parse::non_blank),
        roots: env.optional(SSL_CERT_FILE, parse::certificates),
    }
}

/// Whether Lambda starts the process for an invocation that is waiting. Otherwise (provisioned concurrency) it freezes the
/// process after init.
pub fn is_on_demand_start(lookup: impl Fn(&str) -> Option<String>) -> bool {
    let kind = EnvReader::new(lookup).raw(INITIALIZATION_TYPE);
    kind.is_some_and(|kind| kind == "on-demand")
}

/// How many invocations Lambda may send at once: more than one only on Lambda Managed Instances.
pub fn max_concurrency(lookup: impl Fn(&str) -> Option<String>) -> usize {
    let text = EnvReader::new(lookup).raw(MAX_CONCURRENCY);
    text.and_then(|text| parse::concurrency(&text).ok())
        .unwrap_or(1)
}

/// The lowest level of log lines that are written: ours, or else Lambda's `AWS_LAMBDA_LOG_LEVEL`, or else `info`. It is
/// separate from [`Config`], so that it also applies to the line about an invalid configuration.
pub fn log_level(lookup: impl Fn(&str) -> Option<String>) -> Level {
    let env = EnvReader::new(lookup);
    let ours = env
        .raw(LOG_LEVEL)
        .and_then(|text| parse::log_level(&text).ok());
    let lambda = || parse::lambda_log_level(&env.raw(LAMBDA_LOG_LEVEL)?).ok();
    ours.or_else(lambda).unwrap_or(Level::INFO)
}

/// The level to stamp on metric lines: the lowest one that Lambda's log filter accepts. Lambda treats a line without a
/// level as `INFO` ([Log-level
/// filtering](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html)).
pub fn lambda_log_level(lookup: impl Fn(&str) -> Option<String>) -> String {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let level = EnvReader::new(lookup).raw(LAMBDA_LOG_LEVEL);
    level
        .map(|level| level.to_ascii_uppercase())
        .filter(|level| LEVELS.contains(&level.as_str()))
        .unwrap_or_else(|| "INFO".to_owned())
}

#[cfg(test)]
mod tests;
