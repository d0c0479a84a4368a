//! What a mint needs and yields, as types that only [`super::client`] makes.

use std::time::SystemTime;

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::{GitHubError, ResponseError, date},
    request::ApiResponse,
    responses::{Grant, Minted},
};
use crate::{app::InstallationId, scope::Permissions};

/// The repository's installation according to GitHub, which is also the configured one.
pub struct ConfirmedInstallation {
    pub(super) id: InstallationId,
    /// What the installation has, to say which permission is missing.
    pub(super) permissions: Option<Permissions>,
}

/// An installation token: opaque and of any length.
#[derive(Clone)]
pub struct InstallationToken(SecretString);

impl InstallationToken {
    /// `None` for a text that no header can carry: nobody could prove, revoke or use it.
    pub(super) fn parse(text: SecretString) -> Option<Self> {
        let token = text.expose_secret();
        let usable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then_some(Self(text))
    }

    /// The text of the token: for the `Authorization` header, the response and the hash.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The name by which GitHub's audit log calls the token: its SHA-256 in base64.
    pub fn hash(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        Base64::encode_string(digest.as_ref())
    }
}

/// A token that GitHub minted, with everything that GitHub said about it. Nothing is proven yet.
pub struct GrantedToken {
    token: InstallationToken,
    grant: Grant,
    date: Option<SystemTime>,
}

impl GrantedToken {
    /// Reads the response to a mint. A part of it that cannot be read, except for the token, counts as missing.
    ///
    /// # Errors
    /// There is no usable token in it.
    pub(super) fn parse(response: &ApiResponse) -> Result<Self, GitHubError> {
        let token = response.parse::<Minted>()?.token;
        let token = token.and_then(InstallationToken::parse);
        Ok(Self {
            token: token.ok_or(GitHubError::Unexpected(ResponseError::NoToken))?,
            grant: response.parse().unwrap_or_default(),
            date: date(&response.headers),
        })
    }

    /// What [`Self::parse`] makes of a JSON body, granted at `date`.
    #[cfg(test)]
    pub(crate) fn from_json(body: String, date: SystemTime) -> Result<Self, GitHubError> {
        let mut response = ApiResponse {
            body: body.into(),
            ..ApiResponse::default()
        };
        let json = http::HeaderValue::from_static("application/json");
        response.headers.insert(http::header::CONTENT_TYPE, json);
        let granted = Self::parse(&response)?;
        Ok(Self {
            date: Some(date),
            ..granted
        })
    }

    /// The token, to ask GitHub about it or to revoke it.
    pub fn token(&self) -> &InstallationToken {
        &self.token
    }

    pub(crate) fn into_token(self) -> InstallationToken {
        self.token
    }

    /// What GitHub said about it.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The `Date` of the response.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }
}
