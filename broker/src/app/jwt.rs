//! (client ID, now) -> the JWT by which a GitHub App proves who it is.
//!
//! In: the client ID, the time, the App's key. Out: an [`AppJwt`], a secret for the nine minutes that it is valid.
//! The rules are GitHub's, from "Generating a JSON Web Token (JWT) for a GitHub App".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use secrecy::SecretString;
use serde::Serialize;

use crate::{app::credentials::ClientId, app::private_key::PrivateKey};

/// How far `iat` lies in the past: GitHub refuses one that its own clock has not reached yet, and clocks drift.
const BACKDATE: Duration = Duration::from_mins(1);

/// How far `exp` lies ahead: GitHub's limit is ten minutes, less one for the drift.
const VALIDITY: Duration = Duration::from_mins(9);

/// Written out, so that every JWT has the very header that GitHub documents.
const HEADER: &[u8] = br#"{"alg":"RS256","typ":"JWT"}"#;

/// A signed JWT of the App.
pub struct AppJwt(SecretString);

impl AppJwt {
    /// Signs a JWT for the App. `None` only if AWS-LC itself fails.
    pub fn sign(client_id: &ClientId, now: SystemTime, key: &PrivateKey) -> Option<Self> {
        let unsigned = unsigned(client_id, now);
        let signature = key.sign(unsigned.as_bytes())?;
        Some(Self(
            format!(
                "{unsigned}.{}",
                Base64UrlUnpadded::encode_string(&signature)
            )
            .into(),
        ))
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
fn unsigned(client_id: &ClientId, now: SystemTime) -> String {
    let claims = Claims {
        iat: epoch_seconds(now - BACKDATE),
        exp: epoch_seconds(now + VALIDITY),
        iss: client_id.as_str(),
    };
    let claims = serde_json::to_vec(&claims).unwrap_or_default();
    format!(
        "{}.{}",
        Base64UrlUnpadded::encode_string(HEADER),
        Base64UrlUnpadded::encode_string(&claims)
    )
}

/// A clock before 1970 counts as 1970: GitHub's answer then says that the clock is wrong.
fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_exact() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        let unsigned = unsigned(&ClientId::new("Iv23liEXAMPLE"), now);
        let (header, claims) = unsigned.split_once('.').unwrap();
        let decode =
            |part| String::from_utf8(Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap();
        assert_eq!(decode(header), r#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(
            decode(claims),
            r#"{"iat":1699999940,"exp":1700000540,"iss":"Iv23liEXAMPLE"}"#
        );
    }

    #[test]
    fn an_odd_client_id_stays_one_json_string() {
        let unsigned = unsigned(&ClientId::new("a\"b\\c"), UNIX_EPOCH + BACKDATE);
        let claims = Base64UrlUnpadded::decode_vec(unsigned.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], "a\"b\\c");
    }
}
