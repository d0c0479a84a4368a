//! AWS Signature Version 4: the one place that verifies a signature, and the one that makes signatures for the demo.
//!
//! Verification computes the signature again from the request and the secret key, as AWS does.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, Request};

use crate::clock::parse_amz_date;

/// AWS rejects a signature whose time differs from its own by more.
const MAX_SKEW: Duration = Duration::from_mins(5);

/// A principal that signs requests.
#[derive(Clone)]
pub struct Signer {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    region: String,
}

impl Signer {
    /// A signer with these credentials in this region.
    pub fn new(
        access_key: &str,
        secret_key: &str,
        session_token: Option<&str>,
        region: &str,
    ) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: session_token.map(str::to_owned),
            region: region.to_owned(),
        }
    }

    /// The same principal in this region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }
}

/// Signs a request: adds `Authorization`, `X-Amz-Date` and the session token, if there is one.
pub fn sign(request: &mut Request<Bytes>, signer: &Signer, service: &str) {
    let instructions = {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let settings = SigningSettings::default();
        compute(
            request,
            &headers,
            settings,
            signer,
            service,
            SystemTime::now(),
        )
        .expect("the request can be signed")
        .0
    };
    instructions.apply_to_request_http1x(request);
}

/// Everything that is wrong with the signature of a request that this signer is expected to have made.
pub(crate) fn violations(
    request: &Request<Bytes>,
    signer: &Signer,
    service: &str,
    now: SystemTime,
) -> Vec<&'static str> {
    let signature = match Signature::parse(request.headers()) {
        Ok(signature) => signature,
        Err(reason) => return vec![reason],
    };
    let mut found = Vec::new();
    let skew = now
        .duration_since(signature.time)
        .unwrap_or_else(|early| early.duration());
    if skew > MAX_SKEW || signature.day != signature.day_of_scope {
        found.push("X-Amz-Date is not the current time, or not on the day of the credential scope");
    }
    let scope = (signature.access_key, signature.region, signature.service);
    if scope != (&signer.access_key, &signer.region, service) {
        found.push("the credential scope has a different access key, region or service");
    }
    if text(request.headers(), "x-amz-security-token") != signer.session_token.as_deref() {
        found.push("X-Amz-Security-Token is not AWS_SESSION_TOKEN of the environment");
    }
    if !signature.is_valid(request, &signer.secret_key) {
        found.push("the signature is not the one that AWS computes");
    }
    found
}

/// A signature as it stands in a request, well-formed but not verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signature<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    day_of_scope: &'a str,
    day: &'a str,
    time: SystemTime,
    signed_headers: Vec<&'a str>,
    hex: &'a str,
}

impl<'a> Signature<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, SignedHeaders=..., Signature=...`.
    pub(crate) fn parse(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let header = text(headers, AUTHORIZATION.as_str()).ok_or("no Authorization header")?;
        let fields = header
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("the Authorization header is not SigV4")?;
        let field = |name: &str| {
            let mut all = fields.split(',').map(str::trim);
            all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let signed_headers: Vec<_> = field("SignedHeaders")
            .ok_or("no SignedHeaders")?
            .split(';')
            .collect();
        let date = text(headers, "x-amz-date").unwrap_or_default();
        let Some(time) = parse_amz_date(date).filter(|_| signed_headers.contains(&HOST.as_str()))
        else {
            return Err("the host or the date is not signed");
        };
        let mut amz_headers = headers
            .keys()
            .map(HeaderName::as_str)
            .filter(|name| name.starts_with("x-amz-"));
        if !amz_headers.all(|name| signed_headers.contains(&name)) {
            return Err("an x-amz header is not signed");
        }
        let signature = field("Signature").ok_or("no Signature")?;
        if signature.len() != 64 || hex::decode(signature).is_err() {
            return Err("the signature is not a SHA-256 in hexadecimal");
        }
        let credential: Vec<_> = field("Credential").unwrap_or_default().split('/').collect();
        let [access_key, day_of_scope, region, service, "aws4_request"] = credential[..] else {
            return Err("the credential has no scope");
        };
        Ok(Self {
            access_key,
            region,
            service,
            day_of_scope,
            day: date.split('T').next().unwrap_or_default(),
            time,
            signed_headers,
            hex: signature,
        })
    }

    /// Whether AWS computes the same signature for this request and this secret key.
    fn is_valid(&self, request: &Request<Bytes>, secret_key: &str) -> bool {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter(|(name, _)| self.signed_headers.contains(&name.as_str()))
            // The library adds these two itself, from the time and the credentials.
            .filter(|(name, _)| !["x-amz-date", "x-amz-security-token"].contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let session_token = text(request.headers(), "x-amz-security-token")
            .filter(|_| self.signed_headers.contains(&"x-amz-security-token"));
        let signer = Signer::new(self.access_key, secret_key, session_token, self.region);
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        compute(
            request,
            &headers,
            settings,
            &signer,
            self.service,
            self.time,
        )
        .is_some_and(|(_, signature)| signature == self.hex)
    }
}

type Instructions = aws_sigv4::http_request::SigningInstructions;

fn compute(
    request: &Request<Bytes>,
    headers: &[(&str, &str)],
    settings: SigningSettings,
    signer: &Signer,
    service: &str,
    time: SystemTime,
) -> Option<(Instructions, String)> {
    let identity = Credentials::new(
        &signer.access_key,
        &signer.secret_key,
        signer.session_token.clone(),
        None,
        "sandbox",
    )
    .into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&signer.region)
        .name(service)
        .time(time)
        .settings(settings)
        .build()
        .ok()?
        .into();
    // A server sees only the path and the query; the host is among the headers then.
    let uri = request.uri().to_string();
    let uri = if uri.starts_with('/') {
        let host = text(request.headers(), HOST.as_str())?;
        format!("http://{host}{uri}")
    } else {
        uri
    };
    let body = SignableBody::Bytes(request.body());
    let method = request.method().as_str();
    let signable = SignableRequest::new(method, uri, headers.iter().copied(), body).ok()?;
    let (instructions, signature) = aws_sigv4::http_request::sign(signable, &params)
        .ok()?
        .into_parts();
    Some((instructions, signature))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "get-vanilla" of AWS's test suite for Signature Version 4.
    #[test]
    fn signature_of_the_aws_test_suite_is_valid() {
        let request = |signature: &str| {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            Request::get("/")
                .header("host", "example.amazonaws.com")
                .header("x-amz-date", "20150830T123600Z")
                .header(AUTHORIZATION, authorization)
                .body(Bytes::new())
                .expect("a request")
        };
        let is_valid = |request: &Request<Bytes>, secret_key| {
            Signature::parse(request.headers())
                .expect("well-formed")
                .is_valid(request, secret_key)
        };
        let secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let genuine = request("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        assert!(is_valid(&genuine, secret_key));
        assert!(!is_valid(&genuine, "different"));
        assert!(!is_valid(&request(&"a".repeat(64)), secret_key));
    }

    #[test]
    fn incomplete_signature_is_rejected_with_its_reason() {
        let reason = |authorization: Option<String>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-date", "20261123T184500Z".parse().expect("printable"));
            if let Some(authorization) = authorization {
                headers.insert(AUTHORIZATION, authorization.parse().expect("printable"));
            }
            Signature::parse(&headers)
                .map(drop)
                .expect_err("incomplete")
        };
        let scheme = "AWS4-HMAC-SHA256 Credential=";
        let scope = "A/20261123/us-east-1/ssm/aws4_request";
        let (signature, signed) = ("a".repeat(64), "SignedHeaders=host;x-amz-date");
        for (authorization, expected) in [
            (None, "no Authorization header"),
            (
                Some("Bearer x".to_owned()),
                "the Authorization header is not SigV4",
            ),
            (
                Some(format!("{scheme}{scope}, Signature={signature}")),
                "no SignedHeaders",
            ),
            (
                Some(format!(
                    "{scheme}{scope}, SignedHeaders=x-amz-date, Signature={signature}"
                )),
                "the host or the date is not signed",
            ),
            (
                Some(format!(
                    "{scheme}{scope}, SignedHeaders=host, Signature={signature}"
                )),
                "an x-amz header is not signed",
            ),
            (
                Some(format!("{scheme}{scope}, {signed}, Signature=abc")),
                "the signature is not a SHA-256 in hexadecimal",
            ),
            (
                Some(format!("{scheme}A/ssm, {signed}, Signature={signature}")),
                "the credential has no scope",
            ),
        ] {
            assert_eq!(reason(authorization), expected);
        }
    }
}
