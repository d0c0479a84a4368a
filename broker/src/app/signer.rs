//! What signs for the App: its private key, or a KMS key that holds it.
//!
//! Input: a message. Output: its RS256 signature. The rest of the broker does not know which of the two signed.

use super::private_key::PrivateKey;
use crate::{
    aws::{
        AwsError,
        client::AwsClient,
        kms::{self, KmsKeyId},
    },
    retry::TimeWindow,
    telemetry::record::CallRecord,
};

/// A key in KMS, which never leaves it.
pub struct KmsKey {
    /// KMS in the key's region.
    pub client: AwsClient,
    /// The key.
    pub id: KmsKeyId,
}

/// Signs for the App.
pub enum Signer<'a> {
    /// With the private key from SSM.
    PrivateKey(PrivateKey),
    /// With one request to KMS for each signature.
    Kms(&'a KmsKey),
}

/// Why there is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignError {
    /// KMS did not sign.
    Kms(AwsError),
    /// AWS-LC failed, which only a defect of ours can cause.
    Internal,
}

impl Signer<'_> {
    /// The RS256 signature of `message`. The record has no attempt if no request was needed.
    pub async fn sign(
        &self,
        message: &[u8],
        window: TimeWindow,
    ) -> (CallRecord, Result<Vec<u8>, SignError>) {
        match self {
            Self::PrivateKey(key) => (
                CallRecord::default(),
                key.sign(message).ok_or(SignError::Internal),
            ),
            Self::Kms(key) => {
                let (record, signature) = kms::sign(&key.client, &key.id, message, window).await;
                (record, signature.map_err(SignError::Kms))
            }
        }
    }
}
