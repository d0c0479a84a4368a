//! Config -> [`AppCredentials`], by one call to SSM.
//!
//! In: the three parameter names. Out: the App's client ID, installation ID and private key, each checked. No value of a
//! parameter appears in a failure.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    app::private_key::PrivateKey,
    aws::ssm::{Parameter, Ssm},
    config::parse::positive,
    config::{ParameterName, ParameterNames},
    failure::{Failure, Result},
};

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

/// Reads the three parameters with one call.
pub async fn load(ssm: &Ssm, names: &ParameterNames, until: Instant) -> Result<AppCredentials> {
    let asked = [&names.client_id, &names.installation_id, &names.private_key];
    let found = ssm
        .parameters(&asked.map(ParameterName::as_str), until)
        .await
        .map_err(Failure::ParametersUnreadable)?;
    credentials(names, found)
}

/// Matches parameters by name, whatever their order, and checks each.
fn credentials(names: &ParameterNames, mut found: Vec<Parameter>) -> Result<AppCredentials> {
    let mut take = |name: &ParameterName| {
        let position = found
            .iter()
            .position(|parameter| parameter.name == name.as_str())?;
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
    let encrypted = private_key.kind == "SecureString";
    let private_key = value(private_key, &names.private_key)?;
    if !encrypted {
        return Err(Failure::PrivateKeyNotEncrypted(names.private_key.clone()));
    }
    Ok(AppCredentials {
        client_id: ClientId::new(client_id.expose_secret()),
        installation_id: parse_installation_id(installation_id.expose_secret())
            .ok_or_else(|| Failure::InstallationIdInvalid(names.installation_id.clone()))?,
        private_key: PrivateKey::parse(&private_key)
            .map_err(|defect| Failure::PrivateKeyDefective(names.private_key.clone(), defect))?,
    })
}

fn value(parameter: Parameter, name: &ParameterName) -> Result<SecretString> {
    parameter
        .value
        .filter(|value| !value.expose_secret().trim().is_empty())
        .ok_or_else(|| Failure::ParameterEmpty(name.clone()))
}

fn parse_installation_id(text: &str) -> Option<InstallationId> {
    positive(text.trim()).map(InstallationId)
}

#[cfg(test)]
mod tests {
    use super::*;

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
