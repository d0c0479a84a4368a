//! Whether a request to AWS is signed. Comes in: its headers. Goes out: the credential's scope, or what is missing. The
//! signature itself is not computed anew: the official SDK makes it, and the tests against moto and AWS see it too.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What a signed request says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=..., Signature=...`.
pub(crate) fn scope(headers: &HeaderMap) -> Result<Scope<'_>, &'static str> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or("no Authorization header")?;
    let fields = header
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or("the Authorization header is not SigV4")?;
    let field = |name: &str| {
        let mut all = fields.split(',').map(str::trim);
        all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let signed = field("SignedHeaders").ok_or("no SignedHeaders")?;
    let signature = field("Signature").ok_or("no Signature")?;
    if !signed.split(';').any(|name| name == "host") || !headers.contains_key("x-amz-date") {
        return Err("the host or the date is not signed");
    }
    if headers.contains_key("x-amz-security-token")
        && !signed.split(';').any(|name| name == "x-amz-security-token")
    {
        return Err("the session token is not signed");
    }
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the signature is not a SHA-256 in hexadecimal");
    }
    let parts: Vec<&str> = field("Credential").unwrap_or_default().split('/').collect();
    match parts.as_slice() {
        [access_key, _, region, service, "aws4_request"] => Ok(Scope {
            access_key,
            region,
            service,
        }),
        _ => Err("the credential has no scope"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let short =
            "AWS4-HMAC-SHA256 Credential=A/B/C/D/aws4_request, SignedHeaders=host, Signature=abc";
        assert_eq!(
            scope(&headers(short)),
            Err("the signature is not a SHA-256 in hexadecimal")
        );
    }
}
