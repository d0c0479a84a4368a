//! HTTP/1.1 over TLS, through the environment's proxy and roots of trust.
//!
//! Input: a host's URL, [`NetworkSettings`], requests. Output: responses, or an [`HttpError`].
//! Invariant: certificates are always verified, and redirects are never followed.

pub mod client;
mod limited_read;
pub mod no_proxy;
pub mod tls;

use std::fmt;

use rustls::{RootCertStore, pki_types::CertificateDer};

/// The standard settings of an HTTP client.
#[derive(Default)]
pub struct NetworkSettings {
    /// `HTTPS_PROXY`: an `http://` URL, possibly with a user and a password.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`
    pub no_proxy: Option<String>,
    /// The content of `SSL_CERT_FILE`, which replaces the compiled-in roots.
    pub roots: Option<Roots>,
}

/// The certificates of `SSL_CERT_FILE`.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The authorities.
    pub store: RootCertStore,
    /// All certificates of the file, to recognize a server that presents one of them itself.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Why a host sent no complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::EnumIter))]
pub enum HttpError {
    /// The host's name could not be resolved.
    Resolve,
    /// No TCP connection to the host or to the proxy.
    Connect,
    /// The proxy answered 407: it wants credentials, or rejected those it got.
    ProxyAuthentication,
    /// The proxy refused to open a tunnel to the host.
    ProxyRefused,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// The connection ended before the response did.
    Interrupted,
    /// The response was not complete in time.
    TimedOut,
}

impl fmt::Display for HttpError {
    /// What follows "the request to HOST" in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "could not be sent: the host name could not be resolved",
            Self::Connect => "could not be sent: no connection",
            Self::ProxyAuthentication => {
                "could not be sent: the proxy answered 407, so it rejected the credentials in HTTPS_PROXY"
            }
            Self::ProxyRefused => "could not be sent: the proxy refused to connect to the host",
            Self::Tls => "could not be sent: the TLS handshake failed",
            Self::Interrupted => "failed: the connection ended before the response was complete",
            Self::TimedOut => "failed: no complete response arrived in time",
        })
    }
}
