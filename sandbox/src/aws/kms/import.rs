//! Import of key material: the wrapping of `RSA_AES_KEY_WRAP_SHA_256`.
//!
//! The wrapped material is RSA-OAEP (SHA-256) of a new AES-256 key, followed by AES-256-KWP (RFC 5649) of the PKCS#8 DER.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use serde_json::Value;

use super::key::DAY;
use super::spki;
use crate::aws::error::AwsError;
use crate::github::private_key::PrivateKey;

/// The length of an AES-256 key in bytes.
const AES_KEY: usize = 32;

/// What `GetParametersForImport` returned, and the private key for it.
#[derive(Debug, Clone)]
pub(super) struct ImportParameters {
    pub(super) token: Vec<u8>,
    /// 24 hours after the call, in epoch seconds.
    pub(super) valid_to: i64,
    wrapping_key: PrivateKey,
}

impl ImportParameters {
    pub(super) fn new(algorithm: &str, spec: &str, now: i64) -> Result<Self, AwsError> {
        let invalid = |message: String| Err(AwsError::new("ValidationException", message));
        if algorithm != "RSA_AES_KEY_WRAP_SHA_256" {
            return invalid(format!(
                "WrappingAlgorithm {algorithm} cannot wrap an RSA private key in the sandbox: use RSA_AES_KEY_WRAP_SHA_256"
            ));
        }
        let bits = match spec {
            "RSA_2048" => 2048,
            "RSA_3072" => 3072,
            "RSA_4096" => 4096,
            other => return invalid(format!("WrappingKeySpec {other} is not supported")),
        };
        Ok(Self {
            token: std::iter::repeat_with(|| fastrand::u8(..))
                .take(512)
                .collect(),
            valid_to: now + DAY,
            wrapping_key: PrivateKey::rsa(bits),
        })
    }

    /// The DER of the public wrapping key.
    pub(super) fn public_key(&self) -> Vec<u8> {
        spki(&pair(&self.wrapping_key))
    }

    /// Unwraps the material of a key with this spec.
    pub(super) fn unwrap(
        &self,
        wrapped: &[u8],
        spec: &str,
        now: i64,
    ) -> Result<PrivateKey, AwsError> {
        if self.valid_to <= now {
            let message = "The import token has expired";
            return Err(AwsError::new("ExpiredImportTokenException", message));
        }
        let der = unwrap(&self.wrapping_key, wrapped).ok_or_else(|| {
            AwsError::new(
                "InvalidCiphertextException",
                "The key material cannot be unwrapped",
            )
        })?;
        let material = PrivateKey::from_pkcs8(&der);
        let material = material.filter(|material| spec == format!("RSA_{}", bits(material)));
        material.ok_or_else(|| {
            let message = format!("The key material is not the PKCS#8 DER of an {spec} key");
            AwsError::new("IncorrectKeyMaterialException", message)
        })
    }
}

/// The expiration of `ImportKeyMaterial`: required unless the model says that the material does not expire.
pub(super) fn valid_to(input: &Value, now: i64) -> Result<Option<i64>, AwsError> {
    let invalid = |message: &str| Err(AwsError::new("ValidationException", message));
    #[expect(clippy::cast_possible_truncation, reason = "epoch seconds fit")]
    let valid_to = input["ValidTo"].as_f64().map(|seconds| seconds as i64);
    match input["ExpirationModel"]
        .as_str()
        .unwrap_or("KEY_MATERIAL_EXPIRES")
    {
        "KEY_MATERIAL_DOES_NOT_EXPIRE" if valid_to.is_some() => invalid(
            "A validTo date cannot be set if the expirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        ),
        "KEY_MATERIAL_DOES_NOT_EXPIRE" => Ok(None),
        "KEY_MATERIAL_EXPIRES" => match valid_to {
            None => {
                invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
            }
            Some(date) if date <= now || date > now + 365 * DAY => {
                invalid("The validTo date must be within the next 365 days")
            }
            date => Ok(date),
        },
        _ => {
            invalid("ExpirationModel must be KEY_MATERIAL_EXPIRES or KEY_MATERIAL_DOES_NOT_EXPIRE")
        }
    }
}

/// The size of an RSA key in bits.
pub(super) fn bits(key: &PrivateKey) -> usize {
    pair(key).public_modulus_len() * 8
}

fn pair(key: &PrivateKey) -> KeyPair {
    KeyPair::from_pkcs8(key.pkcs8_der()).expect("the PKCS#8 of an RSA key")
}

fn unwrap(key: &PrivateKey, wrapped: &[u8]) -> Option<Vec<u8>> {
    let key = PrivateDecryptingKey::from_pkcs8(key.pkcs8_der()).ok()?;
    let key = OaepPrivateDecryptingKey::new(key).ok()?;
    let (wrapped_key, wrapped_der) = wrapped.split_at_checked(key.key_size_bytes())?;
    let mut buffer = vec![0; key.min_output_size()];
    let aes_key = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, wrapped_key, &mut buffer, None)
        .ok()?;
    let mut der = vec![0; wrapped_der.len() + 8];
    let der = AesKek::new(&AES_256, aes_key)
        .ok()?
        .unwrap_with_padding(wrapped_der, &mut der)
        .ok()?;
    Some(der.to_vec())
}

/// Wraps key material with a public key from `GetParametersForImport`, as an operator does.
pub(crate) fn wrap(public_key: &[u8], material: &[u8]) -> Option<Vec<u8>> {
    let aes_key: [u8; AES_KEY] = std::array::from_fn(|_| fastrand::u8(..));
    let key = PublicEncryptingKey::from_der(public_key).ok()?;
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut wrapped_key = vec![0; key.ciphertext_size()];
    let wrapped_key = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, &aes_key, &mut wrapped_key, None)
        .ok()?;
    let mut wrapped = vec![0; material.len() + 16];
    let wrapped = AesKek::new(&AES_256, &aes_key)
        .ok()?
        .wrap_with_padding(material, &mut wrapped)
        .ok()?;
    Some([&*wrapped_key, &*wrapped].concat())
}
