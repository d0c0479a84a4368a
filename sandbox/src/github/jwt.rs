//! The check of an App's JWT, as GitHub does it, by a library of its own. Comes in: what stood behind `Bearer`, the Apps,
//! the time. Goes out: whose it is, or GitHub's refusal. It shares no line with the product, whose mistakes it must see.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::github::error::Refusal;
use crate::github::model::App;

/// How far ahead `exp` may be: ten minutes.
const LONGEST_LIFE: i64 = 600;

#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// The App that signed this JWT with a key GitHub knows, at a time when it is valid.
pub(crate) fn verify<'a>(jwt: &str, apps: &'a [App], now: i64) -> Result<&'a App, Refusal> {
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| Refusal::JwtUndecodable)?;
    if header.alg != Algorithm::RS256 {
        return Err(Refusal::JwtUndecodable);
    }
    let issuer = claimed_issuer(jwt).ok_or(Refusal::JwtIssuer)?;
    let app = apps
        .iter()
        .find(|app| app.is(&issuer))
        .ok_or(Refusal::JwtUndecodable)?;
    let claims = app
        .keys
        .iter()
        .find_map(|key| signed_claims(jwt, &key.0))
        .ok_or(Refusal::JwtUndecodable)?;
    let issued_at = claims.iat.ok_or(Refusal::JwtIssuedAt)?;
    let expires = claims.exp.ok_or(Refusal::JwtExpired)?;
    match () {
        () if issued_at > now => Err(Refusal::JwtIssuedAt),
        () if expires <= now => Err(Refusal::JwtExpired),
        () if expires > now + LONGEST_LIFE => Err(Refusal::JwtTooLong),
        () => Ok(app),
    }
}

/// `iss` as text, before anything is verified: it only picks the App whose keys are tried.
fn claimed_issuer(jwt: &str) -> Option<String> {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(jwt)
        .ok()?
        .claims;
    match claims.iss? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn signed_claims(jwt: &str, key: &[u8]) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::RS256);
    // The times are checked above, against the sandbox's clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(jwt, &DecodingKey::from_rsa_der(key), &validation)
        .ok()
        .map(|data| data.claims)
}
