//! SSM's `GetParameters`: one signed request, and its answer. The only file that speaks to SSM.
//!
//! In: names of parameters. Out: those that SSM has, or an [`SsmFault`]. SSM's own error messages are classified here and
//! dropped. AWS's library signs; CONTRIBUTING.md says why its whole SDK is not here.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    config::Aws,
    connect::{BodyDefect, USER_AGENT, Upstream, whole},
    error::{Failure, SsmFault},
    retry::wait_before_next,
};

/// One attempt is an order of magnitude longer than SSM's slow answers, and short enough for three within ten seconds.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// What every request says of itself, in AWS's JSON 1.1 protocol; signed with the rest.
const HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "AmazonSSM.GetParameters"),
];

/// SSM in the function's region.
pub struct Ssm {
    upstream: Arc<Upstream>,
    url: Uri,
    region: String,
    credentials: Credentials,
}

/// One parameter, as SSM has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// Its full name.
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its value, decrypted.
    pub value: Option<SecretString>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    names: &'a [&'a str],
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameters: Option<Vec<Parameter>>,
    invalid_parameters: Option<IgnoredAny>,
}

/// AWS has two names for the code and for the message; an answer may have both.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(rename = "__type")]
    type_: Option<String>,
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "Message")]
    upper_case_message: Option<String>,
}

impl Ssm {
    /// The SSM of the settings, over the connection to it.
    pub fn new(aws: &Aws, upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            url: aws.endpoint.clone(),
            region: aws.region.clone(),
            credentials: aws.credentials.clone(),
        }
    }

    /// Reads parameters, decrypted; those that SSM does not know are left out. Tries again where that is of use and fits
    /// into the time until `until`.
    ///
    /// # Errors
    /// SSM cannot be reached, refuses, or does not answer as documented.
    pub async fn parameters(
        &self,
        names: &[&str],
        until: Instant,
    ) -> Result<Vec<Parameter>, SsmFault> {
        let question = Question {
            names,
            with_decryption: true,
        };
        let body = Bytes::from(serde_json::to_vec(&question).unwrap_or_default());
        let mut attempt = 1;
        loop {
            let fault = match timeout(ATTEMPT_LIMIT, self.attempt(&body)).await {
                Ok(Ok(parameters)) => return Ok(parameters),
                Ok(Err(fault)) => fault,
                Err(_) => SsmFault::Unreachable,
            };
            let failure = Failure::ParametersUnreadable(fault);
            let left = until.saturating_duration_since(Instant::now());
            let wait = wait_before_next(&failure, attempt, fastrand::f64(), left).ok_or(fault)?;
            sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, body: &Bytes) -> Result<Vec<Parameter>, SsmFault> {
        // Only credentials that no header can carry cannot be signed with.
        let request = self.signed(body, SystemTime::now());
        let request = request.ok_or(SsmFault::Refused)?;
        let exchanged = self.upstream.exchange(|| request.clone(), whole).await;
        let (head, body) = exchanged.map_err(|_| SsmFault::Unreachable)?.answer;
        match body {
            Ok(body) => read(head.status, &head.headers, &body),
            // What matters of a refusal is in its status.
            Err(_) if head.status != StatusCode::OK => read(head.status, &head.headers, b""),
            Err(BodyDefect::Interrupted) => Err(SsmFault::Unreachable),
            Err(BodyDefect::TooLong) => Err(SsmFault::Unavailable),
        }
    }

    /// A request that can be sent for some minutes, SSM's limit on the age of a signature.
    fn signed(&self, body: &Bytes, now: SystemTime) -> Option<Request<Full<Bytes>>> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ssm")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .ok()?;
        let host = self.upstream.host().to_str().ok()?;
        let signable = SignableRequest::new(
            Method::POST.as_str(),
            self.url.to_string(),
            HEADERS.into_iter().chain([("host", host)]),
            SignableBody::Bytes(body),
        );
        let (signature, _) = sign(signable.ok()?, &params.into()).ok()?.into_parts();

        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.path().parse().ok()?;
        for (name, value) in HEADERS {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        signature.apply_to_request_http1x(&mut request);
        Some(request)
    }

    /// Signs a request that is never sent, so that the first invocation finds all that this needs in memory.
    pub fn rehearse(&self) {
        drop(self.signed(&Bytes::new(), SystemTime::now()));
    }
}

/// What an answer means: the parameters that SSM has of those that it was asked for, or why there are none.
///
/// # Errors
/// SSM refused, or this is no answer of SSM's.
pub fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<Parameter>, SsmFault> {
    if status != StatusCode::OK {
        return Err(classify(status, headers, body));
    }
    match serde_json::from_slice(body) {
        Ok(Answer {
            parameters: Some(parameters),
            ..
        }) => Ok(parameters),
        // SSM names each parameter in one of two lists; an answer without either is not SSM's.
        Ok(Answer {
            invalid_parameters: Some(_),
            ..
        }) => Ok(Vec::new()),
        _ => Err(SsmFault::Unavailable),
    }
}

/// The codes are SSM's, from "GetParameters" and "Common Errors" in its API reference, and those by which AWS's SDKs know
/// what passes.
fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SsmFault {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let in_header = headers.get("x-amzn-errortype");
    let in_header = in_header.and_then(|code| code.to_str().ok());
    let in_body = refusal.type_.or(refusal.code).unwrap_or_default();
    let message = refusal.message.or(refusal.upper_case_message);
    match bare(in_header.unwrap_or(&in_body)) {
        "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => SsmFault::Throttled,
        code if code.contains("Throttl") => SsmFault::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => SsmFault::Unavailable,
        "InvalidKeyId" => SsmFault::KmsDenied,
        // One code for both; only the message tells which of the two services denied. It is matched, never repeated.
        "AccessDeniedException" if mentions_kms(message.as_deref()) => SsmFault::KmsDenied,
        "AccessDeniedException" => SsmFault::AccessDenied,
        code if code.starts_with("KMS") => SsmFault::KmsDenied,
        _ if status == StatusCode::TOO_MANY_REQUESTS => SsmFault::Throttled,
        _ if status.is_redirection() || status.is_client_error() => SsmFault::Refused,
        _ => SsmFault::Unavailable,
    }
}

/// The code in `namespace#Code:http://...`, of which only the code is always there (AWS's JSON protocol).
fn bare(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default()
}

/// A parameter or a role may have KMS in its name; the action and the word "ciphertext" are KMS's own.
fn mentions_kms(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.contains("kms:Decrypt") || message.contains("ciphertext"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meaning(status: u16, body: &str) -> SsmFault {
        let status = StatusCode::from_u16(status).unwrap();
        classify(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn a_code_counts_before_the_status() {
        for (status, body, expected) in [
            (
                400,
                r#"{"__type":"ThrottlingException"}"#,
                SsmFault::Throttled,
            ),
            (
                400,
                r#"{"__type":"com.amazonaws.ssm#ThrottlingException:http://a.b/c"}"#,
                SsmFault::Throttled,
            ),
            (
                400,
                r#"{"__type":"ThrottlingException","code":"x","message":"","Message":""}"#,
                SsmFault::Throttled,
            ),
            (400, r#"{"code":"RequestThrottled"}"#, SsmFault::Throttled),
            (400, r#"{"__type":"RequestTimeout"}"#, SsmFault::Unavailable),
            (
                400,
                r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#,
                SsmFault::AccessDenied,
            ),
            (
                400,
                r#"{"__type":"AccessDeniedException","Message":"to perform: kms:Decrypt"}"#,
                SsmFault::KmsDenied,
            ),
            (
                400,
                r#"{"__type":"AccessDeniedException","message":"the ciphertext refers to"}"#,
                SsmFault::KmsDenied,
            ),
            (
                400,
                r#"{"__type":"KMSDisabledException"}"#,
                SsmFault::KmsDenied,
            ),
            (400, r#"{"__type":"InvalidKeyId"}"#, SsmFault::KmsDenied),
            (
                400,
                r#"{"__type":"ExpiredTokenException"}"#,
                SsmFault::Refused,
            ),
            (400, r#"{"__type":7}"#, SsmFault::Refused),
            (403, "", SsmFault::Refused),
            (302, "", SsmFault::Refused),
            (429, "<html>", SsmFault::Throttled),
            (
                500,
                r#"{"__type":"InternalServerError"}"#,
                SsmFault::Unavailable,
            ),
            (503, "", SsmFault::Unavailable),
            (204, "", SsmFault::Unavailable),
        ] {
            assert_eq!(meaning(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_header_names_the_code_too() {
        let mut headers = HeaderMap::new();
        let code = HeaderValue::from_static("AccessDeniedException:");
        headers.insert("x-amzn-errortype", code);
        let fault = classify(StatusCode::BAD_REQUEST, &headers, b"");
        assert_eq!(fault, SsmFault::AccessDenied);
    }

    proptest! {
        #[test]
        fn any_refusal_has_a_meaning(status in 201..600_u16, body in ".*") {
            let transient = matches!(meaning(status, &body), SsmFault::Unavailable);
            prop_assert_eq!(transient, !(300..500).contains(&status) );
        }
    }
}
