//! One signed call of AWS's JSON 1.1 protocol, with its retries.
//!
//! Input: an operation and its JSON body. Output: the parsed response and a [`CallRecord`].

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::timeout;

use super::{
    credentials::CredentialSource,
    endpoint::Endpoint,
    error::{AwsError, Exception, classify},
};
use crate::{
    http::{
        HttpError,
        client::{BodyError, HostClient, USER_AGENT, read_body},
    },
    retry::{ATTEMPT_LIMIT, Attempts, TimeWindow},
    telemetry::record::{CallRecord, printable_id},
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// One AWS service in one region.
pub struct AwsClient {
    endpoint: Endpoint,
    path: String,
    host: Arc<HostClient>,
    credentials: Arc<CredentialSource>,
}

/// An operation of a service: the value of `X-Amz-Target`, which AWS signs with the rest.
pub struct Operation(pub &'static str);

impl AwsClient {
    /// The service at `endpoint`, over the connection of `host`.
    pub fn new(
        endpoint: Endpoint,
        host: Arc<HostClient>,
        credentials: Arc<CredentialSource>,
    ) -> Self {
        Self {
            // The path of an endpoint is a folder, as in AWS's Rust SDK.
            path: format!("{}/", endpoint.url.path().trim_end_matches('/')),
            endpoint,
            host,
            credentials,
        }
    }

    /// The connection to the service.
    pub fn host(&self) -> &Arc<HostClient> {
        &self.host
    }

    /// The region that is called and signed for.
    pub fn region(&self) -> &str {
        &self.endpoint.region
    }

    /// Calls `operation` until it succeeds, fails for good, or the time is over. `parse` reads the body of a success and
    /// returns `None` if it is not what AWS documents.
    pub async fn call<T>(
        &self,
        operation: &Operation,
        body: Bytes,
        window: TimeWindow,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> (CallRecord, Result<T, AwsError>) {
        let mut record = CallRecord::default();
        let mut attempts = Attempts::new(window.until);
        let result = loop {
            let limit = attempts.start(ATTEMPT_LIMIT);
            let attempt = self.attempt(operation, &body, window, &mut record);
            let result = match timeout(limit, attempt).await {
                Ok(result) => result.and_then(|body| parse(&body).ok_or(AwsError::Unavailable)),
                Err(_) if attempts.left().is_zero() => Err(AwsError::OutOfTime),
                Err(_) => Err(AwsError::Unreachable(HttpError::TimedOut)),
            };
            match result {
                Err(error) if attempts.wait(error.retry()).await => {}
                result => break result,
            }
        };
        record.attempts = attempts.started();
        (record, result)
    }

    async fn attempt(
        &self,
        operation: &Operation,
        body: &Bytes,
        window: TimeWindow,
        record: &mut CallRecord,
    ) -> Result<Bytes, AwsError> {
        let credentials = self.credentials.get(window).await?;
        // It fails only if the signing library does: its inputs were checked at start-up.
        let request = self
            .signed(operation, body, &credentials, SystemTime::now())
            .ok_or(AwsError::Rejected(Exception::Other))?;
        let exchange = self
            .host
            .send(|| request.clone(), read_body, window.began)
            .await
            .map_err(AwsError::Unreachable)?;
        let (head, body) = exchange.response;
        record.request_id = request_id(&head.headers);
        match body {
            Ok(body) if head.status == StatusCode::OK => Ok(body),
            Ok(body) => Err(classify(head.status, &head.headers, &body)),
            // The status of an error says the most important part. Only a 400 needs its body: AWS uses it for most errors.
            Err(_) if ![StatusCode::OK, StatusCode::BAD_REQUEST].contains(&head.status) => {
                Err(classify(head.status, &head.headers, b""))
            }
            Err(BodyError::Interrupted) => Err(AwsError::Unreachable(HttpError::Interrupted)),
            Err(BodyError::TooLong) => Err(AwsError::Unavailable),
        }
    }

    /// A request that AWS accepts for a few minutes after `now`.
    pub(super) fn signed(
        &self,
        operation: &Operation,
        body: &Bytes,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Option<Request<Full<Bytes>>> {
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.endpoint.region)
            .name(self.endpoint.service.signing_name())
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .ok()?;
        let headers = [
            ("content-type", CONTENT_TYPE),
            ("x-amz-target", operation.0),
        ];
        let host = self.host.host().to_str().ok()?;
        let signable = SignableRequest::new(
            Method::POST.as_str(),
            self.path.as_str(),
            headers.into_iter().chain([("host", host)]),
            SignableBody::Bytes(body),
        );
        let (signature, _) = sign(signable.ok()?, &params.into()).ok()?.into_parts();

        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.parse().ok()?;
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        signature.apply_to_request_http1x(&mut request);
        Some(request)
    }

    /// Signs a request and drops it, so that the first invocation finds the signing code in memory.
    pub fn prewarm(&self) {
        if let Some(credentials) = self.credentials.at_hand() {
            drop(self.signed(
                &Operation("Prewarm"),
                &Bytes::new(),
                &credentials,
                SystemTime::now(),
            ));
        }
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    printable_id(headers.get("x-amzn-requestid")?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::Uri;

    use super::*;
    use crate::{
        aws::endpoint::Service,
        http::{NetworkSettings, client::RESPONSE_LIMIT, tls::client_config},
    };

    fn client(service: Service, url: &'static str) -> AwsClient {
        let url = Uri::from_static(url);
        let network = NetworkSettings::default();
        let host = HostClient::new(&url, &network, client_config(&network), RESPONSE_LIMIT);
        let endpoint = Endpoint {
            service,
            region: "us-east-1".to_owned(),
            url,
        };
        AwsClient::new(
            endpoint,
            host,
            Arc::new(CredentialSource::Fixed(credentials())),
        )
    }

    fn credentials() -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            Some("session/token==".to_owned()),
            None,
            "a test",
        )
    }

    /// botocore signs the same requests with these signatures.
    #[test]
    fn request_is_signed_as_aws_expects_it() {
        let now = UNIX_EPOCH + Duration::from_mins(24_015_636);
        for (endpoint, path, signature) in [
            (
                "https://ssm.us-east-1.amazonaws.com",
                "/",
                "1a4b62cd47c349a86cc0470923fc108ced91a3bf102276d6e633d96e0fe6e250",
            ),
            (
                "https://ssm.us-east-1.amazonaws.com:443/?not=sent",
                "/",
                "1a4b62cd47c349a86cc0470923fc108ced91a3bf102276d6e633d96e0fe6e250",
            ),
            (
                "http://127.0.0.1:4566",
                "/",
                "f7415fd9c2179129d7f83c2bbc71776313b6f4a0c3dc760b5ac0ae308237b716",
            ),
            (
                "https://proxy.example.com/a%20b/c",
                "/a%20b/c/",
                "77478083466b7844223bb20bc608a3c9ae61e544606cfd594505c45290e06844",
            ),
        ] {
            let operation = Operation("AmazonSSM.GetParameters");
            let request = client(Service::Ssm, endpoint)
                .signed(&operation, &Bytes::from_static(b"{}"), &credentials(), now)
                .unwrap();
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), path);
            let header = |name: &str| request.headers()[name].to_str().unwrap();
            assert_eq!(
                header("authorization"),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ssm/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature={signature}"
                ),
                "{endpoint}"
            );
            assert_eq!(header("x-amz-date"), "20150830T123600Z");
            assert_eq!(header("x-amz-security-token"), "session/token==");
            assert_eq!(header("x-amz-target"), "AmazonSSM.GetParameters");
            assert_eq!(header("content-type"), "application/x-amz-json-1.1");
            assert_eq!(header("user-agent"), "github-token-broker");
            assert_eq!(request.headers().len(), 6, "the connection adds Host");
            assert!(request.headers()["x-amz-security-token"].is_sensitive());
        }
    }

    #[test]
    fn request_is_signed_for_its_service() {
        let request = client(Service::Kms, "https://kms.us-east-1.amazonaws.com")
            .signed(
                &Operation("TrentService.Sign"),
                &Bytes::new(),
                &credentials(),
                UNIX_EPOCH,
            )
            .unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/us-east-1/kms/aws4_request"));
    }
}
