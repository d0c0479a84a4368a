//! KMS's [`Sign`](https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html).
//!
//! Input: a key and a message. Output: an RS256 signature, or an [`AwsError`].
//! Invariant: the signature has the algorithm and the length of an RSA key with 2048 bits, the only kind that GitHub makes.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    client::{AwsClient, Operation},
    error::{AwsError, Exception},
};
use crate::{retry::TimeWindow, telemetry::record::CallRecord};

const SIGN: Operation = Operation("TrentService.Sign");
const RS256: &str = "RSASSA_PKCS1_V1_5_SHA_256";
const RSA_2048_SIGNATURE_LENGTH: usize = 256;

/// The `KeyId` of a KMS request: a key ID, a key ARN, `alias/NAME` or an alias ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeyId(String);

impl KmsKeyId {
    /// `None` unless `text` has one of the four forms.
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = match text.strip_prefix("arn:") {
            Some(rest) => {
                let mut parts = rest.splitn(5, ':');
                let mut next = || parts.next().unwrap_or_default();
                let (partition, service, region, account, resource) =
                    (next(), next(), next(), next(), next());
                let is_word = |text: &str| {
                    !text.is_empty()
                        && text.len() <= 63
                        && text
                            .bytes()
                            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                };
                let is_account =
                    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
                is_word(partition)
                    && service == "kms"
                    && is_word(region)
                    && is_account
                    && (resource.strip_prefix("key/").is_some_and(is_key_id) || is_alias(resource))
            }
            None => is_key_id(text) || is_alias(text),
        };
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The text, as KMS takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region of an ARN.
    pub fn region(&self) -> Option<&str> {
        self.0.strip_prefix("arn:")?.split(':').nth(2)
    }
}

/// A UUID, or `mrk-` and 32 hexadecimal digits for a multi-Region key.
fn is_key_id(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(digits) = text.strip_prefix("mrk-") {
        return digits.len() == 32 && is_hex(digits);
    }
    let groups: Vec<_> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12]) && groups.into_iter().all(is_hex)
}

fn is_alias(text: &str) -> bool {
    let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    text.strip_prefix("alias/")
        .is_some_and(|name| !name.is_empty() && name.len() <= 250 && name.bytes().all(supported))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    key_id: &'a str,
    message: String,
    message_type: &'a str,
    signing_algorithm: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    signature: String,
    signing_algorithm: String,
}

/// Signs `message`, of at most 4096 bytes, with RS256. KMS computes the digest itself (`RAW`), so that a policy can require
/// that with the condition key `kms:MessageType`.
///
/// # Errors
/// KMS cannot be reached, rejects the request, or returns a signature of a different kind.
pub async fn sign(
    client: &AwsClient,
    key: &KmsKeyId,
    message: &[u8],
    window: TimeWindow,
) -> (CallRecord, Result<Vec<u8>, AwsError>) {
    let request = Request {
        key_id: key.as_str(),
        message: Base64::encode_string(message),
        message_type: "RAW",
        signing_algorithm: RS256,
    };
    let body = Bytes::from(serde_json::to_vec(&request).unwrap_or_default());
    let (record, response) = client.call(&SIGN, body, window, parse_response).await;
    (record, response.and_then(Signature::rs256))
}

/// A signature of any kind.
pub struct Signature {
    algorithm: String,
    bytes: Vec<u8>,
}

impl Signature {
    /// The bytes, if GitHub can accept them.
    fn rs256(self) -> Result<Vec<u8>, AwsError> {
        if self.algorithm == RS256 && self.bytes.len() == RSA_2048_SIGNATURE_LENGTH {
            Ok(self.bytes)
        } else {
            Err(AwsError::Rejected(Exception::WrongSignature))
        }
    }
}

/// The signature in the body of a success. `None` if the body is not what KMS documents.
pub fn parse_response(body: &[u8]) -> Option<Signature> {
    let response: Response = serde_json::from_slice(body).ok()?;
    Some(Signature {
        algorithm: response.signing_algorithm,
        bytes: Base64::decode_vec(&response.signature).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn every_form_of_a_key_id_is_accepted() {
        let mrk = format!("mrk-{}", "0123456789abcdef".repeat(2));
        for (text, region) in [
            (UUID.to_owned(), None),
            (UUID.to_uppercase(), None),
            (mrk.clone(), None),
            ("alias/github-app".to_owned(), None),
            ("alias/team/github_app-1".to_owned(), None),
            (
                format!("arn:aws:kms:eu-west-1:123456789012:key/{UUID}"),
                Some("eu-west-1"),
            ),
            (
                format!("arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/{mrk}"),
                Some("us-gov-west-1"),
            ),
            (
                "arn:aws-cn:kms:cn-north-1:123456789012:alias/a".to_owned(),
                Some("cn-north-1"),
            ),
        ] {
            let key = KmsKeyId::parse(&text);
            assert_eq!(key.as_ref().and_then(KmsKeyId::region), region, "{text}");
            assert_eq!(key.as_ref().map(KmsKeyId::as_str), Some(text.as_str()));
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            String::new(),
            "alias/".to_owned(),
            "github-app".to_owned(),
            "alias/a b".to_owned(),
            "alias/a:b".to_owned(),
            format!("{UUID} "),
            UUID.replace('-', ""),
            UUID.replace('a', "g"),
            format!("key/{UUID}"),
            format!("arn:aws:kms:eu-west-1:123456789012:{UUID}"),
            format!("arn:aws:kms::123456789012:key/{UUID}"),
            format!("arn:aws:kms:eu-west-1:1234:key/{UUID}"),
            format!("arn:aws:ssm:eu-west-1:123456789012:key/{UUID}"),
            format!("arn:aws:kms:eu.west:123456789012:key/{UUID}"),
            format!("arn:aws:kms:eu-west-1:123456789012:key/{UUID}:1"),
            "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
            "mrk-123".to_owned(),
        ] {
            assert_eq!(KmsKeyId::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn signature_of_a_different_kind_is_rejected() {
        let signature = |algorithm: &str, length| {
            let algorithm = algorithm.to_owned();
            let bytes = vec![1; length];
            Signature { algorithm, bytes }.rs256()
        };
        assert_eq!(signature(RS256, 256), Ok(vec![1; 256]));
        let rejected = Err(AwsError::Rejected(Exception::WrongSignature));
        for (algorithm, length) in [("RSASSA_PSS_SHA_256", 256), (RS256, 255), (RS256, 512)] {
            assert_eq!(
                signature(algorithm, length),
                rejected,
                "{algorithm} {length}"
            );
        }
    }

    #[test]
    fn response_has_a_signature_and_its_algorithm() {
        let body =
            br#"{"KeyId":"arn:x","Signature":"AAE=","SigningAlgorithm":"RSASSA_PSS_SHA_256"}"#;
        let signature = parse_response(body).unwrap();
        assert_eq!(signature.algorithm, "RSASSA_PSS_SHA_256");
        assert_eq!(signature.bytes, [0, 1]);
        for body in [
            r#"{"Signature":"AAE","SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}"#,
            r#"{"Signature":7,"SigningAlgorithm":"RSASSA_PKCS1_V1_5_SHA_256"}"#,
            r#"{"Signature":"AAE="}"#,
            "{}",
            "",
        ] {
            assert!(parse_response(body.as_bytes()).is_none(), "{body}");
        }
    }
}
