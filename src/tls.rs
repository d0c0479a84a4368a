//! The TLS settings of every connection: which roots are trusted, and nothing that can be switched off.
//!
//! In: the network settings. Out: a rustls configuration, TLS 1.2 or 1.3, certificates always verified. The roots are
//! Mozilla's, compiled in: nothing is read at start-up, and a new release brings new ones. `SSL_CERT_FILE`
//! replaces them, for a private authority.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::config::Network;

/// The trusted roots cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertFileUnusable;

impl fmt::Display for CertFileUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SSL_CERT_FILE must name a readable file of PEM certificates"
        )
    }
}

/// The settings of every connection.
///
/// # Errors
/// `SSL_CERT_FILE` is set, and gives no roots.
pub fn tls(network: &Network) -> Result<Arc<ClientConfig>, CertFileUnusable> {
    let mut roots = RootCertStore::empty();
    match &network.cert_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(|_| CertFileUnusable)? {
                roots
                    .add(certificate.map_err(|_| CertFileUnusable)?)
                    .map_err(|_| CertFileUnusable)?;
            }
            if roots.is_empty() {
                return Err(CertFileUnusable);
            }
        }
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
