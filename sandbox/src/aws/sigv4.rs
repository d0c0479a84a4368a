//! Whether a request to AWS is signed. Comes in: the request. Goes out: the credential's scope, or what is missing; and,
//! for a caller whose secret key is known, whether the signature is the one that AWS would compute.

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request};

use crate::clock::from_amz_date;
use crate::random::hex;

/// What a signed request says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=..., Signature=...`.
pub(crate) fn scope(headers: &HeaderMap) -> Result<Scope<'_>, &'static str> {
    let fields = Fields::of(headers)?;
    let (signed, signature) = (fields.signed_headers, fields.signature);
    if !signed.split(';').any(|name| name == "host") || !headers.contains_key("x-amz-date") {
        return Err("the host or the date is not signed");
    }
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    let mut of_aws = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-"));
    if !of_aws.all(is_signed) {
        return Err("an x-amz header is not signed");
    }
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the signature is not a SHA-256 in hexadecimal");
    }
    let parts: Vec<&str> = fields.credential.split('/').collect();
    match parts.as_slice() {
        [access_key, _, region, service, "aws4_request"] => Ok(Scope {
            access_key,
            region,
            service,
        }),
        _ => Err("the credential has no scope"),
    }
}

/// The parts of the `Authorization` header.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let header = text(headers, AUTHORIZATION.as_str()).ok_or("no Authorization header")?;
        let fields = header
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("the Authorization header is not SigV4")?;
        let field = |name: &str| {
            let mut all = fields.split(',').map(str::trim);
            all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Ok(Self {
            credential: field("Credential").unwrap_or_default(),
            signed_headers: field("SignedHeaders").ok_or("no SignedHeaders")?,
            signature: field("Signature").ok_or("no Signature")?,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// When a request says that it was signed, in epoch seconds; `None` too if that is not the day of the credential.
pub(crate) fn signed_at(headers: &HeaderMap) -> Option<i64> {
    let date = text(headers, "x-amz-date")?;
    let day = Fields::of(headers).ok()?.credential.split('/').nth(1)?;
    let (its_day, _) = date.split_once('T')?;
    (its_day == day).then(|| from_amz_date(date))?
}

/// The value of `Authorization` for a request that has all else.
#[cfg(test)]
pub(crate) fn authorization(
    request: &Request<Bytes>,
    scope: &str,
    signed_headers: &str,
    secret_key: &str,
) -> String {
    let (access_key, rest) = scope.split_once('/').unwrap_or_default();
    let signature = signature(request, rest, signed_headers, secret_key);
    format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{rest}, SignedHeaders={signed_headers}, Signature={signature}"
    )
}

/// Computes the signature anew and compares: "Create a signed AWS API request" in the IAM user guide. For requests
/// without a query, as all of the JSON protocol are.
pub(crate) fn signature_matches(request: &Request<Bytes>, secret_key: &str) -> bool {
    let Ok(fields) = Fields::of(request.headers()) else {
        return false;
    };
    let Some((_, scope)) = fields.credential.split_once('/') else {
        return false;
    };
    signature(request, scope, fields.signed_headers, secret_key) == fields.signature
}

fn signature(
    request: &Request<Bytes>,
    scope: &str,
    signed_headers: &str,
    secret_key: &str,
) -> String {
    let headers = request.headers();
    let lines = signed_headers.split(';').map(|name| {
        let values = headers.get_all(name).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        format!("{name}:{}\n", values.join(",").trim())
    });
    let canonical = format!(
        "{}\n{}\n\n{}\n{}\n{}",
        request.method(),
        request.uri().path(),
        lines.collect::<String>(),
        signed_headers,
        hex(digest::digest(&digest::SHA256, request.body()).as_ref()),
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        text(headers, "x-amz-date").unwrap_or_default(),
        hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref()),
    );
    let first = format!("AWS4{secret_key}").into_bytes();
    let key = scope
        .split('/')
        .fold(first, |key, part| mac(&key, part.as_bytes()));
    hex(&mac(&key, to_sign.as_bytes()))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "get-vanilla" of AWS's test suite for Signature Version 4.
    #[test]
    fn a_signature_is_the_one_that_aws_computes() {
        let request = |signature: &str| {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            Request::get("/")
                .header("host", "example.amazonaws.com")
                .header("x-amz-date", "20150830T123600Z")
                .header(AUTHORIZATION, authorization)
                .body(Bytes::new())
                .expect("a request")
        };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let right = request("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        assert!(signature_matches(&right, secret));
        assert!(!signature_matches(&right, "another secret"));
        assert!(!signature_matches(&request(&"a".repeat(64)), secret));
        assert!(!signature_matches(&Request::new(Bytes::new()), secret));
    }

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().expect("printable"));
        headers.insert("x-amz-date", "20261123T184500Z".parse().expect("printable"));
        headers
    }

    #[test]
    fn a_signed_request_tells_its_scope() {
        let signature = "a".repeat(64);
        let signed = headers(&format!(
            "AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-west-1/ssm/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        ));
        assert_eq!(
            scope(&signed),
            Ok(Scope {
                access_key: "AKIA",
                region: "eu-west-1",
                service: "ssm"
            })
        );
    }

    #[test]
    fn an_unsigned_or_half_signed_request_does_not() {
        assert_eq!(scope(&HeaderMap::new()), Err("no Authorization header"));
        assert_eq!(
            scope(&headers("Bearer x")),
            Err("the Authorization header is not SigV4")
        );
        let undated =
            "AWS4-HMAC-SHA256 Credential=A/B/C/D/aws4_request, SignedHeaders=host, Signature=abc";
        assert_eq!(
            scope(&headers(undated)),
            Err("an x-amz header is not signed")
        );
        let short = undated.replace("host", "host;x-amz-date");
        assert_eq!(
            scope(&headers(&short)),
            Err("the signature is not a SHA-256 in hexadecimal")
        );
    }
}
