//! Calls to GitHub as the App, with a JWT.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use broker::app::{ClientId, jwt::unsigned, private_key::PrivateKey};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{
    aws::{operator::CallError, session::Session},
    check::{not_checked, report::Finding},
    http::{HttpClient, HttpError},
    output::Diagnostics,
    settings::Settings,
};

/// GitHub answers within 10 s or not at all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What the App signs with.
pub enum Signer {
    /// A private key.
    PrivateKey(PrivateKey),
    /// A key in KMS, in the region of the session.
    Kms {
        /// KMS.
        session: Box<Session>,
        /// The key.
        id: String,
    },
}

/// Why there is no JWT.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// KMS does not sign.
    #[error(transparent)]
    Kms(#[from] CallError),
    /// The signature is not one.
    #[error("the JWT cannot be signed")]
    NoSignature,
}

impl From<SigningError> for Finding {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Kms(error) => not_checked("app.key", &error),
            SigningError::NoSignature => Self::skip("app.key", error.to_string(), "Retry"),
        }
    }
}

/// Calls GitHub with a JWT.
pub(super) struct Caller {
    http: HttpClient,
    base: String,
    jwt: SecretString,
    diagnostics: Diagnostics,
}

/// A response, parsed.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// GitHub's message, to be compared and never repeated.
    pub(super) fn says(&self, text: &str) -> bool {
        self.body["message"]
            .as_str()
            .is_some_and(|message| message.contains(text))
    }

    /// How far GitHub's clock is ahead or behind, in seconds.
    pub(super) fn skew(&self) -> Option<u64> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        let date: SystemTime = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822)
            .ok()?
            .into();
        let now = SystemTime::now();
        Some(
            now.duration_since(date)
                .or_else(|_| date.duration_since(now))
                .ok()?
                .as_secs(),
        )
    }
}

impl Caller {
    /// Signs a JWT for the API at this URL.
    pub(super) async fn new(
        api: &str,
        client_id: &ClientId,
        signer: &Signer,
        settings: &Settings,
    ) -> Result<Self, SigningError> {
        Ok(Self {
            http: HttpClient::new(TIMEOUT),
            base: api.trim_end_matches('/').to_owned(),
            jwt: jwt(client_id, signer).await?,
            diagnostics: settings.diagnostics,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, HttpError> {
        let url = format!("{}{path}", self.base);
        let invalid = || HttpError::InvalidUrl;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.jwt.expose_secret()))
            .map_err(|_| invalid())?;
        bearer.set_sensitive(true);
        self.diagnostics.detail(format!("GET {url}"));
        let request = Request::builder()
            .method(Method::GET)
            .uri(&url)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::AUTHORIZATION, bearer)
            .header(header::USER_AGENT, "github-token-broker")
            .header("x-github-api-version", "2022-11-28")
            .body(Vec::new())
            .map_err(|_| invalid())?;
        let response = self.http.send(request).await?;
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        Ok(Answer {
            status: response.status,
            headers: response.headers,
            body,
        })
    }
}

/// A JWT with the function's own header and claims.
async fn jwt(client_id: &ClientId, signer: &Signer) -> Result<SecretString, SigningError> {
    let unsigned = unsigned(client_id, SystemTime::now());
    let signature = match signer {
        Signer::PrivateKey(key) => key.sign(unsigned.as_bytes()),
        Signer::Kms { session, id } => {
            let request = json!({
                "KeyId": id,
                "Message": Base64::encode_string(unsigned.as_bytes()),
                "MessageType": "RAW",
                "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
            });
            let answer = session.kms("Sign", &request).await?;
            answer["Signature"]
                .as_str()
                .and_then(|text| Base64::decode_vec(text).ok())
        }
    };
    let signature = signature.ok_or(SigningError::NoSignature)?;
    let signature = Base64UrlUnpadded::encode_string(&signature);
    Ok(SecretString::from(format!("{unsigned}.{signature}")))
}
