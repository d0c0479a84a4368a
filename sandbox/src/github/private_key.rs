//! RSA keys of GitHub Apps, generated at run time: the repository contains no key.
//!
//! Input: a size and a PEM format. Output: the PEM that an operator stores, and the public key that GitHub keeps.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pem_rfc7468::LineEnding;
use pkcs8::ObjectIdentifier;
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::spki::SubjectPublicKeyInfoRef;

use crate::lock;

/// <https://www.rfc-editor.org/rfc/rfc8017#appendix-C>
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A private key and its PEM format. Clones share the key.
#[derive(Clone)]
pub struct PrivateKey {
    material: Arc<Material>,
    format: Format,
}

/// The public key, as DER (PKCS#1 `RSAPublicKey`): all that GitHub stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub Vec<u8>);

struct Material {
    pkcs8: Vec<u8>,
    pkcs1: Vec<u8>,
    public: PublicKey,
}

#[derive(Clone, Copy)]
enum Format {
    Pkcs1,
    Pkcs8,
}

impl PrivateKey {
    /// The key of this size (2048, 3072, 4096 or 8192 bits) that this process shares, as PKCS#1 PEM like GitHub's download.
    /// It is generated once per process, which is slow; [`PrivateKey::fresh`] generates a new one.
    pub fn rsa(bits: u32) -> Self {
        static SHARED: LazyLock<Mutex<HashMap<u32, PrivateKey>>> = LazyLock::new(Mutex::default);
        lock(&SHARED)
            .entry(bits)
            .or_insert_with(|| Self::fresh(bits))
            .clone()
    }

    /// Generates a new key.
    pub fn fresh(bits: u32) -> Self {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            other => panic!("the sandbox cannot generate an RSA key of {other} bits"),
        };
        let pair = KeyPair::generate(size).expect("a key can be generated");
        Self::from_pair(&pair)
    }

    /// Reads PKCS#8 DER; `None` if it is not an RSA key.
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        KeyPair::from_pkcs8(der)
            .ok()
            .map(|pair| Self::from_pair(&pair))
    }

    fn from_pair(pair: &KeyPair) -> Self {
        let pkcs8 = pair
            .as_der()
            .expect("a new key can be encoded as PKCS#8")
            .as_ref()
            .to_vec();
        let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8.as_slice())
            .expect("PKCS#8 that was just encoded");
        let pkcs1 = info.private_key.as_bytes().to_vec();
        let public = PublicKey(pair.public_key().as_ref().to_vec());
        Self {
            material: Arc::new(Material {
                pkcs8,
                pkcs1,
                public,
            }),
            format: Format::Pkcs1,
        }
    }

    /// The same key, as `BEGIN PRIVATE KEY`.
    #[must_use]
    pub fn pkcs8(mut self) -> Self {
        self.format = Format::Pkcs8;
        self
    }

    /// The same key, as `BEGIN RSA PRIVATE KEY`.
    #[must_use]
    pub fn pkcs1(mut self) -> Self {
        self.format = Format::Pkcs1;
        self
    }

    /// The PEM, with a final newline.
    pub fn pem(&self) -> String {
        let (label, der) = match self.format {
            Format::Pkcs1 => ("RSA PRIVATE KEY", &self.material.pkcs1),
            Format::Pkcs8 => ("PRIVATE KEY", &self.material.pkcs8),
        };
        pem_rfc7468::encode_string(label, LineEnding::LF, der).expect("a key fits into a PEM")
    }

    /// The key as PKCS#8 DER.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.material.pkcs8
    }

    /// The key as PKCS#1 DER.
    pub fn pkcs1_der(&self) -> &[u8] {
        &self.material.pkcs1
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.material.public.clone()
    }
}

impl PublicKey {
    /// Reads the DER of a `SubjectPublicKeyInfo`, as KMS returns it.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::try_from(der).ok()?;
        Some(Self(info.subject_public_key.as_bytes()?.to_vec()))
    }

    /// The fingerprint on the App's page: base64 of the SHA-256 of the `SubjectPublicKeyInfo`.
    pub fn fingerprint(&self) -> String {
        let key = BitStringRef::from_bytes(&self.0).expect("a key is shorter than DER's limit");
        let info = SubjectPublicKeyInfoRef {
            algorithm: pkcs8::AlgorithmIdentifierRef {
                oid: RSA_ENCRYPTION,
                parameters: Some(AnyRef::NULL),
            },
            subject_public_key: key,
        };
        let der = info.to_der().expect("a public key can be encoded");
        STANDARD.encode(digest(&SHA256, &der))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
