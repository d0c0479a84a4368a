//! KMS as plain data: RSA keys that sign, with imported or generated key material, and their aliases.
//!
//! Input: an operation and its JSON. Output: its JSON, or the error that KMS returns, with ARNs in its message as KMS has
//! them. Key states follow
//! <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>.

mod alias;
pub(crate) mod import;
mod key;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Algorithm, Digest, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use self::alias::{Alias, alias_arn};
use self::import::ImportParameters;
use self::key::{Key, KeyState, Material};
use super::ACCOUNT;
use super::error::{AwsError, required};
use crate::clock::Clock;
use crate::github::private_key::PrivateKey;

/// Each RSA key supports all of these.
const SIGNING_ALGORITHMS: [&str; 6] = [
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];

/// All keys and aliases of the account.
#[derive(Debug, Clone, Default)]
pub struct Kms {
    keys: BTreeMap<String, Key>,
    aliases: Vec<Alias>,
    /// The clock of KMS.
    pub clock: Clock,
}

impl Kms {
    /// Creates a key with imported material: `EXTERNAL` origin, RSA, for signing.
    pub fn put_key(&mut self, region: &str, key_id: &str, material: &PrivateKey) {
        let mut key = Key::new(region, key_id, self.clock.now());
        key.material = Some(Material::Rsa(material.clone()));
        key.spec = format!("RSA_{}", import::bits(material));
        self.keys.insert(key_id.to_owned(), key);
    }

    /// Creates an empty key for imported material.
    pub fn put_empty_key(&mut self, region: &str, key_id: &str) {
        let key = Key::new(region, key_id, self.clock.now());
        self.keys.insert(key_id.to_owned(), key);
    }

    /// Disables a key.
    pub fn disable(&mut self, key_id: &str) {
        self.key_mut(key_id).enabled = false;
    }

    /// Schedules the deletion of a key, in 30 days.
    pub fn schedule_deletion(&mut self, key_id: &str) {
        let date = self.clock.now() + 30 * key::DAY;
        self.key_mut(key_id).deletion_date = Some(date);
    }

    /// Deletes the key material: the key is pending import.
    pub fn delete_material(&mut self, key_id: &str) {
        self.key_mut(key_id).material = None;
    }

    /// Changes what the key can be used for, such as `ENCRYPT_DECRYPT`.
    pub fn set_usage(&mut self, key_id: &str, usage: &str) {
        usage.clone_into(&mut self.key_mut(key_id).usage);
    }

    /// Lets the key material expire, in this number of seconds.
    pub fn expire(&mut self, key_id: &str, seconds: i64) {
        let valid_to = self.clock.now() + seconds;
        self.key_mut(key_id).valid_to = Some(valid_to);
    }

    /// Creates a symmetric key with an alias. `alias/aws/...` is AWS's own key.
    pub fn put_symmetric_key(&mut self, region: &str, key_id: &str, alias: &str) {
        let mut key = Key::new(region, key_id, self.clock.now());
        (key.spec, key.usage) = ("SYMMETRIC_DEFAULT".to_owned(), "ENCRYPT_DECRYPT".to_owned());
        "AWS_KMS".clone_into(&mut key.origin);
        key.material = Some(Material::Symmetric);
        key.is_aws_managed = alias.starts_with("alias/aws/");
        self.keys.insert(key_id.to_owned(), key);
        self.put_alias(region, alias, key_id);
    }

    /// Sets the key policy.
    pub fn set_policy(&mut self, key_id: &str, policy: &Value) {
        self.key_mut(key_id).policy = policy.to_string();
    }

    fn key_mut(&mut self, key_id: &str) -> &mut Key {
        let found = self.keys.get_mut(key_id);
        found.unwrap_or_else(|| panic!("the sandbox has no KMS key {key_id}"))
    }

    /// Performs an operation.
    pub(crate) fn operate(
        &mut self,
        region: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "CreateKey" => self.create_key(region, input),
            "DescribeKey" => {
                let key = self.find(region, required(input, "KeyId")?)?;
                Ok(json!({ "KeyMetadata": key.metadata(self.clock.now()) }))
            }
            "ListKeys" => {
                let keys = self.keys.values().filter(|key| key.region == region);
                let keys = keys.map(|key| json!({ "KeyId": key.id, "KeyArn": key.arn() }));
                Ok(json!({ "Keys": keys.collect::<Vec<_>>(), "Truncated": false }))
            }
            "GetPublicKey" => self.get_public_key(region, input),
            "Sign" => self.sign(region, input),
            "GetParametersForImport" => self.get_parameters_for_import(region, input),
            "ImportKeyMaterial" => self.import_key_material(region, input),
            "DeleteImportedKeyMaterial" => {
                let key = self.find_for_import(region, input)?;
                key.material = None;
                Ok(json!({ "KeyId": key.arn() }))
            }
            "EnableKey" | "DisableKey" => {
                let now = self.clock.now();
                let key = self.find_by_id(region, required(input, "KeyId")?)?;
                key.expect_state(now, &[KeyState::Enabled, KeyState::Disabled])?;
                key.enabled = operation == "EnableKey";
                Ok(Value::Null)
            }
            "ScheduleKeyDeletion" => self.schedule_key_deletion(region, input),
            "CancelKeyDeletion" => {
                let now = self.clock.now();
                let key = self.find_by_id(region, required(input, "KeyId")?)?;
                key.expect_state(now, &[KeyState::PendingDeletion])?;
                (key.deletion_date, key.enabled) = (None, false);
                Ok(json!({ "KeyId": key.arn() }))
            }
            "GetKeyPolicy" => {
                let key = self.find_by_id(region, required(input, "KeyId")?)?;
                Ok(json!({ "Policy": key.policy, "PolicyName": "default" }))
            }
            "PutKeyPolicy" => {
                let policy = required(input, "Policy")?;
                let key = self.find_by_id(region, required(input, "KeyId")?)?;
                if serde_json::from_str::<Value>(policy).is_err() {
                    let message = "Policy is not a valid JSON document";
                    return Err(AwsError::new("MalformedPolicyDocumentException", message));
                }
                policy.clone_into(&mut key.policy);
                Ok(Value::Null)
            }
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => {
                self.change_alias(region, operation, input)
            }
            "ListAliases" => self.list_aliases(region, input),
            other => Err(AwsError::unknown_operation(other)),
        }
    }

    fn create_key(&mut self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let text = |name: &str, default: &str| {
            let value = input[name].as_str().unwrap_or(default);
            value.to_owned()
        };
        let invalid = |message: &str| Err(AwsError::new("ValidationException", message));
        let now = self.clock.now();
        let mut key = Key::new(region, &Uuid::new_v4().to_string(), now);
        key.spec = text(
            "KeySpec",
            &text("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"),
        );
        let is_rsa = ["RSA_2048", "RSA_3072", "RSA_4096"].contains(&key.spec.as_str());
        if !is_rsa && key.spec != "SYMMETRIC_DEFAULT" {
            return invalid("the sandbox has only RSA and symmetric keys");
        }
        if is_rsa && input["KeyUsage"].is_null() {
            return invalid(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
            );
        }
        key.usage = text("KeyUsage", "ENCRYPT_DECRYPT");
        if !is_rsa && key.usage != "ENCRYPT_DECRYPT" {
            return invalid(
                "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
            );
        }
        key.description = text("Description", "");
        key.origin = text("Origin", "AWS_KMS");
        if let Some(policy) = input["Policy"].as_str() {
            policy.clone_into(&mut key.policy);
        }
        key.material = match key.origin.as_str() {
            "EXTERNAL" => None,
            "AWS_KMS" if is_rsa => {
                let bits = key.spec.trim_start_matches("RSA_").parse().unwrap_or(2048);
                Some(Material::Rsa(PrivateKey::fresh(bits)))
            }
            "AWS_KMS" => Some(Material::Symmetric),
            _ => return invalid("the sandbox has only the origins AWS_KMS and EXTERNAL"),
        };
        let metadata = key.metadata(now);
        self.keys.insert(key.id.clone(), key);
        Ok(json!({ "KeyMetadata": metadata }))
    }

    fn get_public_key(&self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let key = self.find(region, required(input, "KeyId")?)?;
        let pair = key.usable_rsa(self.clock.now(), "GetPublicKey")?;
        Ok(json!({
            "KeyId": key.arn(),
            "PublicKey": STANDARD.encode(spki(&pair)),
            "CustomerMasterKeySpec": key.spec,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
            "SigningAlgorithms": SIGNING_ALGORITHMS,
        }))
    }

    fn sign(&self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let invalid = |message: String| AwsError::new("ValidationException", message);
        let key_id = required(input, "KeyId")?;
        let message = STANDARD
            .decode(required(input, "Message")?)
            .map_err(|_| AwsError::new("SerializationException", "Message is not base64"))?;
        let algorithm = required(input, "SigningAlgorithm")?;
        if message.is_empty() || message.len() > 4096 {
            let length = "Member must have length between 1 and 4096";
            return Err(invalid(format!(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: {length}"
            )));
        }
        let key = self.find(region, key_id)?;
        if key.usage != "SIGN_VERIFY" {
            let message = format!(
                "{} key usage is {} which is not valid for Sign.",
                key.arn(),
                key.usage
            );
            return Err(AwsError::new("InvalidKeyUsageException", message));
        }
        let pair = key.usable_rsa(self.clock.now(), "Sign")?;
        let Some((encoding, hash)) = signing_algorithm(algorithm) else {
            return Err(AwsError::new(
                "InvalidKeyUsageException",
                format!(
                    "Algorithm {algorithm} is incompatible with key spec {}.",
                    key.spec
                ),
            ));
        };
        let digest = match input["MessageType"].as_str().unwrap_or("RAW") {
            "RAW" => digest(hash, &message),
            "DIGEST" => Digest::import_less_safe(&message, hash).map_err(|_| {
                invalid(format!(
                    "Digest is invalid length for algorithm {algorithm}."
                ))
            })?,
            _ => return Err(invalid("MessageType must be RAW or DIGEST".to_owned())),
        };
        if input["DryRun"].as_bool().unwrap_or(false) {
            let message = "The request would have succeeded, but the DryRun option is set.";
            return Err(AwsError::new("DryRunOperationException", message));
        }
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign_digest(encoding, &digest, &mut signature)
            .expect("an RSA key can sign a digest");
        Ok(json!({
            "KeyId": key.arn(),
            "Signature": STANDARD.encode(signature),
            "SigningAlgorithm": algorithm,
        }))
    }

    fn get_parameters_for_import(
        &mut self,
        region: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let (algorithm, spec) = (
            required(input, "WrappingAlgorithm")?.to_owned(),
            required(input, "WrappingKeySpec")?.to_owned(),
        );
        let now = self.clock.now();
        let key = self.find_for_import(region, input)?;
        let parameters = ImportParameters::new(&algorithm, &spec, now)?;
        let output = json!({
            "KeyId": key.arn(),
            "ImportToken": STANDARD.encode(&parameters.token),
            "PublicKey": STANDARD.encode(parameters.public_key()),
            "ParametersValidTo": parameters.valid_to,
        });
        key.imports.push(parameters);
        Ok(output)
    }

    fn import_key_material(&mut self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let bytes = |name: &str| {
            let text = required(input, name)?;
            STANDARD.decode(text).map_err(|_| {
                AwsError::new("SerializationException", format!("{name} is not base64"))
            })
        };
        let (token, wrapped) = (bytes("ImportToken")?, bytes("EncryptedKeyMaterial")?);
        let now = self.clock.now();
        let valid_to = import::valid_to(input, now)?;
        let key = self.find_for_import(region, input)?;
        let parameters = key.imports.iter().find(|import| import.token == token);
        let parameters = parameters.ok_or_else(|| {
            let message = "The import token is not valid for this key";
            AwsError::new("InvalidImportTokenException", message)
        })?;
        let material = parameters.unwrap(&wrapped, &key.spec, now)?;
        let incorrect = |message| Err(AwsError::new("IncorrectKeyMaterialException", message));
        match &key.first_import {
            Some(first) if *first != material.public() => {
                return incorrect("The key material is not the one that was imported before");
            }
            _ => key.first_import = Some(material.public()),
        }
        (key.material, key.valid_to) = (Some(Material::Rsa(material)), valid_to);
        Ok(json!({ "KeyId": key.arn() }))
    }

    fn schedule_key_deletion(&mut self, region: &str, input: &Value) -> Result<Value, AwsError> {
        let days = input["PendingWindowInDays"].as_i64().unwrap_or(30);
        if !(7..=30).contains(&days) {
            let message = "PendingWindowInDays must be between 7 and 30";
            return Err(AwsError::new("ValidationException", message));
        }
        let now = self.clock.now();
        let key = self.find_by_id(region, required(input, "KeyId")?)?;
        let states = [
            KeyState::Enabled,
            KeyState::Disabled,
            KeyState::PendingImport,
        ];
        key.expect_state(now, &states)?;
        key.deletion_date = Some(now + days * key::DAY);
        Ok(json!({
            "KeyId": key.arn(),
            "DeletionDate": key.deletion_date,
            "KeyState": "PendingDeletion",
            "PendingWindowInDays": days,
        }))
    }

    /// Finds a key by key ID, key ARN, alias name or alias ARN, in this region only.
    fn find(&self, region: &str, key_id: &str) -> Result<&Key, AwsError> {
        let prefix = format!("arn:aws:kms:{region}:{ACCOUNT}:");
        let bare = key_id.strip_prefix(prefix.as_str()).unwrap_or(key_id);
        if bare.starts_with("alias/") {
            let mut aliases = self.aliases.iter();
            let alias = aliases.find(|alias| alias.region == region && alias.name == bare);
            let key = alias.and_then(|alias| self.keys.get(&alias.key_id));
            return key.ok_or_else(|| {
                let message = format!("Alias {} is not found.", alias_arn(region, bare));
                AwsError::new("NotFoundException", message)
            });
        }
        let id = bare.strip_prefix("key/").unwrap_or(bare);
        let key = self.keys.get(id).filter(|key| key.region == region);
        key.ok_or_else(|| {
            let message = if Uuid::try_parse(id).is_ok() {
                format!("Key '{prefix}key/{id}' does not exist")
            } else {
                format!("Invalid keyId '{key_id}'")
            };
            AwsError::new("NotFoundException", message)
        })
    }

    /// Finds a key for an operation that does not accept aliases.
    fn find_by_id(&mut self, region: &str, key_id: &str) -> Result<&mut Key, AwsError> {
        if key_id.contains("alias/") {
            let message = format!("Invalid keyId '{key_id}'");
            return Err(AwsError::new("NotFoundException", message));
        }
        let id = self.find(region, key_id)?.id.clone();
        Ok(self.key_mut(&id))
    }

    /// Finds a key whose material can be imported.
    fn find_for_import(&mut self, region: &str, input: &Value) -> Result<&mut Key, AwsError> {
        let now = self.clock.now();
        let key = self.find_by_id(region, required(input, "KeyId")?)?;
        if key.origin != "EXTERNAL" {
            let message = format!(
                "{} origin is {} which is not valid for this operation.",
                key.arn(),
                key.origin
            );
            return Err(AwsError::new("UnsupportedOperationException", message));
        }
        let states = [
            KeyState::PendingImport,
            KeyState::Enabled,
            KeyState::Disabled,
        ];
        key.expect_state(now, &states)?;
        Ok(key)
    }
}

/// The DER of the public key as a `SubjectPublicKeyInfo`.
fn spki(pair: &KeyPair) -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = pair
        .public_key()
        .as_der()
        .expect("a public key can be encoded");
    der.as_ref().to_vec()
}

fn signing_algorithm(name: &str) -> Option<(&'static dyn RsaEncoding, &'static Algorithm)> {
    Some(match name {
        "RSASSA_PKCS1_V1_5_SHA_256" => (&RSA_PKCS1_SHA256, &SHA256),
        "RSASSA_PKCS1_V1_5_SHA_384" => (&RSA_PKCS1_SHA384, &SHA384),
        "RSASSA_PKCS1_V1_5_SHA_512" => (&RSA_PKCS1_SHA512, &SHA512),
        "RSASSA_PSS_SHA_256" => (&RSA_PSS_SHA256, &SHA256),
        "RSASSA_PSS_SHA_384" => (&RSA_PSS_SHA384, &SHA384),
        "RSASSA_PSS_SHA_512" => (&RSA_PSS_SHA512, &SHA512),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
