//! SSM's `GetParameters`: one signed request, and its answer. The only file that speaks to SSM.
//!
//! In: names of parameters. Out: those that SSM has, or an [`SsmFault`]. SSM's own error messages are classified here and
//! dropped. AWS's library signs; CONTRIBUTING.md says why its whole SDK is not here.

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    config::Aws,
    failure::{Failure, SsmFault},
    http::client::{BodyDefect, USER_AGENT, Upstream, whole},
    retry::{ATTEMPT_LIMIT, wait_before_next},
};

/// What every request says of itself, in AWS's JSON 1.1 protocol; signed with the rest.
const HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "AmazonSSM.GetParameters"),
];

/// SSM in the function's region.
pub struct Ssm {
    upstream: Arc<Upstream>,
    path: String,
    region: String,
    credentials: Credentials,
}

/// One parameter, as SSM has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// Its full name.
    #[serde(default)]
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    #[serde(rename = "Type", default)]
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

impl Ssm {
    /// The SSM of the settings, over the connection to it.
    pub fn new(aws: &Aws, upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            // As AWS's Rust SDK has it: an endpoint's path is a folder.
            path: format!("{}/", aws.endpoint.path().trim_end_matches('/')),
            region: aws.region.clone(),
            credentials: aws.credentials.clone(),
        }
    }

    /// The connection to SSM.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
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
        // It fails only if the library does: what goes into it was checked at start-up.
        let request = self.signed(body, SystemTime::now());
        let request = request.ok_or(SsmFault::Refused)?;
        let exchanged = self.upstream.exchange(|| request.clone(), whole).await;
        let (head, body) = exchanged.map_err(|_| SsmFault::Unreachable)?.answer;
        match body {
            Ok(body) => read_answer(head.status, &head.headers, &body),
            // What matters of a refusal is in its status, except of a 400: SSM tells all its reasons with that one.
            Err(_) if ![StatusCode::OK, StatusCode::BAD_REQUEST].contains(&head.status) => {
                read_answer(head.status, &head.headers, b"")
            }
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
            self.path.as_str(),
            HEADERS.into_iter().chain([("host", host)]),
            SignableBody::Bytes(body),
        );
        let (signature, _) = sign(signable.ok()?, &params.into()).ok()?.into_parts();

        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.parse().ok()?;
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
pub fn read_answer(
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

/// The codes are SSM's, from "GetParameters" and "Common Errors" in its API reference, and most of those by which AWS's
/// SDKs know a fault that passes by itself.
fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SsmFault {
    let refusal: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |names: [&str; 2]| names.into_iter().find_map(|name| refusal[name].as_str());
    let in_header = headers.get("x-amzn-errortype");
    let in_header = in_header.and_then(|code| code.to_str().ok());
    let in_body = member(["code", "__type"]).unwrap_or_default();
    let message = member(["message", "Message"]).unwrap_or_default();
    match bare(in_header.unwrap_or(in_body)) {
        "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => SsmFault::Throttled,
        code if code.contains("Throttl") => SsmFault::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => SsmFault::Unavailable,
        _ if status.is_server_error() => SsmFault::Unavailable,
        "InvalidKeyId" => SsmFault::KmsDenied,
        // One code for both; only the message tells which of the two services denied. It is matched, never repeated.
        "AccessDeniedException" if mentions_kms(message) => SsmFault::KmsDenied,
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
fn mentions_kms(message: &str) -> bool {
    message.contains("kms:Decrypt") || message.contains("ciphertext")
}

#[cfg(test)]
mod tests;
