//! `key fingerprint`: what the App's settings page shows for a key.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{print, read};
use crate::{
    arguments::KeyFingerprint,
    aws::{self, operator::CallError, session::Session},
    error::Error,
    key::{self, AppKey},
    settings::Settings,
};

pub(super) fn run(settings: &Settings, arguments: &KeyFingerprint) -> Result<(), Error> {
    let fingerprint = if let Some(id) = &arguments.key_id {
        let body: Result<Value, Error> = aws::block_on(async {
            let session = Session::open(settings).await?;
            Ok(session.kms("GetPublicKey", &json!({ "KeyId": id })).await?)
        })?;
        let public = body?["PublicKey"]
            .as_str()
            .and_then(key::fingerprint_of_base64);
        public.ok_or_else(|| CallError::Malformed {
            action: "kms:GetPublicKey".to_owned(),
        })?
    } else if let Some(name) = &arguments.ssm {
        let body: Result<Value, Error> = aws::block_on(async {
            let session = Session::open(settings).await?;
            Ok(session
                .ssm(
                    "GetParameter",
                    &json!({ "Name": name, "WithDecryption": true }),
                )
                .await?)
        })?;
        let body = body?;
        let pem = body["Parameter"]["Value"].as_str().unwrap_or_default();
        AppKey::parse(&SecretString::from(pem))?.fingerprint()
    } else {
        AppKey::parse(&read(arguments.file.as_deref())?)?.fingerprint()
    };
    print(&if settings.json {
        format!("{}\n", json!({ "fingerprint": fingerprint }))
    } else {
        format!("{fingerprint}\n")
    })
}
