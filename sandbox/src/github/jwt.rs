//! Verifies an App's JWT as GitHub does, with a library that the broker does not use.
//!
//! Input: the JWT, the Apps, the time. Output: the App that signed it, or GitHub's error.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::error::GitHubError;
use super::model::App;

/// GitHub accepts an `exp` at most ten minutes ahead.
const MAX_LIFETIME: i64 = 600;

#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// Returns the App that signed this JWT, if GitHub knows the key and the JWT is valid now.
pub(crate) fn verify<'a>(jwt: &str, apps: &'a [App], now: i64) -> Result<&'a App, GitHubError> {
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| GitHubError::JwtUndecodable)?;
    if header.alg != Algorithm::RS256 {
        return Err(GitHubError::JwtUndecodable);
    }
    let issuer = claimed_issuer(jwt).ok_or(GitHubError::JwtIssuer)?;
    let app = apps
        .iter()
        .find(|app| app.is_issuer(&issuer))
        .ok_or(GitHubError::IntegrationNotFound)?;
    let claims = app
        .keys
        .iter()
        .find_map(|key| signed_claims(jwt, &key.0))
        .ok_or(GitHubError::JwtUndecodable)?;
    let issued_at = claims.iat.ok_or(GitHubError::JwtIssuedAt)?;
    let expires = claims.exp.ok_or(GitHubError::JwtExpired)?;
    if issued_at > now {
        return Err(GitHubError::JwtIssuedAt);
    }
    if expires <= now {
        return Err(GitHubError::JwtExpired);
    }
    if expires > now + MAX_LIFETIME {
        return Err(GitHubError::JwtTooLong);
    }
    Ok(app)
}

/// `iss` as text, not verified: it only selects the App whose keys are tried.
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
    // The caller checks the times against GitHub's clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(jwt, &DecodingKey::from_rsa_der(key), &validation)
        .ok()
        .map(|data| data.claims)
}
