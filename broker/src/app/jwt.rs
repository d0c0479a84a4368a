//! The JWT by which a GitHub App proves its identity.
//!
//! Input: the client ID, the time, the signer. Output: an [`AppJwt`], which is a secret for the nine minutes that it is valid.
//! The rules are from GitHub's [Generating a JSON Web Token (JWT) for a GitHub
//! App](https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use secrecy::SecretString;
use serde::Serialize;

use super::{
    ClientId,
    signer::{SignError, Signer},
};
use crate::{retry::TimeWindow, telemetry::record::CallRecord};

/// How far `iat` is in the past. GitHub rejects a JWT from the future, and clocks drift.
const BACKDATE: Duration = Duration::from_mins(1);

/// How far `exp` is ahead. GitHub's limit is ten minutes, less one for drift.
const VALIDITY: Duration = Duration::from_mins(9);

/// Written out, so that every JWT has exactly the header that GitHub documents.
const HEADER: &[u8] = br#"{"alg":"RS256","typ":"JWT"}"#;

/// A signed JWT of the App.
pub struct AppJwt(SecretString);

impl AppJwt {
    /// Signs a JWT for the App, valid from about `now`.
    pub async fn sign(
        client_id: &ClientId,
        now: SystemTime,
        signer: &Signer<'_>,
        window: TimeWindow,
    ) -> (CallRecord, Result<Self, SignError>) {
        let unsigned = unsigned(client_id, now);
        let (record, signature) = signer.sign(unsigned.as_bytes(), window).await;
        let jwt = signature.map(|signature| {
            let signature = Base64UrlUnpadded::encode_string(&signature);
            Self(format!("{unsigned}.{signature}").into())
        });
        (record, jwt)
    }

    /// The text that goes into the `Authorization` header, and nowhere else.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: u64,
    exp: u64,
    iss: &'a str,
}

/// Header and claims, in the form that is signed.
pub fn unsigned(client_id: &ClientId, now: SystemTime) -> String {
    let claims = Claims {
        iat: epoch_seconds(now.checked_sub(BACKDATE)),
        exp: epoch_seconds(now.checked_add(VALIDITY)),
        iss: client_id.as_str(),
    };
    let claims = serde_json::to_vec(&claims).unwrap_or_default();
    format!(
        "{}.{}",
        Base64UrlUnpadded::encode_string(HEADER),
        Base64UrlUnpadded::encode_string(&claims)
    )
}

/// A time outside the range of the clock counts as 1970: GitHub's response then says that the clock is wrong.
fn epoch_seconds(time: Option<SystemTime>) -> u64 {
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_exact() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        let unsigned = unsigned(&ClientId::parse("Iv23liEXAMPLE").unwrap(), now);
        let (header, claims) = unsigned.split_once('.').unwrap();
        let decode =
            |part| String::from_utf8(Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap();
        assert_eq!(decode(header), r#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(
            decode(claims),
            r#"{"iat":1699999940,"exp":1700000540,"iss":"Iv23liEXAMPLE"}"#
        );
    }
}
