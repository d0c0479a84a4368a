//! The AWS configuration, by the SDK's standard chain: region, endpoints and credentials.
//!
//! Input: the global options. Output: a [`Session`] that signs. `--profile` takes precedence over keys in the environment;
//! the region in a function's ARN takes precedence over everything.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::http::{HeaderValue, Uri};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider,
    sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use aws_types::service_config::ServiceConfigKey;
use broker::config::parse;

use super::{
    actions,
    endpoint::{self, Service},
    error::{AwsError, chain},
    operator::LONGEST,
};
use crate::{
    http::{CONNECT_TIMEOUT, HttpClient, HttpError, connector, host_and_port, network::Network},
    output::Diagnostics,
    settings::Settings,
};

const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// How the role's sessions are named in CloudTrail.
pub const SESSION_NAME: &str = "github-token-broker";

/// An AWS identity in a region.
#[derive(Clone)]
pub struct Session {
    /// The region.
    pub region: String,
    pub(super) credentials: Credentials,
    pub(super) http: Arc<HttpClient>,
    pub(super) diagnostics: Diagnostics,
    /// How long to wait for the function's response.
    pub(super) timeout: Duration,
    sdk: SdkConfig,
}

impl Session {
    /// Loads the configuration and the credentials.
    ///
    /// # Errors
    /// There is no region, or there are no credentials, or the role cannot be assumed.
    pub async fn open(settings: &Settings) -> Result<Self, AwsError> {
        let region = settings
            .function
            .region
            .clone()
            .or_else(|| settings.region.clone());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(settings.timeout.min(LONGEST))
            .build();
        let network = Arc::new(OnceLock::new());
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(connector::sdk_client(&network))
            .timeout_config(timeouts);
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &region {
            loader = loader.region(Region::new(region.clone()));
        }
        let sdk = loader.load().await;
        // Up to here, the SDK has read files and variables, and perhaps asked the instance metadata service.
        let used = match configured(&sdk, "", "AWS_CA_BUNDLE", "ca_bundle") {
            Some(path) => Network::with_certificates(
                &path,
                "AWS_CA_BUNDLE, `ca_bundle` in the AWS configuration",
            ),
            None => Network::from_environment(),
        };
        let used = used.map_err(HttpError::from)?;
        let network = network.get_or_init(|| used).clone();
        check_endpoints(&sdk)?;
        let region = region
            .or_else(|| sdk.region().map(ToString::to_string))
            .filter(|region| !region.is_empty())
            .ok_or(AwsError::NoRegion)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !region.chars().all(allowed) {
            let region = crate::output::escape(&region).into_owned();
            return Err(AwsError::InvalidRegion { region });
        }
        let credentials = credentials(settings, &sdk).await?;
        Ok(Self {
            region,
            credentials,
            http: Arc::new(HttpClient::with_network(settings.timeout, network)),
            diagnostics: settings.diagnostics,
            timeout: settings.timeout,
            sdk,
        })
    }

    /// The same identity in a different region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let region = region.to_owned();
        Self {
            region,
            ..self.clone()
        }
    }

    /// The ARN of the identity.
    ///
    /// # Errors
    /// STS does not accept the credentials, or there is no response.
    pub async fn caller(&self) -> Result<String, AwsError> {
        let credentials = SharedCredentialsProvider::new(self.credentials.clone());
        let sdk = self
            .sdk
            .to_builder()
            .credentials_provider(credentials)
            .region(Region::new(self.region.clone()))
            .build();
        let identity = aws_sdk_sts::Client::new(&sdk)
            .get_caller_identity()
            .send()
            .await;
        let identity = identity.map_err(|error| {
            match error.as_service_error().and_then(|refused| refused.code()) {
                Some("ExpiredToken") => AwsError::ExpiredCredentials,
                Some(code) => AwsError::InvalidCredentials {
                    code: code.to_owned(),
                },
                None => AwsError::CredentialsFailed {
                    why: chain(&error).last().cloned().unwrap_or_default(),
                },
            }
        })?;
        Ok(identity.arn.unwrap_or_default())
    }

    /// The URL of a service: the configured one, or the one that AWS documents.
    pub fn endpoint(&self, service: Service) -> String {
        explicit_endpoint(&self.sdk, service.sdk_id()).unwrap_or_else(|| {
            let use_fips = self.sdk.use_fips().unwrap_or_default();
            let use_dual_stack = self.sdk.use_dual_stack().unwrap_or_default();
            endpoint::regional(service, &self.region, use_fips, use_dual_stack)
        })
    }

    /// Host and port of a service, for messages.
    pub(super) fn host(&self, service: Service) -> String {
        let url = self.endpoint(service).parse::<Uri>();
        url.map(|url| host_and_port(&url)).unwrap_or_default()
    }
}

/// The configured endpoint of a service.
fn explicit_endpoint(sdk: &SdkConfig, service: &str) -> Option<String> {
    configured(sdk, service, ENDPOINT, "endpoint_url")
        .or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// The function's rule for endpoints. The SDK would ignore a port that is not valid.
fn check_endpoints(sdk: &SdkConfig) -> Result<(), AwsError> {
    for service in ["Lambda", "KMS", "SSM", "IAM", "STS"] {
        let Some(url) = explicit_endpoint(sdk, service) else {
            continue;
        };
        if parse::endpoint(&url).is_err() {
            let variables = [
                format!("{ENDPOINT}_{}", service.to_uppercase()),
                ENDPOINT.to_owned(),
            ];
            let mut variables = variables.into_iter();
            let setting = variables.find(|name| std::env::var(name).is_ok_and(|set| set == url));
            return Err(AwsError::InvalidEndpoint {
                setting: setting
                    .unwrap_or_else(|| "`endpoint_url` in the AWS configuration".to_owned()),
            });
        }
    }
    Ok(())
}

/// A setting: from its variable, or from the profile. For a service, `..._SERVICE` and the profile's `services` come first.
fn configured(
    sdk: &SdkConfig,
    service: &str,
    variable: &'static str,
    in_profile: &'static str,
) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env(variable)
        .profile(in_profile)
        .build()
        .ok()?;
    let value = sdk.service_config()?.load_config(key);
    value.filter(|value| !value.is_empty())
}

async fn credentials(settings: &Settings, sdk: &SdkConfig) -> Result<Credentials, AwsError> {
    let profile = settings.profile.as_deref();
    if let Some(role) = &settings.role_arn
        && let Some(request) = actions::TokenRequest::from_environment()
    {
        settings.diagnostics.detail(format!(
            "assuming {role} with the OIDC token of GitHub Actions"
        ));
        return actions::assume_role(&request, role, sdk, settings.diagnostics).await;
    }
    let base = match profile {
        // The chain would prefer keys in the environment.
        Some(profile) => SharedCredentialsProvider::new(
            ProfileFileCredentialsProvider::builder()
                .profile_name(profile)
                .configure(&provider_config(sdk))
                .build(),
        ),
        None => sdk.credentials_provider().ok_or(AwsError::NoCredentials)?,
    };
    let loaded = base.provide_credentials().await;
    let is_job = settings.role_arn.is_some() && profile.is_none() && actions::is_job();
    let credentials =
        loaded.map_err(|error| match AwsError::from_credentials(&error, profile) {
            AwsError::NoCredentials | AwsError::CredentialsFailed { .. } if is_job => {
                AwsError::NoOidcToken {
                    why:
                        "the job is not allowed to request one, and it has no other AWS credentials"
                            .to_owned(),
                }
            }
            error => error,
        })?;
    // Both become headers. The library that signs panics if one cannot.
    let in_headers = [
        Some(credentials.access_key_id()),
        credentials.session_token(),
    ];
    if in_headers
        .into_iter()
        .flatten()
        .any(|text| HeaderValue::from_str(text).is_err())
    {
        return Err(AwsError::ControlCharacterInCredentials);
    }
    let Some(role) = &settings.role_arn else {
        return Ok(credentials);
    };
    settings.diagnostics.detail(format!("assuming {role}"));
    let sdk = sdk
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let provider = AssumeRoleProvider::builder(role.as_str())
        .session_name(SESSION_NAME)
        .configure(&sdk)
        .build()
        .await;
    let assumed = provider.provide_credentials().await;
    assumed.map_err(|error| role_refused(role, &error))
}

/// What a credentials provider needs of the configuration.
fn provider_config(sdk: &SdkConfig) -> aws_config::provider_config::ProviderConfig {
    let config =
        aws_config::provider_config::ProviderConfig::default().with_region(sdk.region().cloned());
    match sdk.http_client() {
        Some(client) => config.with_http_client(client),
        None => config,
    }
}

fn role_refused(role: &str, error: &CredentialsError) -> AwsError {
    let texts = chain(error);
    let known = [
        "AccessDenied",
        "ExpiredToken",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "RegionDisabledException",
    ];
    let code = known
        .into_iter()
        .find(|code| texts.iter().any(|text| text.contains(code)));
    match code {
        Some("ExpiredToken") => AwsError::ExpiredCredentials,
        Some(code @ ("InvalidClientTokenId" | "SignatureDoesNotMatch")) => {
            AwsError::InvalidCredentials {
                code: code.to_owned(),
            }
        }
        Some(code) => AwsError::RoleRefused {
            role: role.to_owned(),
            code: code.to_owned(),
        },
        None => AwsError::CredentialsFailed {
            why: crate::output::escape(&texts.last().cloned().unwrap_or_default()).into_owned(),
        },
    }
}
