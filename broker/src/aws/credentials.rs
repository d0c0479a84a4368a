//! The AWS credentials of the function's role.
//!
//! Lambda puts them into the environment and replaces the whole environment before they expire. Lambda Managed Instances
//! keep an environment for days and offer a [container credentials
//! endpoint](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html) instead.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_smithy_types::date_time::{DateTime, Format};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::timeout};

use super::error::{AwsError, Exception};
use crate::{
    http::{
        NetworkSettings,
        client::{HostClient, RESPONSE_LIMIT, USER_AGENT, read_body},
        tls::client_config,
    },
    retry::TimeWindow,
};

/// Credentials with less time left are replaced.
const REFRESH_MARGIN: Duration = Duration::from_mins(5);

/// The endpoint is on the same machine. An attempt of the call that needs the credentials takes longer.
const FETCH_LIMIT: Duration = Duration::from_secs(1);

/// Where the credentials come from.
pub enum CredentialSource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    Fixed(Credentials),
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    Container(ContainerEndpoint),
}

impl CredentialSource {
    /// The credentials for a request now.
    ///
    /// # Errors
    /// The endpoint does not respond, or not as AWS documents it.
    pub async fn get(&self, window: TimeWindow) -> Result<Credentials, AwsError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Container(endpoint) => endpoint.get(window).await,
        }
    }

    /// The credentials, if they are known without a request.
    pub fn at_hand(&self) -> Option<Credentials> {
        match self {
            Self::Fixed(credentials) => Some(credentials.clone()),
            Self::Container(_) => None,
        }
    }
}

/// The token that the endpoint expects in `Authorization`.
#[derive(Clone)]
pub enum EndpointToken {
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`
    Value(SecretString),
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, which AWS rewrites from time to time.
    File(PathBuf),
}

/// The container credentials endpoint.
pub struct ContainerEndpoint {
    host: Arc<HostClient>,
    path: String,
    token: Option<EndpointToken>,
    kept: Mutex<Option<Credentials>>,
}

/// A response of the endpoint.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    access_key_id: String,
    secret_access_key: SecretString,
    token: Option<SecretString>,
    expiration: String,
}

impl ContainerEndpoint {
    /// The endpoint at `url`, which a proxy never stands before.
    pub fn new(url: &Uri, token: Option<EndpointToken>) -> Self {
        let direct = NetworkSettings::default();
        Self {
            host: HostClient::new(url, &direct, client_config(&direct), RESPONSE_LIMIT),
            path: url
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            token,
            kept: Mutex::new(None),
        }
    }

    async fn get(&self, window: TimeWindow) -> Result<Credentials, AwsError> {
        let mut kept = self.kept.lock().await;
        let fresh_until = SystemTime::now() + REFRESH_MARGIN;
        if let Some(credentials) = kept.as_ref()
            && credentials.expiry().is_some_and(|end| end > fresh_until)
        {
            return Ok(credentials.clone());
        }
        match self.fetch(window).await {
            Ok(credentials) => {
                *kept = Some(credentials.clone());
                Ok(credentials)
            }
            // The old ones are good for a few more minutes, in which the endpoint may recover.
            Err(error) => kept
                .clone()
                .filter(|credentials| credentials.expiry() > Some(SystemTime::now()))
                .ok_or(error),
        }
    }

    async fn fetch(&self, window: TimeWindow) -> Result<Credentials, AwsError> {
        let rejected = AwsError::Rejected(Exception::CredentialsUnavailable);
        let request = self.request().ok_or(rejected)?;
        let send = self.host.send(|| request.clone(), read_body, window.began);
        match timeout(FETCH_LIMIT, send).await {
            Ok(Ok(exchange)) => match exchange.response {
                (head, Ok(body)) if head.status == StatusCode::OK => {
                    parse(&body).ok_or(AwsError::NoCredentials)
                }
                (head, _) if head.status.is_client_error() => Err(rejected),
                _ => Err(AwsError::NoCredentials),
            },
            _ => Err(AwsError::NoCredentials),
        }
    }

    fn request(&self) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.path.parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, USER_AGENT);
        let token = match &self.token {
            None => return Some(request),
            Some(EndpointToken::Value(token)) => token.clone(),
            Some(EndpointToken::File(path)) => read_token(path)?,
        };
        let mut token = HeaderValue::from_str(token.expose_secret().trim()).ok()?;
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
        Some(request)
    }
}

/// `None` if it is not a file of text, or longer than any token. Opening a pipe or reading a device might never end.
fn read_token(path: &Path) -> Option<SecretString> {
    const LONGEST: u64 = 64 * 1024;
    let metadata = std::fs::metadata(path).ok()?;
    let is_usable = metadata.is_file() && metadata.len() <= LONGEST;
    Some(
        is_usable
            .then(|| std::fs::read_to_string(path).ok())??
            .into(),
    )
}

fn parse(body: &[u8]) -> Option<Credentials> {
    let response: Response = serde_json::from_slice(body).ok()?;
    let expiry = DateTime::from_str(&response.expiration, Format::DateTimeWithOffset).ok()?;
    let expiry = SystemTime::try_from(expiry).ok()?;
    let usable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = response.token.as_ref().map(ExposeSecret::expose_secret);
    // They go into headers, where the signing library accepts nothing else.
    (usable(&response.access_key_id) && token.is_none_or(usable)).then(|| {
        Credentials::new(
            response.access_key_id,
            response.secret_access_key.expose_secret(),
            token.map(str::to_owned),
            Some(expiry),
            "the container credentials endpoint",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_response_is_read() {
        let credentials = parse(
            br#"{"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"s","Token":"t/=","Expiration":"2026-11-26T12:00:00Z","RoleArn":"x"}"#,
        )
        .unwrap();
        assert_eq!(credentials.access_key_id(), "ASIAEXAMPLE");
        assert_eq!(credentials.session_token(), Some("t/="));
        assert!(credentials.expiry().is_some());
    }

    #[test]
    fn token_file_that_is_not_a_short_text_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("token"), "a token\n").unwrap();
        std::fs::write(path("long"), "x".repeat(65 * 1024)).unwrap();
        std::fs::write(path("binary"), b"\xff\xfe").unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), fifo, mode, 0).unwrap();
        let token = read_token(&path("token")).unwrap();
        assert_eq!(token.expose_secret(), "a token\n");
        for name in ["long", "binary", "pipe", "missing", "."] {
            assert!(read_token(&path(name)).is_none(), "{name}");
        }
        assert!(read_token(Path::new("/dev/zero")).is_none());
    }

    #[test]
    fn incomplete_or_unusable_response_is_rejected() {
        for body in [
            "",
            "{}",
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","Expiration":"soon"}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":"s"}"#,
            r#"{"AccessKeyId":"a\nb","SecretAccessKey":"s","Expiration":"2026-11-26T12:00:00Z"}"#,
            r#"{"AccessKeyId":"a","SecretAccessKey":"s","Token":"t\r","Expiration":"2026-11-26T12:00:00Z"}"#,
        ] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
