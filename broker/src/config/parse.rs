//! What the value of each variable has to be; every rule stands here, once. Pure, but for [`roots`], which reads a file.
//!
//! In: a variable's text, not blank. Out: the value, or the one [`Fault`] that it has.

use std::{fs::File, io::Read, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tracing::Level;

use crate::{
    config::env::Fault,
    config::{ParameterName, RepositoryId},
    scope::Permissions,
};

#[expect(clippy::unnecessary_wraps, reason = "a rule like the others")]
pub(crate) fn any_text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

/// It becomes a label of SSM's host name.
pub(crate) fn region(text: &str) -> Result<String, Fault> {
    let supported = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 63 && text.bytes().all(supported) {
        Ok(text.to_owned())
    } else {
        Err(Fault::UnsupportedCharacters)
    }
}

/// It goes into a header.
pub(crate) fn credential(text: &str) -> Result<String, Fault> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(Fault::UnsupportedCharacters)
    }
}

pub(crate) fn name(text: &str) -> Result<String, Fault> {
    let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    // `.` and `..` would change the path of a request.
    if text.bytes().all(supported) && text != "." && text != ".." {
        Ok(text.to_owned())
    } else {
        Err(Fault::UnsupportedCharacters)
    }
}

/// Only an absolute and literal path: no ARN, no `:version` and no `:label`.
pub(crate) fn parameter_name(text: &str) -> Result<ParameterName, Fault> {
    let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    if text.len() > 1 && text.starts_with('/') && text.bytes().all(supported) {
        Ok(ParameterName(text.to_owned()))
    } else {
        Err(Fault::NotAParameterPath)
    }
}

pub(crate) fn permissions(text: &str) -> Result<Permissions, Fault> {
    let permissions: Permissions = serde_json::from_str(text).map_err(|_| Fault::NotAJsonObject)?;
    let blank = |text: &str| text.trim().is_empty();
    if permissions.is_empty() {
        Err(Fault::NoPermission)
    } else if permissions
        .iter()
        .any(|(name, level)| blank(name) || blank(level))
    {
        Err(Fault::EmptyPermission)
    } else {
        Ok(permissions)
    }
}

pub(crate) fn api_base(text: &str) -> Result<Uri, Fault> {
    let url: Uri = text
        .trim_end_matches('/')
        .parse()
        .map_err(|_| Fault::UrlNotAbsolute)?;
    let authority = url.authority().ok_or(Fault::UrlNotAbsolute)?;
    if authority.host().is_empty() {
        return Err(Fault::UrlNotAbsolute);
    }
    // `Uri` drops a fragment silently, so it is looked for in the text.
    if text.contains(['#', '?']) || has_user_info(&url) {
        return Err(Fault::UrlWithExtras);
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(&url) => Ok(url),
        Some(_) => Err(Fault::UrlNotHttps),
        None => Err(Fault::UrlNotAbsolute),
    }
}

pub(crate) fn level(text: &str) -> Result<Level, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        _ => Err(Fault::NotALevel),
    }
}

/// Lambda's own scale has a level below `debug` and one above `error`.
pub(crate) fn platform_level(text: &str) -> Result<Level, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::DEBUG),
        "fatal" => Ok(Level::ERROR),
        text => level(text),
    }
}

pub(crate) fn repository_id(text: &str) -> Result<RepositoryId, Fault> {
    positive(text).map(RepositoryId).ok_or(Fault::NotANumber)
}

/// A whole number from 1, in digits only: `parse` alone would take a sign too.
pub(crate) fn positive(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// CloudWatch's rule, from "PutMetricData" in its API reference.
pub(crate) fn namespace(text: &str) -> Result<String, Fault> {
    let supported = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    let reserved = text.starts_with("AWS/") || text.starts_with(':');
    if text.len() <= 255 && !reserved && text.bytes().all(supported) {
        Ok(text.to_owned())
    } else {
        Err(Fault::NotANamespace)
    }
}

pub(crate) fn endpoint(text: &str) -> Result<Uri, Fault> {
    let url: Uri = text.parse().map_err(|_| Fault::NotAnEndpoint)?;
    match url.scheme_str() {
        Some("http" | "https")
            if url.host().is_some_and(|host| !host.is_empty()) && !has_user_info(&url) =>
        {
            Ok(url)
        }
        _ => Err(Fault::NotAnEndpoint),
    }
}

/// FIPS endpoints are a promise to an auditor: a value that is neither yes nor no must not quietly mean no.
pub(crate) fn boolean(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::NotABoolean),
    }
}

/// A proxy that cannot be used must not quietly mean a direct connection.
pub(crate) fn proxy(text: &str) -> Result<String, Fault> {
    // As curl has it, a proxy may be given as host and port alone.
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let parsed: Uri = url.parse().map_err(|_| Fault::NotAProxy)?;
    match parsed.scheme_str() {
        Some("http") if parsed.host().is_some_and(|host| !host.is_empty()) && is_obeyed(&url) => {
            Ok(url)
        }
        _ => Err(Fault::NotAProxy),
    }
}

/// The client leaves out a proxy that it cannot read.
fn is_obeyed(proxy: &str) -> bool {
    let matcher = Matcher::builder().https(proxy).build();
    matcher
        .intercept(&Uri::from_static("https://api.github.com"))
        .is_some()
}

/// The certificates of a file. Bundles of an operating system hold odd ones, too: those are left out, as elsewhere.
pub(crate) fn roots(path: &str) -> Result<RootCertStore, Fault> {
    let bundle = read_bundle(path).ok_or(Fault::NotCertificates)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(Fault::NotCertificates);
    }
    Ok(roots)
}

/// Nothing where it is no file, or longer than any bundle: a pipe or a device would not end.
fn read_bundle(path: &str) -> Option<Vec<u8>> {
    const LONGEST: u64 = 4 * 1024 * 1024;
    let is_file = std::fs::metadata(path).ok()?.is_file();
    let file = File::open(path).ok().filter(|_| is_file)?;
    let mut bundle = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bundle).ok()?;
    (bundle.len() as u64 <= LONGEST).then_some(bundle)
}

fn has_user_info(url: &Uri) -> bool {
    url.authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
}

pub(crate) fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
