//! The one HTTP client, for AWS and for GitHub. It is the client of the AWS SDK: `aws-config` brings it anyway.
//!
//! Input: a request. Output: status, headers and the whole body, or an [`HttpError`] that says whether the request was sent.
//! Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`), authorities from the system or from `SSL_CERT_FILE`; for AWS
//! also from [`Authorities`]. Redirects are not followed.

use std::{
    error::Error,
    fs, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
        http_client_fn,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use base64ct::{Base64, Encoding as _};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// TCP, proxy and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body that is read. A simulated policy of IAM has some hundred kilobytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Sends requests.
#[derive(Debug)]
pub struct HttpClient {
    connector: Connector,
    timeout: Duration,
}

/// A whole response.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. It can hold a token.
    pub body: Zeroizing<Vec<u8>>,
}

/// There is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection: nothing of the request was sent.
    #[error("no connection to {host}: {why}. {}", remedy(.why))]
    NotConnected {
        /// Host and port.
        host: String,
        /// The reason, from the operating system or the TLS library.
        why: String,
    },
    /// The request was sent, and the response did not arrive in time.
    #[error("no response from {host} within {} s. Retry; if it persists, check the network and the proxy", .after.as_secs())]
    TimedOut {
        /// Host and port.
        host: String,
        /// How long the client waited.
        after: Duration,
    },
    /// The connection broke after the request was sent.
    #[error(
        "the connection to {host} broke before the response was complete: {why}. Retry; if it persists, check the network and \
         the proxy"
    )]
    Interrupted {
        /// Host and port.
        host: String,
        /// The reason.
        why: String,
    },
    /// The response is longer than anything that is expected.
    #[error(
        "the response from {host} is longer than {} MiB. Check the endpoint and the proxy",
        BODY_LIMIT / 1024 / 1024
    )]
    TooLong {
        /// Host and port.
        host: String,
    },
    /// The request cannot be built.
    #[error(
        "the URL {url} is not valid. Check the endpoint in the environment and in the AWS configuration"
    )]
    InvalidUrl {
        /// The URL.
        url: String,
    },
}

impl HttpError {
    /// Whether nothing was sent, so that another attempt has no second effect.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NotConnected { .. })
    }
}

impl HttpClient {
    /// A client that waits this long for a response.
    pub fn new(timeout: Duration) -> Self {
        Self::with_authorities(timeout, &Authorities::default())
    }

    /// The same, with certificate authorities of its own.
    pub fn with_authorities(timeout: Duration, authorities: &Authorities) -> Self {
        // The deadline of `send` covers the body too; the connector's own read timeout ends at the headers.
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        Self {
            connector: connector(&settings, authorities),
            timeout,
        }
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// There is no complete response.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response, HttpError> {
        let host = request
            .uri()
            .authority()
            .map_or_else(String::new, ToString::to_string);
        let url = request.uri().to_string();
        let deadline = Instant::now() + self.timeout;
        let late = |_| HttpError::TimedOut {
            host: host.clone(),
            after: self.timeout,
        };
        let request = HttpRequest::try_from(request.map(SdkBody::from));
        let request = request.map_err(|_| HttpError::InvalidUrl { url })?;
        let response = timeout_at(deadline, self.connector.call(request))
            .await
            .map_err(late)?;
        let response = response.map_err(|error| no_response(host.clone(), &error))?;
        let response = response
            .try_into_http1x()
            .map_err(|error| HttpError::Interrupted {
                host: host.clone(),
                why: innermost(&error),
            })?;
        let (head, body) = response.into_parts();
        let body = timeout_at(deadline, Limited::new(body, BODY_LIMIT).collect())
            .await
            .map_err(late)?;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong { host: host.clone() }
            } else {
                HttpError::Interrupted {
                    host: host.clone(),
                    why: innermost(error.as_ref()),
                }
            }
        })?;
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body: Zeroizing::new(body.to_bytes().to_vec()),
        })
    }
}

/// The certificate authorities that a connection trusts: the system's, until a file replaces them. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Arc<OnceLock<TrustStore>>);

impl Authorities {
    /// Replaces the system's authorities. A certificate that cannot be used as an authority is skipped, as in curl.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate of an authority.
    pub fn replace(&self, path: &str) -> io::Result<()> {
        let pem = fs::read(path)?;
        let (mut store, mut accepted) = (TrustStore::empty(), RootCertStore::empty());
        for certificate in CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok) {
            if accepted.add(certificate.clone()).is_ok() {
                let base64 = Base64::encode_string(&certificate);
                store.add_pem_certificate(format!(
                    "-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"
                ));
            }
        }
        if accepted.is_empty() {
            return Err(io::Error::other("it has no PEM certificate"));
        }
        let _ = self.0.set(store);
        Ok(())
    }
}

/// The same client for the AWS SDK's own calls: SSO, STS, IMDS, ECS. The SDK sets the timeouts.
pub fn sdk_client(authorities: &Authorities) -> SharedHttpClient {
    let authorities = authorities.clone();
    http_client_fn(move |settings, _| SharedHttpConnector::new(connector(settings, &authorities)))
}

fn connector(settings: &HttpConnectorSettings, authorities: &Authorities) -> Connector {
    let store = authorities.0.get().cloned().unwrap_or_default();
    // The library's builder has no failure yet.
    let tls = TlsContext::builder().with_trust_store(store).build();
    Connector::builder()
        .connector_settings(settings.clone())
        .sleep_impl(TokioSleep::new())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls.unwrap_or_default())
        .build()
}

fn no_response(host: String, error: &ConnectorError) -> HttpError {
    let why = innermost(error);
    let mut sources = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| {
        error.source()
    });
    let is_unsent = sources.any(|source| {
        source
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    });
    if is_unsent {
        let why = if error.is_timeout() {
            format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())
        } else {
            why
        };
        return HttpError::NotConnected { host, why };
    }
    HttpError::Interrupted { host, why }
}

/// The cause at the bottom, which is the operating system's or the TLS library's.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn remedy(why: &str) -> &'static str {
    if why.contains("certificate") {
        "If a proxy or a private server uses a certificate authority of its own, set SSL_CERT_FILE to the authority's PEM file \
         (for AWS alone: AWS_CA_BUNDLE)"
    } else {
        "Check the network, the endpoint, and the proxy variables HTTPS_PROXY and NO_PROXY"
    }
}

// Only Linux drops attempts to connect while a listener's queue is full.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connect_timeout_is_reported_as_such() {
        // A listener whose queue is full: the kernel drops further attempts to connect.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let full =
            |()| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok();
        let _queue: Vec<_> = std::iter::repeat(()).map_while(full).collect();
        let request = Request::get(format!("http://{address}/")).body(Vec::new());
        let client = HttpClient::new(Duration::from_secs(905));
        let error = client.send(request.unwrap()).await.map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no connection to {address}: no answer within 10 s. Check the network, the endpoint, and the proxy variables \
                 HTTPS_PROXY and NO_PROXY"
            )
        );
        assert!(error.is_unsent());
    }
}
