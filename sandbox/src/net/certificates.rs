//! A temporary certificate authority.
//!
//! Output: the file that makes a client trust it, and TLS handshakes with a valid certificate, a certificate for a different
//! host, a certificate from an unknown authority, or no certificate at all.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The hosts of the servers.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// The certificate that a server presents.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CertificateKind {
    Valid,
    WrongHost,
    Untrusted,
    /// The server ends the connection during the handshake.
    HandshakeFailure,
}

/// A self-signed certificate of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfSigned {
    /// For the servers, marked as an authority, as `openssl req -x509` does it.
    Authority,
    /// For the servers, and not an authority.
    EndEntity,
    /// As the first, and expired.
    Expired,
    /// As the first, for a different host.
    WrongHost,
    /// As the first. The client trusts a different certificate with the same names.
    Unlisted,
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
    pub(crate) fn new(self_signed: Option<SelfSigned>) -> Self {
        let (authority, pem) = authority("sandbox authority");
        let (unknown, _) = self::authority("unknown authority");
        let (valid, pem) = match self_signed {
            Some(kind) => self_signed_server(kind),
            None => (server(&authority, &HOSTS), pem),
        };
        let bundle = NamedTempFile::new().expect("the temporary folder is writable");
        std::fs::write(bundle.path(), pem).expect("a temporary file is writable");
        Self {
            bundle,
            valid,
            wrong_host: server(&authority, &["wrong.example"]),
            untrusted: server(&unknown, &HOSTS),
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

/// A server's configuration, and the PEM of the certificate that its clients trust.
fn self_signed_server(kind: SelfSigned) -> (Arc<ServerConfig>, String) {
    let hosts: &[&str] = match kind {
        SelfSigned::WrongHost => &["wrong.example"],
        _ => &HOSTS,
    };
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("host names are valid");
    if kind != SelfSigned::EndEntity {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    if kind == SelfSigned::Expired {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().expect("a key can be generated");
    let certificate = params.self_signed(&key).expect("a key can sign");
    let trusted = match kind {
        SelfSigned::Unlisted => {
            let other = KeyPair::generate().expect("a key can be generated");
            params.self_signed(&other).expect("a key can sign").pem()
        }
        _ => certificate.pem(),
    };
    (server_config(&certificate, &key), trusted)
}

fn server(issuer: &Issuer<'static, KeyPair>, hosts: &[&str]) -> Arc<ServerConfig> {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let key = KeyPair::generate().expect("a key can be generated");
    let params = CertificateParams::new(names).expect("host names are valid");
    let certificate = params
        .signed_by(&key, issuer)
        .expect("an authority can sign");
    server_config(&certificate, &key)
}

fn server_config(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
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
    async fn self_signed_certificates_differ_in_what_a_client_rejects() {
        for (kind, reason) in [
            (SelfSigned::Authority, "CaUsedAsEndEntity"),
            (SelfSigned::Expired, "expired"),
            (SelfSigned::WrongHost, "CaUsedAsEndEntity"),
            (SelfSigned::Unlisted, "CaUsedAsEndEntity"),
        ] {
            let certificates = Certificates::new(Some(kind));
            let error = handshake(&certificates, CertificateKind::Valid).await;
            let error = error.expect_err("rejected");
            assert!(error.contains(reason), "{kind:?}: {error}");
        }
        let certificates = Certificates::new(Some(SelfSigned::EndEntity));
        let result = handshake(&certificates, CertificateKind::Valid).await;
        assert_eq!(result, Ok(()));
    }

    #[tokio::test]
    async fn each_certificate_kind_is_accepted_or_rejected_for_its_own_reason() {
        let certificates = Certificates::new(None);
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
