//! The one HTTP client, for AWS and for GitHub.
//!
//! Input: a request. Output: status, headers and the whole body, or an [`HttpError`] that says whether the request was sent.
//! [`network`]: proxies and authorities, from the environment. [`connector`]: connections. Redirects are not followed.

pub mod connector;
pub mod network;

use std::{error::Error, time::Duration};

use aws_smithy_types::body::SdkBody;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper_util::client::legacy;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use connector::Client;
use network::{Network, NetworkError};

/// TCP, proxy and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body that is read. A simulated policy of IAM has some hundred kilobytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Sends requests.
#[derive(Debug)]
pub struct HttpClient {
    client: Result<Client, NetworkError>,
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
        "the URL of a request is not valid. Check --github-host, and the endpoints in the AWS configuration"
    )]
    InvalidUrl,
    /// The environment's proxy or certificates cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl HttpError {
    /// Whether nothing was sent, so that another attempt has no second effect.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NotConnected { .. })
    }
}

impl HttpClient {
    /// A client that waits this long for a response. The environment decides how it connects.
    pub fn new(timeout: Duration) -> Self {
        let client =
            Network::from_environment().map(|network| Client::new(network, CONNECT_TIMEOUT));
        Self { client, timeout }
    }

    /// The same, with these settings instead of the environment's.
    pub fn with_network(timeout: Duration, network: Network) -> Self {
        Self {
            client: Ok(Client::new(network, CONNECT_TIMEOUT)),
            timeout,
        }
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// There is no complete response.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response, HttpError> {
        self.send_within(request, self.timeout).await
    }

    /// The same, with a timeout of its own.
    ///
    /// # Errors
    /// There is no complete response.
    pub async fn send_within(
        &self,
        request: Request<Vec<u8>>,
        after: Duration,
    ) -> Result<Response, HttpError> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let host = host_and_port(request.uri());
        let deadline = Instant::now() + after;
        let late = |_| HttpError::TimedOut {
            host: host.clone(),
            after,
        };
        let exchange = client.request(request.map(SdkBody::from));
        let response = timeout_at(deadline, exchange).await.map_err(late)?;
        let response = response.map_err(|error| no_response(host.clone(), &error))?;
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

fn no_response(host: String, error: &legacy::Error) -> HttpError {
    let why = innermost(error);
    if error.is_connect() {
        HttpError::NotConnected { host, why }
    } else {
        HttpError::Interrupted { host, why }
    }
}

/// Host and port of a URL, without a user name and a password.
pub fn host_and_port(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().map(|port| format!(":{port}"));
    format!("{host}{}", port.unwrap_or_default())
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
