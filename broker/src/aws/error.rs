//! Why an AWS call failed.
//!
//! The exception names come from the API references of [SSM](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html)
//! and [KMS](https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html), their "Common Errors", and the codes that
//! AWS's SDKs retry.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{http::HttpError, retry::Retry};

/// Why an AWS call returned nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsError {
    /// No complete response arrived.
    Unreachable(HttpError),
    /// The invocation's time was over before the call was.
    OutOfTime,
    /// Too many requests, also after retries.
    Throttled,
    /// A server error, or a response that is not from AWS.
    Unavailable,
    /// The container credentials endpoint did not respond as documented, so nothing was sent.
    NoCredentials,
    /// AWS rejected the request.
    Rejected(Exception),
}

impl AwsError {
    /// Whether the same call might succeed.
    pub fn retry(self) -> Retry {
        match self {
            // Repeating wrong credentials might lock the account at the proxy.
            Self::Unreachable(HttpError::ProxyAuthentication)
            | Self::OutOfTime
            | Self::Rejected(_) => Retry::Never,
            Self::Unreachable(_) | Self::Throttled | Self::Unavailable | Self::NoCredentials => {
                Retry::Backoff
            }
        }
    }
}

macro_rules! exceptions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A rejection by AWS. Those without a name of their own in AWS's API are distinguished by the message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(test, derive(strum::EnumIter))]
        pub enum Exception { $($(#[$doc])* $variant,)* }

        impl Exception {
            /// AWS's name, for messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

exceptions! {
    /// The role lacks the permission for the call.
    AccessDenied = "AccessDeniedException",
    /// The role lacks `kms:Decrypt` on the key of a parameter.
    DecryptionDenied = "AccessDeniedException from KMS",
    /// The role lacks `secretsmanager:GetSecretValue` on a referenced secret.
    SecretDenied = "AccessDeniedException from Secrets Manager",
    /// SSM cannot use the key of a parameter.
    InvalidKeyId = "InvalidKeyId",
    /// The KMS key is disabled.
    KeyDisabled = "DisabledException",
    /// The KMS key is pending import or deletion, or otherwise unavailable.
    KeyInvalidState = "KMSInvalidStateException",
    /// The KMS key has a different usage or key spec.
    InvalidKeyUsage = "InvalidKeyUsageException",
    /// The KMS key does not exist in this account and region.
    NotFound = "NotFoundException",
    /// A referenced secret does not exist.
    ParameterNotFound = "ParameterNotFound",
    /// The request has an invalid value.
    Validation = "ValidationException",
    /// AWS does not know the access key ID.
    UnrecognizedClient = "UnrecognizedClientException",
    /// AWS does not know the access key ID (older services).
    InvalidClientTokenId = "InvalidClientTokenId",
    /// The credentials have expired.
    ExpiredToken = "ExpiredTokenException",
    /// The signature is wrong, which usually means a wrong clock.
    InvalidSignature = "InvalidSignatureException",
    /// The signature is incomplete.
    IncompleteSignature = "IncompleteSignature",
    /// The request has no signature.
    MissingAuthenticationToken = "MissingAuthenticationToken",
    /// The service does not know the operation.
    UnknownOperation = "UnknownOperationException",
    /// The container credentials endpoint rejected the request.
    CredentialsUnavailable = "no credentials from AWS_CONTAINER_CREDENTIALS_FULL_URI",
    /// The key does not support the operation.
    UnsupportedOperation = "UnsupportedOperationException",
    /// The signature that KMS returned has a different algorithm, or is not that of an RSA key with 2048 bits.
    WrongSignature = "a signature that is not RS256 with an RSA_2048 key",
    /// Any other exception, and a response without an exception's name.
    Other = "an exception that this version does not know",
}

/// What a response means that is not a success.
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> AwsError {
    use AwsError::{Rejected, Throttled, Unavailable};
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |names: [&str; 2]| names.into_iter().find_map(|name| error[name].as_str());
    let in_header = headers.get("x-amzn-errortype");
    let in_header = in_header.and_then(|name| name.to_str().ok());
    let in_body = member(["code", "__type"]).unwrap_or_default();
    let message = member(["message", "Message"]).unwrap_or_default();
    match bare(in_header.unwrap_or(in_body)) {
        "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => Throttled,
        name if name.contains("Throttl") => Throttled,
        "RequestTimeout" | "RequestTimeoutException" => Unavailable,
        "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
            Unavailable
        }
        _ if status.is_server_error() => Unavailable,
        name => match exception(name, message) {
            Some(exception) => Rejected(exception),
            None if status == StatusCode::TOO_MANY_REQUESTS => Throttled,
            None if status.is_redirection() || status.is_client_error() => {
                Rejected(Exception::Other)
            }
            None => Unavailable,
        },
    }
}

/// The message is only matched, never repeated. One code covers several causes, and only the message tells them apart.
fn exception(name: &str, message: &str) -> Option<Exception> {
    let says = |text: &str| message.contains(text);
    Some(match name {
        _ if says("secretsmanager:GetSecretValue") => Exception::SecretDenied,
        "ParameterNotFound" | "ResourceNotFoundException" => Exception::ParameterNotFound,
        // Names can contain "kms" or "ciphertext", but not the colon of an action.
        "AccessDeniedException" if says("kms:Sign") || says("ssm:GetParameters") => {
            Exception::AccessDenied
        }
        "AccessDeniedException" if says("kms:Decrypt") || says("ciphertext") => {
            Exception::DecryptionDenied
        }
        "AccessDeniedException" | "AccessDenied" => Exception::AccessDenied,
        "KMSAccessDeniedException" => Exception::DecryptionDenied,
        "InvalidKeyId" if says("DisabledException") || says("is disabled") => {
            Exception::KeyDisabled
        }
        "InvalidKeyId" if says("InvalidState") || says("pending") => Exception::KeyInvalidState,
        "InvalidKeyId" | "KMSNotFoundException" => Exception::InvalidKeyId,
        "DisabledException" | "KMSDisabledException" => Exception::KeyDisabled,
        "KMSInvalidStateException" => Exception::KeyInvalidState,
        "InvalidKeyUsageException" => Exception::InvalidKeyUsage,
        "NotFoundException" => Exception::NotFound,
        "ValidationException" | "ValidationError" => Exception::Validation,
        "UnrecognizedClientException" => Exception::UnrecognizedClient,
        "InvalidClientTokenId" => Exception::InvalidClientTokenId,
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => Exception::ExpiredToken,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => Exception::InvalidSignature,
        "IncompleteSignature" | "IncompleteSignatureException" => Exception::IncompleteSignature,
        "MissingAuthenticationToken" | "MissingAuthenticationTokenException" => {
            Exception::MissingAuthenticationToken
        }
        "UnknownOperationException" | "InvalidAction" => Exception::UnknownOperation,
        "UnsupportedOperationException" => Exception::UnsupportedOperation,
        name if name.starts_with("KMS") => Exception::InvalidKeyId,
        _ => return None,
    })
}

/// The name in `namespace#Name:http://...`, of which only the name is always present (AWS's JSON protocol).
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn meaning(status: u16, body: &str) -> AwsError {
        let status = StatusCode::from_u16(status).unwrap();
        classify(status, &HeaderMap::new(), body.as_bytes())
    }

    #[rustfmt::skip]
    #[test]
    fn error_is_classified_by_exception_name_then_by_status() {
        use AwsError::{Rejected, Throttled, Unavailable};
        for (status, body, expected) in [
            (400, r#"{"__type":"ThrottlingException"}"#, Throttled),
            (400, r#"{"__type":"com.amazonaws.ssm#ThrottlingException:http://a.b/c"}"#, Throttled),
            (400, r#"{"code":"RequestThrottled","__type":"x"}"#, Throttled),
            (400, r#"{"code":400,"__type":"ThrottlingException"}"#, Throttled),
            (500, r#"{"__type":"KMSThrottlingException"}"#, Throttled),
            (429, "<html>", Throttled),
            (400, r#"{"__type":"RequestLimitExceeded"}"#, Throttled),
            (400, r#"{"__type":"TooManyRequestsException"}"#, Throttled),
            (400, r#"{"__type":"SlowDown"}"#, Throttled),
            (400, r#"{"__type":"RequestTimeout"}"#, Unavailable),
            (400, r#"{"__type":"RequestTimeoutException"}"#, Unavailable),
            (400, r#"{"__type":"KeyUnavailableException"}"#, Unavailable),
            (400, r#"{"__type":"DependencyTimeoutException"}"#, Unavailable),
            (500, r#"{"__type":"AccessDeniedException","message":"kms:Decrypt"}"#, Unavailable),
            (500, r#"{"__type":"InternalServerError"}"#, Unavailable),
            (500, r#"{"__type":"KMSInternalException"}"#, Unavailable),
            (503, "", Unavailable),
            (204, "", Unavailable),
            (400, r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#, Rejected(Exception::AccessDenied)),
            (400, r#"{"__type":"AccessDeniedException","Message":"to perform: kms:Decrypt"}"#, Rejected(Exception::DecryptionDenied)),
            (400, r#"{"__type":"AccessDeniedException","message":"the ciphertext refers to"}"#, Rejected(Exception::DecryptionDenied)),
            (400, r#"{"__type":"AccessDeniedException","message":"to perform: kms:Sign"}"#, Rejected(Exception::AccessDenied)),
            (400, r#"{"__type":"AccessDeniedException","message":"role/ciphertext-tools to perform: kms:Sign"}"#, Rejected(Exception::AccessDenied)),
            (400, r#"{"__type":"AccessDeniedException","message":"ssm:GetParameters on parameter/ciphertext"}"#, Rejected(Exception::AccessDenied)),
            (400, r#"{"__type":"AccessDeniedException","message":"to perform: secretsmanager:GetSecretValue"}"#, Rejected(Exception::SecretDenied)),
            (400, r#"{"__type":"ParameterNotFound","message":"Secret x not found"}"#, Rejected(Exception::ParameterNotFound)),
            (400, r#"{"__type":"KMSDisabledException"}"#, Rejected(Exception::KeyDisabled)),
            (400, r#"{"__type":"InvalidKeyId"}"#, Rejected(Exception::InvalidKeyId)),
            (400, r#"{"__type":"InvalidKeyId","message":"key is disabled. (Error Code: DisabledException)"}"#, Rejected(Exception::KeyDisabled)),
            (400, r#"{"__type":"InvalidKeyId","message":"key is pending deletion"}"#, Rejected(Exception::KeyInvalidState)),
            (400, r#"{"__type":"NotFoundException"}"#, Rejected(Exception::NotFound)),
            (400, r#"{"__type":"KMSInvalidStateException"}"#, Rejected(Exception::KeyInvalidState)),
            (400, r#"{"__type":"InvalidKeyUsageException"}"#, Rejected(Exception::InvalidKeyUsage)),
            (400, r#"{"__type":"ExpiredTokenException"}"#, Rejected(Exception::ExpiredToken)),
            (403, r#"{"__type":"InvalidSignatureException"}"#, Rejected(Exception::InvalidSignature)),
            (400, r#"{"__type":"SomethingNew"}"#, Rejected(Exception::Other)),
            (400, r#"{"__type":7}"#, Rejected(Exception::Other)),
            (400, "[]", Rejected(Exception::Other)),
            (403, "", Rejected(Exception::Other)),
            (302, "", Rejected(Exception::Other)),
        ] {
            assert_eq!(meaning(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn header_names_the_exception_and_takes_precedence() {
        let mut headers = HeaderMap::new();
        let name = HeaderValue::from_static("AccessDeniedException:");
        headers.insert("x-amzn-errortype", name);
        let error = classify(
            StatusCode::BAD_REQUEST,
            &headers,
            br#"{"__type":"ThrottlingException"}"#,
        );
        assert_eq!(error, AwsError::Rejected(Exception::AccessDenied));
    }

    proptest! {
        #[test]
        fn server_error_is_always_transient(
            status in 500..600_u16,
            name in "(KMS|InvalidKeyId|[A-Za-z]{0,20})[A-Za-z#:]{0,20}|AccessDeniedException",
            message in "(kms:Decrypt)?.*",
        ) {
            let body = serde_json::json!({ "__type": name, "message": message }).to_string();
            prop_assert!(matches!(meaning(status, &body), AwsError::Unavailable | AwsError::Throttled));
        }
    }
}
