//! How to reach hosts: proxies and certificate authorities.
//!
//! Input: the standard variables. Output: a [`Network`], or a [`NetworkError`] that names the variable and not its value, which
//! can have a password in it. The function's own rules decide.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use broker::{
    config::{env::ValueError, parse},
    http::{NetworkSettings, Roots, no_proxy, tls},
};
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::{ClientConfig, RootCertStore};

/// Proxies and certificate authorities. Clones share them.
#[derive(Clone)]
pub struct Network {
    https_proxy: Option<String>,
    http_proxy: Option<String>,
    no_proxy: String,
    /// `None` if there is no authority to trust.
    tls: Option<Arc<ClientConfig>>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A proxy.
    #[error("{variable} {}", .why.text())]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// The rule that it breaks.
        why: ValueError,
    },
    /// A file of certificates.
    #[error(
        "cannot use the certificates in {} ({setting}): it is not a readable file with PEM certificates. Correct the path, or unset it",
        crate::output::escape(.path)
    )]
    Certificates {
        /// The path.
        path: String,
        /// The variable that names it.
        setting: &'static str,
    },
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network") // a proxy's URL may contain a password
    }
}

impl Network {
    /// The proxies of the environment, and the authorities of `SSL_CERT_FILE`, or else of the system.
    ///
    /// # Errors
    /// A variable has a value that cannot be used.
    pub fn from_environment() -> Result<Self, NetworkError> {
        let roots = match variable(&["SSL_CERT_FILE"]) {
            Some((setting, path)) => certificates(&path, setting)?,
            None => SYSTEM.clone(),
        };
        Self::with_roots(roots)
    }

    /// The proxies of the environment, and the authorities of a file. `setting` is what names it.
    ///
    /// # Errors
    /// The file or a variable cannot be used.
    pub fn with_certificates(path: &str, setting: &'static str) -> Result<Self, NetworkError> {
        Self::with_roots(certificates(path, setting)?)
    }

    /// No proxy, and no authority.
    pub fn empty() -> Self {
        Self {
            https_proxy: None,
            http_proxy: None,
            no_proxy: String::new(),
            tls: None,
        }
    }

    fn with_roots(roots: Roots) -> Result<Self, NetworkError> {
        let has_roots = !roots.store.is_empty();
        let settings = NetworkSettings {
            roots: Some(roots),
            ..NetworkSettings::default()
        };
        let no_proxy = variable(&["NO_PROXY", "no_proxy"]);
        Ok(Self {
            https_proxy: proxy(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?,
            http_proxy: proxy(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])?,
            no_proxy: no_proxy.map(|(_, hosts)| hosts).unwrap_or_default(),
            tls: has_roots.then(|| tls::client_config(&settings)),
        })
    }

    /// The proxy for a URL.
    pub fn proxy_for(&self, url: &Uri) -> Option<Intercept> {
        let matcher = Matcher::builder()
            .https(self.https_proxy.clone().unwrap_or_default())
            .http(self.http_proxy.clone().unwrap_or_default())
            .no(no_proxy::entries_for(url, &self.no_proxy))
            .build();
        matcher.intercept(url)
    }

    /// The TLS settings. `None` if there is no authority to trust.
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.clone()
    }
}

/// The system's authorities. They are read once, and only if a connection could need them.
static SYSTEM: LazyLock<Roots> = LazyLock::new(|| {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Roots {
        store,
        certificates: Vec::new(),
    }
});

/// The first of these variables that has a value.
fn variable(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = std::env::var(name).ok()?.trim().to_owned();
        (!value.is_empty()).then_some((*name, value))
    })
}

fn proxy(names: &[&'static str]) -> Result<Option<String>, NetworkError> {
    variable(names)
        .map(|(variable, text)| {
            parse::proxy(&text).map_err(|why| NetworkError::Proxy { variable, why })
        })
        .transpose()
}

fn certificates(path: &str, setting: &'static str) -> Result<Roots, NetworkError> {
    parse::certificates(path).map_err(|_| NetworkError::Certificates {
        path: path.to_owned(),
        setting,
    })
}
