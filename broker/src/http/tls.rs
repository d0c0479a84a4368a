//! The TLS settings of every connection. None of them can be switched off.
//!
//! Output: TLS 1.2 or 1.3, certificates always verified. The roots are Mozilla's, compiled in, so nothing is read at
//! start-up; a new release brings new ones. `SSL_CERT_FILE` replaces them, for a private authority.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{NetworkSettings, Roots};

/// The TLS settings for `network`.
pub fn client_config(network: &NetworkSettings) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder();
    let mut config = match &network.roots {
        None => builder.with_root_certificates(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
        Some(roots) => match TrustedFile::new(roots) {
            Some(verifier) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier)),
            None => builder.with_root_certificates(roots.store.clone()),
        },
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The usual verifier, which also accepts a certificate that is in `SSL_CERT_FILE` itself.
///
/// A server with a self-signed certificate presents what its user put into the file. Such a certificate is often marked as
/// an authority (`openssl req -x509` does so), and the library rejects an authority as a server's own certificate. curl,
/// Python and Go accept it.
#[derive(Debug)]
struct TrustedFile {
    usual: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl TrustedFile {
    fn new(roots: &Roots) -> Option<Self> {
        Some(Self {
            usual: WebPkiServerVerifier::builder(Arc::new(roots.store.clone()))
                .build()
                .ok()?,
            certificates: roots.certificates.clone(),
        })
    }
}

/// The library checks the validity period first, so a certificate that gets this error is valid now.
fn is_authority_as_server(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else {
        return false;
    };
    matches!(
        error.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

impl ServerCertVerifier for TrustedFile {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error)
                if is_authority_as_server(&error) && self.certificates.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
