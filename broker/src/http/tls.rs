//! The TLS settings of every connection: which roots are trusted, and nothing that can be switched off.
//!
//! In: the network settings. Out: a rustls configuration, TLS 1.2 or 1.3, certificates always verified. The roots are
//! Mozilla's, compiled in: nothing is read at start-up, and a new release brings new ones. `SSL_CERT_FILE`
//! replaces them, for a private authority.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::config::Network;

/// The settings of every connection.
pub fn tls(network: &Network) -> Arc<ClientConfig> {
    let compiled_in = || RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let roots = network.roots.clone().unwrap_or_else(compiled_in);
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
