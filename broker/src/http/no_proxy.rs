//! `NO_PROXY`, as Go and curl read it, for one host.
//!
//! The proxy library knows names, IP addresses and networks. This adds the two forms that it lacks: `*.example.com` and
//! entries with a port.

use http::Uri;

/// `*` means every host. hyper-util's matcher knows it for names, not for addresses.
const EVERY_HOST: &str = "*";

/// The entries that can apply to the host of `url`, in the forms that hyper-util's matcher knows.
pub fn entries_for(url: &Uri, no_proxy: &str) -> String {
    let port = url.port_u16().unwrap_or(match url.scheme_str() {
        Some("http") => 80,
        _ => 443,
    });
    let entries = no_proxy.split([',', ' ']).filter_map(|entry| {
        let entry = entry.trim();
        let host = match split_port(entry) {
            Some((host, only)) if only == port => host,
            Some(_) => return None,
            None => entry,
        };
        let host = match host {
            EVERY_HOST => url.host().unwrap_or_default(),
            host => host,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_wildcard = host.starts_with("*.");
        Some(host.get(usize::from(is_wildcard)..).unwrap_or_default())
    });
    entries
        .filter(|entry| !entry.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

/// The host and the port of an entry with a port. A bare IPv6 address has colons and no port.
fn split_port(entry: &str) -> Option<(&str, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let is_bare_ipv6 = host.contains(':') && !host.ends_with(']');
    let port = port.parse().ok()?;
    (!is_bare_ipv6).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use hyper_util::client::proxy::matcher::Matcher;

    use super::*;

    fn bypasses(no_proxy: &str, url: &'static str) -> bool {
        let url = Uri::from_static(url);
        let matcher = Matcher::builder()
            .https("http://proxy.example.com:3128")
            .http("http://proxy.example.com:3128")
            .no(entries_for(&url, no_proxy))
            .build();
        matcher.intercept(&url).is_none()
    }

    #[test]
    fn entries_match_as_in_go() {
        for (no_proxy, url) in [
            ("*.amazonaws.com", "https://ssm.eu-west-1.amazonaws.com"),
            (".amazonaws.com", "https://ssm.eu-west-1.amazonaws.com"),
            ("amazonaws.com", "https://ssm.eu-west-1.amazonaws.com"),
            ("AMAZONAWS.com", "https://ssm.eu-west-1.amazonaws.com"),
            ("api.github.com:443", "https://api.github.com"),
            ("*.github.com:443", "https://api.github.com"),
            ("a.com, api.github.com", "https://api.github.com"),
            ("a.com api.github.com", "https://api.github.com"),
            ("ghe.example.com:8443", "https://ghe.example.com:8443"),
            ("10.0.0.0/8", "https://10.1.2.3"),
            ("10.1.2.3:443", "https://10.1.2.3"),
            ("::1", "https://[::1]"),
            ("[::1]:8443", "https://[::1]:8443"),
            ("fd00::/8", "https://[fd00::17]"),
            ("*", "https://api.github.com"),
            ("*", "https://10.1.2.3:8443"),
            ("a.com, *", "https://[::1]"),
            ("*:8443", "https://10.1.2.3:8443"),
        ] {
            assert!(bypasses(no_proxy, url), "{no_proxy} {url}");
        }
    }

    #[test]
    fn other_hosts_and_ports_use_the_proxy() {
        for (no_proxy, url) in [
            ("", "https://api.github.com"),
            (",, ,", "https://api.github.com"),
            ("api.github.com:80", "https://api.github.com"),
            ("api.github.com:8443", "https://api.github.com"),
            ("*.github.com", "https://api.notgithub.com"),
            ("github.com:443", "https://api.github.com.example.org"),
            ("[::1]:443", "https://[::1]:8443"),
            ("::2", "https://[::1]"),
            ("*:443", "https://10.1.2.3:8443"),
            ("10.0.0.0/8", "https://11.1.2.3"),
        ] {
            assert!(!bypasses(no_proxy, url), "{no_proxy} {url}");
        }
    }
}
