//! A throw-away certificate authority. Goes out: the file to trust it by, and TLS handshakes with a good certificate, one
//! for the wrong host, one of another authority, or none at all.

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

/// What a server presents to a client.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Present {
    Good,
    WrongHost,
    Untrusted,
    /// No handshake: an end in the middle of it.
    Nothing,
}

/// The authority and the servers' certificates.
pub(crate) struct Certificates {
    bundle: NamedTempFile,
    good: Arc<ServerConfig>,
    wrong_host: Arc<ServerConfig>,
    untrusted: Arc<ServerConfig>,
}

impl Certificates {
    /// A new authority, trusted by nobody who does not read [`Certificates::bundle`].
    pub(crate) fn new() -> Self {
        let (authority, pem) = authority("sandbox authority");
        let (stranger, _) = self::authority("another authority");
        let bundle =
            NamedTempFile::new().expect("the folder for temporary files can be written to");
        std::fs::write(bundle.path(), pem).expect("a temporary file can be written to");
        Self {
            bundle,
            good: server(&authority, &["127.0.0.1", "localhost"]),
            wrong_host: server(&authority, &["wrong.example"]),
            untrusted: server(&stranger, &["127.0.0.1", "localhost"]),
        }
    }

    /// The PEM file for `SSL_CERT_FILE`.
    pub(crate) fn bundle(&self) -> &Path {
        self.bundle.path()
    }

    /// The server's side of a handshake.
    pub(crate) async fn accept<S>(&self, stream: S, present: Present) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match present {
            Present::Good => &self.good,
            Present::WrongHost => &self.wrong_host,
            Present::Untrusted => &self.untrusted,
            Present::Nothing => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        TlsAcceptor::from(Arc::clone(config)).accept(stream).await
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().expect("a key can be made");
    let pem = params
        .self_signed(&key)
        .expect("an authority signs itself")
        .pem();
    (Issuer::new(params, key), pem)
}

fn server(issuer: &Issuer<'static, KeyPair>, hosts: &[&str]) -> Arc<ServerConfig> {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let key = KeyPair::generate().expect("a key can be made");
    let params = CertificateParams::new(names).expect("host names are valid");
    let certificate = params.signed_by(&key, issuer).expect("an authority signs");
    let private =
        PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just written");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3 are there")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("certificate and key belong together");
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;

    /// What a client says to a server that presents this.
    async fn shaken(certificates: &Certificates, present: Present) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_file(certificates.bundle()).expect("a PEM file");
        roots.add(pem).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3 are there")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let host = ServerName::try_from("127.0.0.1").expect("an address");
        let connector = TlsConnector::from(Arc::new(config));
        let (client, _) = tokio::join!(
            connector.connect(host, near),
            certificates.accept(far, present)
        );
        client.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn each_certificate_is_taken_or_refused_for_its_own_reason() {
        let certificates = Certificates::new();
        assert_eq!(shaken(&certificates, Present::Good).await, Ok(()));
        for (present, reason) in [
            (Present::WrongHost, "not valid for name"),
            (Present::Untrusted, "UnknownIssuer"),
            (Present::Nothing, "eof"),
        ] {
            let error = shaken(&certificates, present).await.expect_err("refused");
            assert!(error.contains(reason), "{present:?}: {error}");
        }
    }
}
