//! Config -> [`AppCredentials`], by one SSM `GetParameters` call. The only file that names the SSM client.
//!
//! In: the three parameter names. Out: the App's client ID, installation ID and private key, each checked. SSM's own
//! error messages are classified here and dropped; no value of a parameter appears in a failure.

use std::{fmt, time::Duration};

use aws_sdk_ssm::{
    Client,
    config::{
        BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig,
        endpoint::{DefaultResolver, Params, ResolveEndpoint},
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::get_parameters::GetParametersError,
    types::{Parameter, ParameterType},
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, orchestrator::HttpResponse};
use futures_util::FutureExt;
use http::Uri;
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    config::{Aws, ParameterName, ParameterNames},
    error::{Failure, Result, SsmFault},
    private_key::PrivateKey,
    rules::positive,
    sdk_http::unsent_client,
};

/// One attempt is an order of magnitude longer than SSM's slow answers, and short enough for three within ten seconds.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// The SDK's default first wait is a second: too long for a caller that waits.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The first attempt and two more.
const ATTEMPTS: u32 = 3;

/// What the App needs to speak to GitHub, read anew at each invocation.
pub struct AppCredentials {
    /// Who the App is.
    pub client_id: ClientId,
    /// Where it is installed.
    pub installation_id: InstallationId,
    /// How it proves that.
    pub private_key: PrivateKey,
}

/// The client ID of a GitHub App, or its numeric App ID: GitHub takes both as `iss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// Blanks round it are a slip of the hand.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// As it goes into the JWT.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// GitHub's number for one installation of an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InstallationId(pub u64);

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SSM client. Everything it needs is decided at start-up, so that an invocation resolves nothing.
pub fn ssm_client(aws: &Aws, http: SharedHttpClient) -> Client {
    let mut config = aws_sdk_ssm::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(aws.region.clone()))
        .credentials_provider(aws.credentials.clone())
        .identity_cache(IdentityCache::no_cache()) // they are at hand
        .use_fips(aws.use_fips)
        .use_dual_stack(aws.use_dual_stack)
        .http_client(http)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_WAIT),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_LIMIT)
                .build(),
        )
        // Answers are small, and the deadline of the invocation bounds them.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(aws.endpoint.as_ref().map(ToString::to_string));
    Client::from_conf(config.build())
}

/// Where SSM is, by the SDK's own rules for region, FIPS and dual-stack.
pub fn ssm_endpoint(aws: &Aws) -> Uri {
    let resolve = || {
        let params = Params::builder()
            .region(&aws.region)
            .use_fips(aws.use_fips)
            .use_dual_stack(aws.use_dual_stack)
            .build()
            .ok()?;
        let endpoint = DefaultResolver::new()
            .resolve_endpoint(&params)
            .now_or_never()?
            .ok()?;
        endpoint.url().parse().ok()
    };
    aws.endpoint.clone().or_else(resolve).unwrap_or_default()
}

/// Goes through a whole call without sending it, so that the first invocation finds nothing left to be set up: the SDK
/// makes much of what it needs when it is first used, and its code is not in memory before.
pub async fn rehearse(aws: &Aws, names: &ParameterNames) {
    const ANSWER: &[u8] =
        br#"{"Parameters":[{"Name":"/","Type":"SecureString","Value":"-","Version":1}]}"#;
    drop(load(&ssm_client(aws, unsent_client(ANSWER)), names).await);
}

/// Reads the three parameters with one call.
pub async fn load(ssm: &Client, names: &ParameterNames) -> Result<AppCredentials> {
    let answer = ssm
        .get_parameters()
        .names(names.client_id.as_str())
        .names(names.installation_id.as_str())
        .names(names.private_key.as_str())
        .with_decryption(true)
        .send()
        .await
        .map_err(|error| Failure::ParametersUnreadable(classify(&error)))?;
    // SSM names each parameter in one of two lists; an answer without either is not SSM's.
    if answer.parameters.is_none() && answer.invalid_parameters.is_none() {
        return Err(Failure::ParametersUnreadable(SsmFault::Unavailable));
    }
    credentials(names, answer.parameters.unwrap_or_default())
}

/// Matches parameters by name, whatever their order, and checks each.
fn credentials(names: &ParameterNames, mut found: Vec<Parameter>) -> Result<AppCredentials> {
    let mut take = |name: &ParameterName| {
        let position = found
            .iter()
            .position(|parameter| parameter.name() == Some(name.as_str()))?;
        Some(found.swap_remove(position))
    };
    let client_id = take(&names.client_id).ok_or(&names.client_id);
    let installation_id = take(&names.installation_id).ok_or(&names.installation_id);
    let private_key = take(&names.private_key).ok_or(&names.private_key);
    let (client_id, installation_id, private_key) = match (client_id, installation_id, private_key)
    {
        (Ok(client_id), Ok(installation_id), Ok(private_key)) => {
            (client_id, installation_id, private_key)
        }
        (client_id, installation_id, private_key) => {
            let missing = [client_id.err(), installation_id.err(), private_key.err()];
            return Err(Failure::ParametersMissing(
                missing.into_iter().flatten().cloned().collect(),
            ));
        }
    };

    let client_id = value(client_id, &names.client_id)?;
    let installation_id = value(installation_id, &names.installation_id)?;
    let encrypted = private_key.r#type == Some(ParameterType::SecureString);
    let private_key = SecretString::from(value(private_key, &names.private_key)?);
    if !encrypted {
        return Err(Failure::PrivateKeyNotEncrypted(names.private_key.clone()));
    }
    Ok(AppCredentials {
        client_id: ClientId::new(&client_id),
        installation_id: parse_installation_id(&installation_id)
            .ok_or_else(|| Failure::InstallationIdInvalid(names.installation_id.clone()))?,
        private_key: PrivateKey::parse(&private_key)
            .map_err(|defect| Failure::PrivateKeyDefective(names.private_key.clone(), defect))?,
    })
}

fn value(parameter: Parameter, name: &ParameterName) -> Result<String> {
    let value = parameter.value.unwrap_or_default();
    if value.trim().is_empty() {
        Err(Failure::ParameterEmpty(name.clone()))
    } else {
        Ok(value)
    }
}

fn parse_installation_id(text: &str) -> Option<InstallationId> {
    positive(text.trim()).map(InstallationId)
}

/// The codes are SSM's, from "GetParameters" and "Common Errors" in its API reference; the SDK models only two of them.
fn classify(error: &SdkError<GetParametersError, HttpResponse>) -> SsmFault {
    let SdkError::ServiceError(refused) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => SsmFault::Refused,
            // Without a body that the SDK can read, only the status is left.
            SdkError::ResponseError(answer) if answer.raw().status().as_u16() == 429 => {
                SsmFault::Throttled
            }
            SdkError::ResponseError(answer)
                if (300..500).contains(&answer.raw().status().as_u16()) =>
            {
                SsmFault::Refused
            }
            SdkError::ResponseError(_) => SsmFault::Unavailable,
            _ => SsmFault::Unreachable,
        };
    };
    match refused.err().code().unwrap_or_default() {
        "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => SsmFault::Throttled,
        "InvalidKeyId" => SsmFault::KmsDenied,
        // One code for both; only the message tells which of the two services denied. It is matched, never repeated.
        "AccessDeniedException" if mentions_kms(refused.err().message()) => SsmFault::KmsDenied,
        "AccessDeniedException" => SsmFault::AccessDenied,
        code if code.starts_with("KMS") => SsmFault::KmsDenied,
        _ if refused.raw().status().as_u16() == 429 => SsmFault::Throttled,
        _ if refused.raw().status().as_u16() >= 500 => SsmFault::Unavailable,
        _ => SsmFault::Refused,
    }
}

/// A parameter or a role may have KMS in its name; the action and the word "ciphertext" are KMS's own.
fn mentions_kms(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.contains("kms:Decrypt") || message.contains("ciphertext"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_the_region_and_the_standard_settings() {
        let endpoint = |region: &str, use_fips, use_dual_stack, endpoint: Option<&'static str>| {
            let aws = Aws {
                region: region.to_owned(),
                endpoint: endpoint.map(Uri::from_static),
                use_fips,
                use_dual_stack,
                credentials: aws_sdk_ssm::config::Credentials::new("a", "b", None, None, "test"),
            };
            ssm_endpoint(&aws).to_string()
        };
        for (region, fips, dual_stack, expected) in [
            (
                "eu-west-1",
                false,
                false,
                "https://ssm.eu-west-1.amazonaws.com/",
            ),
            (
                "us-east-1",
                true,
                false,
                "https://ssm-fips.us-east-1.amazonaws.com/",
            ),
            ("eu-west-1", false, true, "https://ssm.eu-west-1.api.aws/"),
            (
                "us-east-1",
                true,
                true,
                "https://ssm-fips.us-east-1.api.aws/",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://ssm.cn-north-1.amazonaws.com.cn/",
            ),
        ] {
            assert_eq!(endpoint(region, fips, dual_stack, None), expected);
        }
        let vpc = "https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com";
        assert_eq!(
            endpoint("eu-west-1", false, false, Some(vpc)),
            format!("{vpc}/")
        );
    }

    #[test]
    fn an_installation_id_is_digits_with_blanks_round_it_at_most() {
        assert_eq!(
            parse_installation_id(" 12345678\n"),
            Some(InstallationId(12_345_678))
        );
        for text in [
            "",
            "0",
            "+1",
            "-1",
            "1.0",
            "0x1",
            "1 2",
            "18446744073709551616",
            "Iv23li",
        ] {
            assert_eq!(parse_installation_id(text), None, "{text}");
        }
    }
}
