//! The App's credentials: from values of the environment, from one call to SSM, or both.
//!
//! Input: where each credential is. Output: [`AppCredentials`], read again for each invocation.
//! Invariant: the call names exactly the parameters that are needed, and no value of a parameter is in an error.

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

use super::{
    ClientId, InstallationId,
    private_key::{KeyError, PrivateKey},
    signer::{KmsKey, Signer},
};
use crate::{
    aws::{
        AwsError, Exception,
        client::AwsClient,
        endpoint::Endpoint,
        kms::KmsKeyId,
        ssm::{self, Parameter, ParameterName},
    },
    retry::TimeWindow,
    telemetry::record::CallRecord,
};

/// A value, or the parameter that contains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting<T> {
    /// The value itself.
    Value(T),
    /// The name of an SSM parameter.
    Parameter(ParameterName),
}

impl<T> Setting<T> {
    fn parameter(&self) -> Option<&ParameterName> {
        match self {
            Self::Value(_) => None,
            Self::Parameter(name) => Some(name),
        }
    }
}

/// The key that signs for the App.
#[derive(Debug, Clone)]
pub enum KeySetting {
    /// A `SecureString` in SSM.
    Parameter(ParameterName),
    /// A key in KMS, and KMS in the region of that key.
    Kms(KmsKeyId, Endpoint),
}

/// Where the App's credentials are.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// The client ID.
    pub client_id: Setting<ClientId>,
    /// The installation ID.
    pub installation_id: Setting<InstallationId>,
    /// The key.
    pub key: KeySetting,
}

impl AppSettings {
    /// The parameters that each invocation reads.
    pub fn parameters(&self) -> Vec<&ParameterName> {
        let key = match &self.key {
            KeySetting::Parameter(name) => Some(name),
            KeySetting::Kms(..) => None,
        };
        [
            self.client_id.parameter(),
            self.installation_id.parameter(),
            key,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What signs, as the log calls it.
    pub fn signer(&self) -> &'static str {
        match self.key {
            KeySetting::Parameter(_) => "private_key",
            KeySetting::Kms(..) => "kms",
        }
    }
}

/// What the App needs to authenticate to GitHub.
pub struct AppCredentials<'a> {
    /// Who the App is.
    pub client_id: ClientId,
    /// Where it is installed.
    pub installation_id: InstallationId,
    /// What signs for it.
    pub signer: Signer<'a>,
    /// Whole days since the private key's parameter was written.
    pub key_age_days: Option<u64>,
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialsError {
    /// SSM did not return the parameters.
    Ssm(AwsError),
    /// SSM does not know these parameters.
    Missing(Vec<ParameterName>),
    /// SSM returned this parameter without a value.
    Empty(ParameterName),
    /// The private key is stored as a plain `String`.
    NotEncrypted(ParameterName),
    /// The parameter contains something that cannot be a client ID.
    ClientId {
        /// The parameter.
        name: ParameterName,
        /// It may be a private key or a token, stored as plain text.
        may_be_secret: bool,
    },
    /// The parameter is not a positive whole number.
    InstallationId(ParameterName),
    /// The private key cannot sign for a GitHub App.
    Key(ParameterName, KeyError),
}

/// Reads the App's credentials, again for each invocation.
pub struct CredentialLoader {
    client_id: Setting<ClientId>,
    installation_id: Setting<InstallationId>,
    key: Key,
    parameters: Vec<ParameterName>,
    ssm: AwsClient,
}

enum Key {
    Parameter(ParameterName),
    Kms(KmsKey),
}

impl CredentialLoader {
    /// Prepares the clients. Nothing is sent yet. `client` makes the client of an endpoint.
    pub fn new(
        settings: &AppSettings,
        ssm: &Endpoint,
        client: impl Fn(&Endpoint) -> AwsClient,
    ) -> Self {
        Self {
            client_id: settings.client_id.clone(),
            installation_id: settings.installation_id.clone(),
            key: match &settings.key {
                KeySetting::Parameter(name) => Key::Parameter(name.clone()),
                KeySetting::Kms(id, kms) => Key::Kms(KmsKey {
                    client: client(kms),
                    id: id.clone(),
                }),
            },
            parameters: settings.parameters().into_iter().cloned().collect(),
            ssm: client(ssm),
        }
    }

    /// The AWS clients that an invocation uses, in that order, with the names that the log uses.
    pub fn clients(&self) -> Vec<(&'static str, &AwsClient)> {
        let ssm = (!self.parameters.is_empty()).then_some(("ssm", &self.ssm));
        let kms = self.kms().map(|kms| ("kms", kms));
        ssm.into_iter().chain(kms).collect()
    }

    /// SSM.
    pub fn ssm(&self) -> &AwsClient {
        &self.ssm
    }

    /// KMS, if it signs.
    pub fn kms(&self) -> Option<&AwsClient> {
        match &self.key {
            Key::Kms(key) => Some(&key.client),
            Key::Parameter(_) => None,
        }
    }

    /// Reads the credentials with at most one call to SSM. The record has no attempt if none was needed.
    pub async fn load(
        &self,
        window: TimeWindow,
    ) -> (CallRecord, Result<AppCredentials<'_>, CredentialsError>) {
        let (record, found) = if self.parameters.is_empty() {
            (CallRecord::default(), Ok(Vec::new()))
        } else {
            ssm::get_parameters(&self.ssm, &self.parameters, window).await
        };
        let credentials = found
            .map_err(|error| missing_secret(error, &self.parameters))
            .and_then(|found| self.assemble(found, SystemTime::now()));
        (record, credentials)
    }

    /// Matches parameters by name, in whatever order SSM returns them, and checks each.
    fn assemble(
        &self,
        mut found: Vec<Parameter>,
        now: SystemTime,
    ) -> Result<AppCredentials<'_>, CredentialsError> {
        let is_missing =
            |name: &&ParameterName| found.iter().all(|found| found.name != name.as_str());
        let missing: Vec<_> = self.parameters.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            return Err(CredentialsError::Missing(missing));
        }
        let mut take = |name: &ParameterName| {
            let position = found.iter().position(|found| found.name == name.as_str());
            let parameter = position.map(|position| found.swap_remove(position));
            parameter.ok_or_else(|| CredentialsError::Missing(vec![name.clone()]))
        };
        let client_id = match &self.client_id {
            Setting::Value(id) => id.clone(),
            Setting::Parameter(name) => client_id(take(name)?, name)?,
        };
        let installation_id = match &self.installation_id {
            Setting::Value(id) => *id,
            Setting::Parameter(name) => installation_id(take(name)?, name)?,
        };
        let (signer, key_age_days) = match &self.key {
            Key::Kms(key) => (Signer::Kms(key), None),
            Key::Parameter(name) => {
                let parameter = take(name)?;
                let age = parameter.age_in_days(now);
                (Signer::PrivateKey(private_key(parameter, name)?), age)
            }
        };
        Ok(AppCredentials {
            client_id,
            installation_id,
            signer,
            key_age_days,
        })
    }
}

/// If a secret of Secrets Manager does not exist, SSM fails the whole call instead of listing the name as invalid.
fn missing_secret(error: AwsError, names: &[ParameterName]) -> CredentialsError {
    let secrets: Vec<_> = names
        .iter()
        .filter(|name| name.is_secret())
        .cloned()
        .collect();
    match error {
        AwsError::Rejected(Exception::ParameterNotFound) if !secrets.is_empty() => {
            CredentialsError::Missing(secrets)
        }
        error => CredentialsError::Ssm(error),
    }
}

fn client_id(parameter: Parameter, name: &ParameterName) -> Result<ClientId, CredentialsError> {
    let text = value(parameter, name)?;
    let text = text.expose_secret();
    ClientId::parse(text).ok_or_else(|| CredentialsError::ClientId {
        name: name.clone(),
        may_be_secret: ClientId::may_be_secret(text),
    })
}

fn installation_id(
    parameter: Parameter,
    name: &ParameterName,
) -> Result<InstallationId, CredentialsError> {
    let text = value(parameter, name)?;
    InstallationId::parse(text.expose_secret())
        .ok_or_else(|| CredentialsError::InstallationId(name.clone()))
}

fn private_key(parameter: Parameter, name: &ParameterName) -> Result<PrivateKey, CredentialsError> {
    let is_encrypted = parameter.kind == "SecureString";
    let text = value(parameter, name)?;
    if !is_encrypted {
        return Err(CredentialsError::NotEncrypted(name.clone()));
    }
    PrivateKey::parse(&text).map_err(|error| CredentialsError::Key(name.clone(), error))
}

fn value(parameter: Parameter, name: &ParameterName) -> Result<SecretString, CredentialsError> {
    parameter
        .value
        .filter(|value| !value.expose_secret().trim().is_empty())
        .ok_or_else(|| CredentialsError::Empty(name.clone()))
}
