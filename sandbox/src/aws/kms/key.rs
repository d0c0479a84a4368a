//! One KMS key: its metadata, its state and its material.

use aws_lc_rs::rsa::KeyPair;
use serde_json::{Value, json};

use super::SIGNING_ALGORITHMS;
use super::import::ImportParameters;
use crate::aws::ACCOUNT;
use crate::aws::error::AwsError;
use crate::github::private_key::{PrivateKey, PublicKey};

/// Seconds.
pub(super) const DAY: i64 = 24 * 60 * 60;

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) region: String,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) spec: String,
    pub(super) usage: String,
    pub(super) origin: String,
    pub(super) policy: String,
    pub(super) enabled: bool,
    pub(super) is_aws_managed: bool,
    pub(super) material: Option<Material>,
    /// The public key of the first import: only the same material can be imported again.
    pub(super) first_import: Option<PublicKey>,
    /// When the imported material expires, in epoch seconds.
    pub(super) valid_to: Option<i64>,
    pub(super) deletion_date: Option<i64>,
    pub(super) imports: Vec<ImportParameters>,
    created: i64,
}

#[derive(Debug, Clone)]
pub(super) enum Material {
    Rsa(PrivateKey),
    /// The sandbox encrypts nothing: symmetric keys exist only to be the wrong kind.
    Symmetric,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    Enabled,
    Disabled,
    PendingImport,
    PendingDeletion,
}

impl KeyState {
    fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingImport => "PendingImport",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

impl Key {
    /// An empty key for imported material.
    pub(super) fn new(region: &str, id: &str, now: i64) -> Self {
        let default_policy = json!({
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [{
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
                "Action": "kms:*",
                "Resource": "*",
            }],
        });
        Self {
            region: region.to_owned(),
            id: id.to_owned(),
            description: String::new(),
            spec: "RSA_2048".to_owned(),
            usage: "SIGN_VERIFY".to_owned(),
            origin: "EXTERNAL".to_owned(),
            policy: default_policy.to_string(),
            enabled: true,
            is_aws_managed: false,
            material: None,
            first_import: None,
            valid_to: None,
            deletion_date: None,
            imports: Vec::new(),
            created: now,
        }
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:kms:{}:{ACCOUNT}:key/{}", self.region, self.id)
    }

    pub(super) fn state(&self, now: i64) -> KeyState {
        let expired = self.valid_to.is_some_and(|valid_to| valid_to <= now);
        if self.deletion_date.is_some() {
            KeyState::PendingDeletion
        } else if self.material.is_none() || expired {
            KeyState::PendingImport
        } else if self.enabled {
            KeyState::Enabled
        } else {
            KeyState::Disabled
        }
    }

    /// The error of an operation that is not possible in the key's state.
    pub(super) fn expect_state(&self, now: i64, allowed: &[KeyState]) -> Result<(), AwsError> {
        let state = self.state(now);
        if allowed.contains(&state) {
            return Ok(());
        }
        let arn = self.arn();
        Err(match state {
            KeyState::Disabled => AwsError::new("DisabledException", format!("{arn} is disabled.")),
            KeyState::PendingImport => AwsError::new(
                "KMSInvalidStateException",
                format!("{arn} is pending import."),
            ),
            KeyState::PendingDeletion => AwsError::new(
                "KMSInvalidStateException",
                format!("{arn} is pending deletion."),
            ),
            KeyState::Enabled => AwsError::new(
                "KMSInvalidStateException",
                format!("{arn} is not pending deletion."),
            ),
        })
    }

    /// The key pair of an enabled RSA key.
    pub(super) fn usable_rsa(&self, now: i64, operation: &str) -> Result<KeyPair, AwsError> {
        self.expect_state(now, &[KeyState::Enabled])?;
        let Some(Material::Rsa(material)) = &self.material else {
            let arn = self.arn();
            return Err(AwsError::new(
                "UnsupportedOperationException",
                format!(
                    "{arn} key spec is {} which is not valid for {operation}.",
                    self.spec
                ),
            ));
        };
        Ok(KeyPair::from_pkcs8(material.pkcs8_der()).expect("it was checked when it was stored"))
    }

    pub(super) fn metadata(&self, now: i64) -> Value {
        let state = self.state(now);
        let mut metadata = json!({
            "AWSAccountId": ACCOUNT,
            "KeyId": self.id,
            "Arn": self.arn(),
            "CreationDate": self.created,
            "Enabled": state == KeyState::Enabled,
            "Description": self.description,
            "KeyUsage": self.usage,
            "KeyState": state.name(),
            "Origin": self.origin,
            "KeyManager": if self.is_aws_managed { "AWS" } else { "CUSTOMER" },
            "CustomerMasterKeySpec": self.spec,
            "KeySpec": self.spec,
            "MultiRegion": false,
        });
        if self.usage == "SIGN_VERIFY" {
            metadata["SigningAlgorithms"] = json!(SIGNING_ALGORITHMS);
        } else if self.spec == "SYMMETRIC_DEFAULT" {
            metadata["EncryptionAlgorithms"] = json!(["SYMMETRIC_DEFAULT"]);
        } else {
            metadata["EncryptionAlgorithms"] = json!(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]);
        }
        if self.origin == "EXTERNAL" && self.material.is_some() {
            metadata["ExpirationModel"] = match self.valid_to {
                Some(_) => "KEY_MATERIAL_EXPIRES",
                None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
            }
            .into();
        }
        if let Some(valid_to) = self.valid_to {
            metadata["ValidTo"] = valid_to.into();
        }
        if let Some(date) = self.deletion_date {
            metadata["DeletionDate"] = date.into();
        }
        metadata
    }
}
