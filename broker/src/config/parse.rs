//! The rule of each variable. Pure, except for [`certificates`], which reads a file.
//!
//! Input: the text of a variable, which is not blank. Output: its value, or one [`ValueError`].

use std::{fs::File, io::Read, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tracing::Level;

use super::env::ValueError;
use crate::{
    app::{ClientId, InstallationId},
    aws::{kms::KmsKeyId, ssm::ParameterName},
    http::Roots,
    scope::{Permissions, Repository, RepositoryId, positive_integer},
};

#[expect(clippy::unnecessary_wraps, reason = "a rule like the others")]
pub(super) fn non_blank(text: &str) -> Result<String, ValueError> {
    Ok(text.to_owned())
}

/// It becomes a label of a host name.
pub(super) fn region(text: &str) -> Result<String, ValueError> {
    let supported = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 63 && text.bytes().all(supported) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::UnsupportedCharacters)
    }
}

/// It goes into a header.
pub(super) fn credential(text: &str) -> Result<String, ValueError> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::UnsupportedCharacters)
    }
}

pub(super) fn repository_owner(text: &str) -> Result<String, ValueError> {
    if Repository::is_valid_part(text) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::UnsupportedCharacters)
    }
}

pub(super) fn repository_name(text: &str) -> Result<String, ValueError> {
    let is_with_owner = text.trim_end_matches('/').contains('/');
    repository_owner(text).map_err(|error| {
        if is_with_owner {
            ValueError::NameWithOwner
        } else {
            error
        }
    })
}

pub(super) fn parameter_name(text: &str) -> Result<ParameterName, ValueError> {
    ParameterName::parse(text).ok_or(ValueError::NotAParameterPath)
}

pub(super) fn client_id(text: &str) -> Result<ClientId, ValueError> {
    if ClientId::is_supported(text) {
        ClientId::parse(text).ok_or(ValueError::NotAClientId)
    } else {
        Err(ValueError::UnsupportedCharacters)
    }
}

pub(super) fn installation_id(text: &str) -> Result<InstallationId, ValueError> {
    InstallationId::parse(text).ok_or(ValueError::NotAPositiveInteger)
}

pub(super) fn kms_key(text: &str) -> Result<KmsKeyId, ValueError> {
    KmsKeyId::parse(text).ok_or(ValueError::NotAKmsKey)
}

pub(super) fn permissions(text: &str) -> Result<Permissions, ValueError> {
    let permissions: Permissions =
        serde_json::from_str(text).map_err(|_| ValueError::NotAJsonObject)?;
    let blank = |text: &str| text.trim().is_empty();
    if permissions.is_empty() {
        Err(ValueError::NoPermission)
    } else if permissions
        .iter()
        .any(|(name, level)| blank(name) || blank(level))
    {
        Err(ValueError::EmptyPermission)
    } else {
        Ok(permissions)
    }
}

pub(super) fn api_base(text: &str) -> Result<Uri, ValueError> {
    let url: Uri = text
        .trim_end_matches('/')
        .parse()
        .map_err(|_| ValueError::UrlNotAbsolute)?;
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    if url.scheme().is_none() || !has_host {
        return Err(ValueError::UrlNotAbsolute);
    }
    // `Uri` drops a fragment silently, so the text is searched.
    if text.contains(['#', '?']) || has_user_info(&url) {
        return Err(ValueError::UrlWithExtras);
    }
    if !has_valid_port(&url) {
        return Err(ValueError::UrlPort);
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(&url) => Ok(url),
        _ => Err(ValueError::UrlNotHttps),
    }
}

pub(super) fn log_level(text: &str) -> Result<Level, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        _ => Err(ValueError::NotALevel),
    }
}

/// Lambda's own scale has a level below `debug` and one above `error`.
pub(super) fn lambda_log_level(text: &str) -> Result<Level, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::DEBUG),
        "fatal" => Ok(Level::ERROR),
        text => log_level(text),
    }
}

pub(super) fn repository_id(text: &str) -> Result<RepositoryId, ValueError> {
    RepositoryId::parse(text).ok_or(ValueError::NotARepositoryId)
}

pub(super) fn concurrency(text: &str) -> Result<usize, ValueError> {
    positive_integer(text)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or(ValueError::NotAPositiveInteger)
}

/// The rule of CloudWatch's
/// [PutMetricData](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html).
pub(super) fn namespace(text: &str) -> Result<String, ValueError> {
    let supported = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    let reserved = text.starts_with("AWS/") || text.starts_with(':');
    if text.len() <= 255 && !reserved && text.bytes().all(supported) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::NotANamespace)
    }
}

/// The URL of an AWS endpoint. The client uses this rule too, as it does those for proxies and certificates.
pub fn endpoint(text: &str) -> Result<Uri, ValueError> {
    let url: Uri = text.parse().map_err(|_| ValueError::NotAnEndpoint)?;
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    match url.scheme_str() {
        Some("http" | "https") if has_host && !has_user_info(&url) && has_valid_port(&url) => {
            Ok(url)
        }
        _ => Err(ValueError::NotAnEndpoint),
    }
}

/// The addresses at which the AWS SDKs accept a container credentials endpoint over http, besides loopback.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

pub(super) fn container_credentials(text: &str) -> Result<Uri, ValueError> {
    let url = endpoint(text).map_err(|_| ValueError::NotACredentialsUrl)?;
    let is_container_host = CONTAINER_HOSTS.contains(&host_without_brackets(&url));
    if url.scheme_str() == Some("https") || is_loopback(&url) || is_container_host {
        Ok(url)
    } else {
        Err(ValueError::NotACredentialsUrl)
    }
}

/// FIPS endpoints are a promise to an auditor: a value that is neither yes nor no must not silently mean no.
pub(super) fn boolean(text: &str) -> Result<bool, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ValueError::NotABoolean),
    }
}

/// A proxy that cannot be used must not silently mean a direct connection.
pub fn proxy(text: &str) -> Result<String, ValueError> {
    // curl accepts a proxy as host and port alone, too.
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let parsed: Uri = url.parse().map_err(|_| ValueError::NotAProxy)?;
    let has_host = parsed.host().is_some_and(|host| !host.is_empty());
    // In a password, these characters would end the host and the port.
    let has_reserved = text.contains(['#', '?']);
    match parsed.scheme_str() {
        Some("http")
            if has_host && has_valid_port(&parsed) && !has_reserved && is_recognized(&url) =>
        {
            Ok(url)
        }
        _ => Err(ValueError::NotAProxy),
    }
}

/// The client ignores a proxy that it cannot read.
fn is_recognized(proxy: &str) -> bool {
    let matcher = Matcher::builder().https(proxy).build();
    matcher
        .intercept(&Uri::from_static("https://api.github.com"))
        .is_some()
}

/// The certificates of a file. The bundles of operating systems contain certificates that cannot be parsed. They are
/// skipped, as elsewhere.
pub fn certificates(path: &str) -> Result<Roots, ValueError> {
    let bundle = read_bundle(path).ok_or(ValueError::NotCertificates)?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bundle)
        .filter_map(Result::ok)
        .collect();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    if store.is_empty() {
        return Err(ValueError::NotCertificates);
    }
    Ok(Roots {
        store,
        certificates,
    })
}

/// `None` if it is not a file, or longer than any bundle. Opening a pipe or reading a device might never end.
fn read_bundle(path: &str) -> Option<Vec<u8>> {
    const LONGEST: u64 = 4 * 1024 * 1024;
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bundle = Vec::new();
    File::open(path)
        .ok()?
        .take(LONGEST + 1)
        .read_to_end(&mut bundle)
        .ok()?;
    (bundle.len() as u64 <= LONGEST).then_some(bundle)
}

fn has_user_info(url: &Uri) -> bool {
    url.authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
}

/// Whether there is no port, or one from 1 to 65535. `Uri` accepts any text after the colon, and then has no port.
fn has_valid_port(url: &Uri) -> bool {
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let after_host = host_and_port.rsplit(']').next().unwrap_or_default();
    match after_host.split_once(':') {
        None => true,
        Some((_, port)) => positive_integer(port).is_some_and(|port| u16::try_from(port).is_ok()),
    }
}

fn host_without_brackets(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_matches(['[', ']'])
}

pub(super) fn is_loopback(url: &Uri) -> bool {
    let host = host_without_brackets(url);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
