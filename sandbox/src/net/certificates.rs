//! A temporary certificate authority.
//!
//! Output: the file that makes a client trust it, and TLS handshakes with a valid certificate, a certificate for a different
//! host, a certificate from an unknown authority, or no certificate at all.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The certificate that a server presents.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CertificateKind {
    Valid,
    WrongHost,
    Untrusted,
    /// The server ends the connection during the handshake.
    HandshakeFailure,
}

/// The authority and the server certificates.
pub(crate) struct Certificates {
    bundle: NamedTempFile,
    valid: Arc<ServerConfig>,
    wrong_host: Arc<ServerConfig>,
    untrusted: Arc<ServerConfig>,
}

impl Certificates {
    /// Creates an authority. Only a client that reads [`Certificates::bundle`] trusts it.
    pub(crate) fn new() -> Self {
        let (authority, pem) = authority("sandbox authority");
        let (unknown, _) = self::authority("unknown authority");
        let bundle = NamedTempFile::new().expect("the temporary folder is writable");
        std::fs::write(bundle.path(), pem).expect("a temporary file is writable");
        Self {
            bundle,
            valid: server(&authority, &["127.0.0.1", "localhost"]),
            wrong_host: server(&authority, &["wrong.example"]),
            untrusted: server(&unknown, &["127.0.0.1", "localhost"]),
        }
    }

    /// The PEM file for `SSL_CERT_FILE`.
    pub(crate) fn bundle(&self) -> &Path {
        self.bundle.path()
    }

    /// Performs the server's side of a handshake.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        kind: CertificateKind,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match kind {
            CertificateKind::Valid => &self.valid,
            CertificateKind::WrongHost => &self.wrong_host,
            CertificateKind::Untrusted => &self.untrusted,
            CertificateKind::HandshakeFailure => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        };
        TlsAcceptor::from(Arc::clone(config)).accept(stream).await
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("an empty list of names is valid");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().expect("a key can be generated");
    let pem = params
        .self_signed(&key)
        .expect("an authority can sign itself")
        .pem();
    (Issuer::new(params, key), pem)
}

fn server(issuer: &Issuer<'static, KeyPair>, hosts: &[&str]) -> Arc<ServerConfig> {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let key = KeyPair::generate().expect("a key can be generated");
    let params = CertificateParams::new(names).expect("host names are valid");
    let certificate = params
        .signed_by(&key, issuer)
        .expect("an authority can sign");
    let private =
        PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just encoded");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3 are available")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("certificate and key match");
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;

    /// The error of a client that connects to a server with this certificate.
    async fn handshake(certificates: &Certificates, kind: CertificateKind) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_file(certificates.bundle()).expect("a PEM file");
        roots.add(pem).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3 are available")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let host = ServerName::try_from("127.0.0.1").expect("an address");
        let connector = TlsConnector::from(Arc::new(config));
        let (client, _) = tokio::join!(
            connector.connect(host, near),
            certificates.accept(far, kind)
        );
        client.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn each_certificate_kind_is_accepted_or_rejected_for_its_own_reason() {
        let certificates = Certificates::new();
        assert_eq!(
            handshake(&certificates, CertificateKind::Valid).await,
            Ok(())
        );
        for (kind, reason) in [
            (CertificateKind::WrongHost, "not valid for name"),
            (CertificateKind::Untrusted, "UnknownIssuer"),
            (CertificateKind::HandshakeFailure, "eof"),
        ] {
            let error = handshake(&certificates, kind).await.expect_err("rejected");
            assert!(error.contains(reason), "{kind:?}: {error}");
        }
    }
}
