//! The App's credentials, as the function's configuration says where they are.

use broker::{
    app::{
        ClientId, InstallationId,
        credentials::{KeySetting, Setting},
        private_key::PrivateKey,
    },
    aws::ssm::ParameterName,
    config::Config,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Signer;
use crate::{
    aws::session::Session,
    check::{not_checked, report::Finding},
};

/// What the function authenticates with.
pub(super) struct Credentials {
    pub(super) client_id: ClientId,
    pub(super) installation_id: InstallationId,
    pub(super) signer: Signer,
}

/// The client ID alone.
pub(super) async fn client_id(session: &Session, config: &Config) -> Result<ClientId, Finding> {
    let name = match &config.app.client_id {
        Setting::Value(id) => return Ok(id.clone()),
        Setting::Parameter(name) => name.as_str(),
    };
    let read = session
        .ssm(
            "GetParameter",
            &json!({ "Name": name, "WithDecryption": true }),
        )
        .await;
    let body = read.map_err(|error| not_checked("app.key", &error))?;
    let id = body["Parameter"]["Value"]
        .as_str()
        .and_then(ClientId::parse);
    id.ok_or_else(|| {
        Finding::fail(
            "app.key",
            format!("{name} does not contain a client ID"),
            "Correct the parameter first",
        )
    })
}

/// All credentials.
pub(super) async fn read(session: &Session, config: &Config) -> Result<Credentials, Finding> {
    let names: Vec<&str> = config
        .app
        .parameters()
        .into_iter()
        .map(ParameterName::as_str)
        .collect();
    let body = if names.is_empty() {
        Value::Null
    } else {
        let read = session
            .ssm(
                "GetParameters",
                &json!({ "Names": names, "WithDecryption": true }),
            )
            .await;
        read.map_err(|error| not_checked("app.key", &error))?
    };
    let value = |name: &ParameterName| {
        let bare = name.as_str().split(':').next().unwrap_or_default();
        let parameters = body["Parameters"].as_array();
        let found = parameters
            .into_iter()
            .flatten()
            .find(|parameter| parameter["Name"] == bare);
        found
            .and_then(|parameter| parameter["Value"].as_str())
            .map(str::to_owned)
    };
    let missing = |name: &ParameterName| {
        Finding::skip(
            "app.key",
            format!("{} is missing or malformed", name.as_str()),
            "Correct the parameter first",
        )
    };
    let client_id = match &config.app.client_id {
        Setting::Value(id) => id.clone(),
        Setting::Parameter(name) => value(name)
            .and_then(|text| ClientId::parse(&text))
            .ok_or_else(|| missing(name))?,
    };
    let installation_id = match &config.app.installation_id {
        Setting::Value(id) => *id,
        Setting::Parameter(name) => value(name)
            .and_then(|text| InstallationId::parse(&text))
            .ok_or_else(|| missing(name))?,
    };
    let signer = match &config.app.key {
        KeySetting::Kms(id, endpoint) => Signer::Kms {
            session: Box::new(session.in_region(&endpoint.region)),
            id: id.as_str().to_owned(),
        },
        KeySetting::Parameter(name) => {
            let pem = value(name).ok_or_else(|| missing(name))?;
            let key = PrivateKey::parse(&SecretString::from(pem)).map_err(|error| {
                Finding::fail(
                    "app.key",
                    format!("{} does not contain the App's key: {error}", name.as_str()),
                    "Store the PEM file that GitHub created, unchanged",
                )
            })?;
            Signer::PrivateKey(key)
        }
    };
    Ok(Credentials {
        client_id,
        installation_id,
        signer,
    })
}
