//! The App's private key, outside the function: its fingerprint, and the form in which KMS imports it.
//!
//! Input: a PEM as people paste it, read by the function's own code. Output: a fingerprint, or key material that is wrapped for
//! one KMS key. The private key is never written.

use aws_lc_rs::{
    digest::{SHA256, digest},
    key_wrap::{AES_256, AesKek, KeyWrapPadded as _},
    rand,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use base64ct::{Base64, Encoding as _};
use broker::app::private_key::PrivateKey;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is nothing to read.
    #[error("cannot read {file}: {source}. Pass the PEM file of the private key")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not an RSA private key.
    #[error(
        "the private key cannot be read: {0}. Download a new one from the App's settings page (Private keys)"
    )]
    NotAKey(String),
    /// It is an RSA key that KMS has no spec for.
    #[error(
        "the private key has {0} bits, and KMS imports RSA keys of 2048, 3072 and 4096 bits. Create a new one on the App's \
         settings page (Private keys), or store this one in SSM with --ssm"
    )]
    UnusualSize(usize),
    /// The cryptographic library failed, or KMS's wrapping key is not one.
    #[error("the private key cannot be wrapped: KMS returned an unusable wrapping key. Retry")]
    Wrapping,
    /// The KMS key is not empty, or of a different kind.
    #[error(
        "the KMS key {arn} cannot take the private key: {why}. Use an empty key, or omit --key-id to create one"
    )]
    Unsuitable {
        /// The KMS key.
        arn: String,
        /// Why.
        why: String,
    },
    /// KMS holds a different key after the import.
    #[error(
        "the KMS key {arn} has a different public key than the PEM. Do not use it; schedule its deletion"
    )]
    Different {
        /// The KMS key.
        arn: String,
    },
    /// A step failed after something was created.
    #[error("{source}. {left}")]
    Unfinished {
        /// What failed.
        source: Box<crate::error::Error>,
        /// What exists now, and how to go on.
        left: String,
    },
    /// The KMS key has the private key, and no alias.
    #[error(
        "{source}. The KMS key {arn} has the App's private key, and not the alias. To continue: aws kms {continuation}. \
         To remove the key instead: aws kms schedule-key-deletion --key-id {arn}"
    )]
    NoAlias {
        /// What failed.
        source: Box<crate::error::Error>,
        /// The KMS key.
        arn: String,
        /// The rest of the command that gives it the alias.
        continuation: String,
    },
    /// The function is not in a state in which its key can be replaced.
    #[error("{detail}. {remedy}")]
    NotReady {
        /// What is wrong.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// The function has not minted with the new key. It uses the old one again.
    #[error(
        "the new key is not proven: {why}. The function uses the old key again. To continue, run `{retry}`"
    )]
    RolledBack {
        /// Why there is no token.
        why: Box<crate::error::Error>,
        /// The command that continues.
        retry: String,
    },
    /// The function has not minted with the new key, and the old one could not be put back.
    #[error(
        "the new key is not proven: {why}. Going back to the old key failed too: {rollback}. {remedy}"
    )]
    RollbackFailed {
        /// Why there is no token.
        why: Box<crate::error::Error>,
        /// Why the old key is not back.
        rollback: Box<crate::error::Error>,
        /// What to do.
        remedy: String,
    },
    /// The parameter exists.
    #[error("the parameter {0} exists. Pass --overwrite to replace it")]
    ParameterExists(String),
    /// SSM refuses to change the type of a parameter.
    #[error(
        "the parameter {name} is a {kind}, and SSM does not change it to a SecureString. Delete it, and retry"
    )]
    WrongType {
        /// The parameter.
        name: String,
        /// Its type.
        kind: String,
    },
    /// The key does not encrypt.
    #[error(
        "the KMS key {arn} cannot encrypt a parameter: {why}. Pass a symmetric key as --kms-key-id, or alias/aws/ssm"
    )]
    CannotEncrypt {
        /// The KMS key.
        arn: String,
        /// Why.
        why: String,
    },
}

/// The App's private key in the forms that the client needs.
pub struct AppKey {
    /// The private key in PKCS#8: a secret.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The public key (X.509 `SubjectPublicKeyInfo`).
    pub public: Vec<u8>,
    /// The length of the modulus.
    pub bits: usize,
}

impl AppKey {
    /// Reads a PEM.
    ///
    /// # Errors
    /// It is not an RSA private key.
    pub fn parse(pem: &SecretString) -> Result<Self, KeyError> {
        let key = PrivateKey::parse(pem).map_err(|error| KeyError::NotAKey(error.to_string()))?;
        let (pkcs8, public) = key.to_der().ok_or(KeyError::Wrapping)?;
        Ok(Self {
            pkcs8,
            public,
            bits: key.bits(),
        })
    }

    /// KMS's name for this kind of key.
    ///
    /// # Errors
    /// KMS has none.
    pub fn spec(&self) -> Result<&'static str, KeyError> {
        match self.bits {
            2048 => Ok("RSA_2048"),
            3072 => Ok("RSA_3072"),
            4096 => Ok("RSA_4096"),
            other => Err(KeyError::UnusualSize(other)),
        }
    }

    /// The fingerprint of the public key.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public)
    }

    /// Key material for `ImportKeyMaterial` with `RSA_AES_KEY_WRAP_SHA_256`: a fresh AES key under RSA-OAEP with SHA-256,
    /// followed by the PKCS#8 key under that AES key (RFC 5649).
    ///
    /// # Errors
    /// The wrapping key is not an RSA public key.
    pub fn wrap(&self, wrapping_key: &[u8]) -> Result<Vec<u8>, KeyError> {
        let unusable = |_| KeyError::Wrapping;
        let mut aes = Zeroizing::new([0; 32]);
        rand::fill(aes.as_mut()).map_err(unusable)?;
        let rsa = PublicEncryptingKey::from_der(wrapping_key).map_err(|_| KeyError::Wrapping)?;
        let rsa = OaepPublicEncryptingKey::new(rsa).map_err(unusable)?;
        let mut material = vec![0; rsa.ciphertext_size()];
        rsa.encrypt(&OAEP_SHA256_MGF1SHA256, aes.as_ref(), &mut material, None)
            .map_err(unusable)?;
        let kek = AesKek::new(&AES_256, aes.as_ref()).map_err(unusable)?;
        // The padding takes up to seven bytes, the integrity check eight.
        let mut wrapped = vec![0; self.pkcs8.len() + 15];
        let wrapped = kek
            .wrap_with_padding(&self.pkcs8, &mut wrapped)
            .map_err(unusable)?;
        material.extend_from_slice(wrapped);
        Ok(material)
    }
}

/// The fingerprint of a public key in DER, as the App's settings page shows it.
pub fn fingerprint(public: &[u8]) -> String {
    format!(
        "SHA256:{}",
        Base64::encode_string(digest(&SHA256, public).as_ref())
    )
}

/// The fingerprint of a public key as KMS returns it. `None` if it is not base64.
pub fn fingerprint_of_base64(text: &str) -> Option<String> {
    Some(fingerprint(&Base64::decode_vec(text).ok()?))
}
