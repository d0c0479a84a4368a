//! Which GitHub server, and how its parts are addressed.
//!
//! Input: a host name, with an optional port. Output: the URLs of the web site and the APIs, and the variables that `gh`
//! reads for it.

use std::net::IpAddr;

/// The server that is used if the user names none.
pub const DEFAULT: &str = "github.com";

/// A GitHub server. Host names ignore case; this one is in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Parses a host name, with an optional port. A port that the scheme implies is dropped: it names the same server.
    ///
    /// # Errors
    /// The text is a URL, or not a host name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let host = text.trim().to_ascii_lowercase();
        if host.contains("://") || host.contains('/') {
            return Err(format!(
                "{} is not a host name: give the host without scheme and path, for example ghe.example.com",
                crate::output::escape(text)
            ));
        }
        let plain = host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c));
        let parsed = url::Url::parse(&format!("https://{host}/")).ok();
        let whole = parsed.filter(|url| plain && url.host_str().is_some() && url.port() != Some(0));
        if whole.is_none() || host.ends_with(':') {
            return Err(format!(
                "{} is not a host name",
                crate::output::escape(text)
            ));
        }
        let host = Self(host);
        let implied = if host.is_loopback() { ":80" } else { ":443" };
        let name = host.0.strip_suffix(implied);
        Ok(name.map_or_else(|| host.clone(), |name| Self(name.to_owned())))
    }

    /// Host and port, as git and `gh` write them.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// `https`; `http` for a loopback host only, for tests and the sandbox.
    pub fn scheme(&self) -> &'static str {
        if self.is_loopback() { "http" } else { "https" }
    }

    /// The REST API's root, without a final slash.
    pub fn api(&self) -> String {
        let (scheme, name) = (self.scheme(), self.name());
        if self.is_cloud() {
            format!("{scheme}://api.{name}")
        } else {
            format!("{scheme}://{name}/api/v3")
        }
    }

    /// The GraphQL API.
    pub fn graphql(&self) -> String {
        let (scheme, name) = (self.scheme(), self.name());
        if self.is_cloud() {
            format!("{scheme}://api.{name}/graphql")
        } else {
            format!("{scheme}://{name}/api/graphql")
        }
    }

    /// The URL of a repository on the web site, which git uses too.
    pub fn repository_url(&self, repository: &str) -> String {
        format!("{}://{}/{repository}", self.scheme(), self.name())
    }

    /// Whether this is github.com itself.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }

    /// The variables in which `gh` expects a token for this host, in its order.
    pub fn token_variables(&self) -> [&'static str; 2] {
        if self.is_cloud() {
            ["GH_TOKEN", "GITHUB_TOKEN"]
        } else {
            ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
        }
    }

    /// A repository as `GH_REPO` names it: with its host unless that is github.com.
    pub fn qualified(&self, repository: &str) -> String {
        if self.is_default() {
            repository.to_owned()
        } else {
            format!("{}/{repository}", self.name())
        }
    }

    /// github.com, or GitHub Enterprise Cloud with data residency.
    fn is_cloud(&self) -> bool {
        self.is_default()
            || self
                .0
                .strip_suffix(".ghe.com")
                .is_some_and(|name| !name.contains('.'))
    }

    fn is_loopback(&self) -> bool {
        let url = url::Url::parse(&format!("http://{}/", self.0)).ok();
        let host = url
            .as_ref()
            .and_then(url::Url::host_str)
            .unwrap_or_default();
        let address = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(host: &str) -> [String; 3] {
        let host = Host::parse(host).unwrap();
        [host.repository_url("o/r"), host.api(), host.graphql()]
    }

    #[test]
    fn every_kind_of_server_has_its_urls() {
        assert_eq!(
            addresses("GitHub.com"),
            [
                "https://github.com/o/r",
                "https://api.github.com",
                "https://api.github.com/graphql"
            ]
        );
        assert_eq!(
            addresses("octo.ghe.com"),
            [
                "https://octo.ghe.com/o/r",
                "https://api.octo.ghe.com",
                "https://api.octo.ghe.com/graphql"
            ]
        );
        assert_eq!(
            addresses("ghe.example.com:8443"),
            [
                "https://ghe.example.com:8443/o/r",
                "https://ghe.example.com:8443/api/v3",
                "https://ghe.example.com:8443/api/graphql"
            ]
        );
        for loopback in ["127.0.0.1:443", "localhost:3000", "[::1]:9", "127.9.9.9"] {
            assert_eq!(addresses(loopback)[1], format!("http://{loopback}/api/v3"));
        }
    }

    #[test]
    fn implied_port_names_the_same_server() {
        for (with_port, host) in [
            ("GitHub.com:443", "github.com"),
            ("octo.ghe.com:443", "octo.ghe.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[2001:db8::443]", "[2001:db8::443]"),
            ("ghe.example.com:80", "ghe.example.com:80"),
        ] {
            assert_eq!(Host::parse(with_port).unwrap().name(), host, "{with_port}");
        }
        assert!(Host::parse("github.com:443").unwrap().is_default());
    }

    #[test]
    fn only_a_loopback_host_uses_http() {
        for host in [
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "github.com",
        ] {
            assert_eq!(Host::parse(host).unwrap().scheme(), "https", "{host}");
        }
    }

    #[test]
    fn gh_variables_follow_the_kind_of_server() {
        let variables = |host: &str| Host::parse(host).unwrap().token_variables()[0];
        assert_eq!(variables("github.com"), "GH_TOKEN");
        assert_eq!(variables("octo.ghe.com"), "GH_TOKEN");
        assert_eq!(variables("ghe.example.com"), "GH_ENTERPRISE_TOKEN");
        assert_eq!(variables("a.b.ghe.com"), "GH_ENTERPRISE_TOKEN");
        assert_eq!(variables("ghe.com"), "GH_ENTERPRISE_TOKEN");
    }

    #[test]
    fn what_is_not_a_host_name_is_rejected() {
        for text in [
            "",
            "https://github.com",
            "github.com/o",
            "a b",
            "user@github.com",
            "github.com:",
            "x:0",
            "x:99999",
            "a\nb",
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
    }
}
