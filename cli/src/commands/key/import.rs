//! `key import`: a PEM into a KMS key, or into an SSM parameter.

use base64ct::{Base64, Encoding as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{print, print_outcome, read};
use crate::{
    arguments::KeyImport,
    aws::{self, operator::CallError, session::Session},
    error::Error,
    key::{AppKey, KeyError},
    settings::Settings,
};

/// The cost of a new key, which is printed before it is created.
pub(in crate::commands) const COST: &str =
    "Creating a KMS key. It costs about $1 a month until you schedule its deletion.";

pub(super) fn run(settings: &Settings, arguments: &KeyImport) -> Result<(), Error> {
    let pem = read(arguments.file.as_deref())?;
    let key = AppKey::parse(&pem)?;
    if let (Some(name), Some(key_id)) = (&arguments.ssm, &arguments.key_id) {
        return store(settings, name, key_id, arguments.overwrite, &pem, &key);
    }
    key.spec()?;
    if arguments.key_id.is_none() && !settings.json {
        print(&format!("{COST}\n"))?;
    }
    let arn = aws::block_on(async {
        let session = Session::open(settings).await?;
        into_kms(
            &session,
            &key,
            arguments.key_id.as_deref(),
            arguments.alias.as_deref(),
        )
        .await
    })??;
    let fingerprint = key.fingerprint();
    if settings.json {
        return print_outcome(&format!(
            "{}\n",
            json!({ "key_arn": arn, "fingerprint": fingerprint, "alias": arguments.alias })
        ));
    }
    print_outcome(&format!(
        "KMS holds the App's key, and its public key is the PEM's.\n\nkey:         {arn}\nfingerprint: {fingerprint}\n\n\
         Compare the fingerprint with the App's settings page (Private keys). For Terraform:\n\n  \
         signing_key_arns = [\"{arn}\"]\n\nThen delete the PEM file. Nothing can read the key out of KMS.\n"
    ))
}

/// A KMS key that holds the private key: a new one, or the empty one that the user names. Returns its ARN.
pub(super) async fn into_kms(
    session: &Session,
    key: &AppKey,
    key_id: Option<&str>,
    alias: Option<&str>,
) -> Result<String, Error> {
    let spec = key.spec()?;
    let (arn, is_new) = match key_id {
        Some(id) => (empty_key(session, id, spec).await?, false),
        None => (create_key(session, spec).await?, true),
    };
    if let Err(error) = import_into(session, &arn, key).await {
        return Err(clean_up(session, &arn, is_new, error).await);
    }
    if let Some(alias) = alias {
        name_key(session, &arn, alias).await?;
    }
    Ok(arn)
}

/// The key that the user names must be able to take this material.
pub(in crate::commands) async fn empty_key(
    session: &Session,
    id: &str,
    spec: &str,
) -> Result<String, Error> {
    let body = session.kms("DescribeKey", &json!({ "KeyId": id })).await?;
    let metadata = &body["KeyMetadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or("unknown");
    let arn = text("Arn").to_owned();
    let why = if text("Origin") != "EXTERNAL" {
        format!("its origin is {}, not EXTERNAL", text("Origin"))
    } else if text("KeyUsage") != "SIGN_VERIFY" {
        format!("its usage is {}, not SIGN_VERIFY", text("KeyUsage"))
    } else if text("KeySpec") != spec {
        format!(
            "its spec is {}, and the private key needs {spec}",
            text("KeySpec")
        )
    } else if text("KeyState") != "PendingImport" {
        format!("its state is {}, not PendingImport", text("KeyState"))
    } else {
        return Ok(arn);
    };
    Err(KeyError::Unsuitable { arn, why }.into())
}

pub(in crate::commands) async fn create_key(
    session: &Session,
    spec: &str,
) -> Result<String, Error> {
    let request = json!({
        "KeySpec": spec,
        "KeyUsage": "SIGN_VERIFY",
        "Origin": "EXTERNAL",
        "Description": "Private key of a GitHub App, for github-token-broker",
    });
    let body = session.kms("CreateKey", &request).await?;
    let arn = body["KeyMetadata"]["Arn"].as_str().map(str::to_owned);
    Ok(arn.ok_or_else(|| CallError::Malformed {
        action: "kms:CreateKey".to_owned(),
    })?)
}

/// What KMS gives for one import: its wrapping key, and a token that is valid for a day.
pub(in crate::commands) struct ImportParameters {
    wrapping_key: Vec<u8>,
    token: Value,
}

pub(in crate::commands) async fn import_parameters(
    session: &Session,
    arn: &str,
) -> Result<ImportParameters, Error> {
    let request = json!({
        "KeyId": arn,
        "WrappingAlgorithm": "RSA_AES_KEY_WRAP_SHA_256",
        "WrappingKeySpec": "RSA_4096",
    });
    let parameters = session.kms("GetParametersForImport", &request).await?;
    let wrapping_key = parameters["PublicKey"]
        .as_str()
        .and_then(|text| Base64::decode_vec(text).ok());
    let wrapping_key = wrapping_key.ok_or(KeyError::Wrapping)?;
    Ok(ImportParameters {
        wrapping_key,
        token: parameters["ImportToken"].clone(),
    })
}

/// Imports the key, and proves that KMS holds it.
pub(in crate::commands) async fn import_material(
    session: &Session,
    arn: &str,
    parameters: &ImportParameters,
    key: &AppKey,
) -> Result<(), Error> {
    let request = json!({
        "KeyId": arn,
        "ImportToken": parameters.token,
        "EncryptedKeyMaterial": Base64::encode_string(&key.wrap(&parameters.wrapping_key)?),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    });
    session.kms("ImportKeyMaterial", &request).await?;
    let public = session
        .kms("GetPublicKey", &json!({ "KeyId": arn }))
        .await?;
    let public = public["PublicKey"]
        .as_str()
        .and_then(|text| Base64::decode_vec(text).ok());
    if public.as_deref() == Some(key.public.as_slice()) {
        return Ok(());
    }
    Err(KeyError::Different {
        arn: arn.to_owned(),
    }
    .into())
}

async fn import_into(session: &Session, arn: &str, key: &AppKey) -> Result<(), Error> {
    let parameters = import_parameters(session, arn).await?;
    import_material(session, arn, &parameters, key).await
}

/// Creates the alias, or says how to.
async fn name_key(session: &Session, arn: &str, alias: &str) -> Result<(), KeyError> {
    let request = json!({ "AliasName": alias, "TargetKeyId": arn });
    let Err(error) = session.kms("CreateAlias", &request).await else {
        return Ok(());
    };
    let options = format!("--alias-name {alias} --target-key-id {arn}");
    let continuation = if error.code() == Some("AlreadyExistsException") {
        format!("update-alias {options}, which takes the alias from the key that it names now")
    } else {
        format!("create-alias {options}")
    };
    Err(KeyError::NoAlias {
        source: Box::new(error.into()),
        arn: arn.to_owned(),
        continuation,
    })
}

/// Leaves no empty key of ours behind, and says what is left.
async fn clean_up(session: &Session, arn: &str, is_new: bool, error: Error) -> Error {
    KeyError::Unfinished {
        source: Box::new(error),
        left: discard(session, arn, is_new).await,
    }
    .into()
}

/// Schedules the deletion of a new key that is empty. Says what is left.
pub(in crate::commands) async fn discard(session: &Session, arn: &str, is_new: bool) -> String {
    let state = session.kms("DescribeKey", &json!({ "KeyId": arn })).await;
    let state = state
        .ok()
        .and_then(|body| body["KeyMetadata"]["KeyState"].as_str().map(str::to_owned));
    match state.as_deref() {
        Some("Enabled") => format!("The KMS key {arn} is enabled and has the App's private key"),
        Some("PendingImport") if is_new => {
            let request = json!({ "KeyId": arn, "PendingWindowInDays": 7 });
            match session.kms("ScheduleKeyDeletion", &request).await {
                Ok(_) => format!("The new KMS key {arn} is empty. KMS deletes it in 7 days"),
                Err(_) => format!(
                    "The new KMS key {arn} is empty. Continue with --key-id {arn}, or schedule its deletion"
                ),
            }
        }
        _ => format!(
            "The KMS key {arn} exists. Continue with --key-id {arn}, or schedule its deletion"
        ),
    }
}

/// Stores the PEM as it is: the function reads every form.
fn store(
    settings: &Settings,
    name: &str,
    key_id: &str,
    overwrite: bool,
    pem: &SecretString,
    key: &AppKey,
) -> Result<(), Error> {
    let request = json!({
        "Name": name,
        "Type": "SecureString",
        "KeyId": key_id,
        "Value": pem.expose_secret(),
        "Overwrite": overwrite,
    });
    let stored: Result<Value, Error> = aws::block_on(async {
        let session = Session::open(settings).await?;
        Ok(session.ssm("PutParameter", &request).await?)
    })?;
    let version = match stored {
        Ok(body) => body["Version"].clone(),
        Err(Error::Call(error)) if error.code() == Some("ParameterAlreadyExists") => {
            return Err(KeyError::ParameterExists(name.to_owned()).into());
        }
        Err(error) => return Err(error),
    };
    let fingerprint = key.fingerprint();
    if settings.json {
        return print_outcome(&format!(
            "{}\n",
            json!({ "parameter": name, "version": version, "fingerprint": fingerprint })
        ));
    }
    print_outcome(&format!(
        "parameter:   {name} (version {version}, SecureString)\nfingerprint: {fingerprint}\n"
    ))
}
