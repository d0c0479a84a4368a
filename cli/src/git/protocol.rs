//! Git's credential helper protocol: `key=value` lines, as `git help credential` documents them.
//!
//! Input: what git writes. Output: a [`Request`], and the answer's text.

use std::io::Read;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::{github::host::Host, response::Grant};

/// The user name for installation tokens, after GitHub's documentation.
const USERNAME: &str = "x-access-token";

/// Git's lines have up to 65,535 bytes; a request has about ten of them.
const LARGEST_REQUEST: u64 = 1024 * 1024;

/// The request is not one of git's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// stdin cannot be read.
    #[error("git's request cannot be read")]
    Unreadable,
    /// A line without `=`.
    #[error("git's request has a line without an equals sign")]
    NotAnAttribute,
    /// A value that could break out of its line.
    #[error("git's request has control characters in it")]
    ControlCharacter,
}

/// What git wants a credential for.
#[derive(Debug, Default)]
pub struct Request {
    protocol: String,
    host: String,
    path: Option<String>,
    password: Option<SecretString>,
}

impl Request {
    /// Reads a request, up to an empty line or the end.
    ///
    /// # Errors
    /// This is not what git writes.
    pub fn read(input: impl Read) -> Result<Self, ProtocolError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
        let read = input.take(LARGEST_REQUEST).read_to_end(&mut bytes);
        read.map_err(|_| ProtocolError::Unreadable)?;
        let mut request = Self::default();
        for line in bytes
            .split(|&byte| byte == b'\n')
            .take_while(|line| !line.is_empty())
        {
            if line.iter().any(u8::is_ascii_control) {
                return Err(ProtocolError::ControlCharacter);
            }
            // Git decodes the path of the URL: it can be any bytes. Bytes that are not UTF-8 match nothing.
            let line = Zeroizing::new(String::from_utf8_lossy(line).into_owned());
            let (name, value) = line.split_once('=').ok_or(ProtocolError::NotAnAttribute)?;
            match name {
                "protocol" => value.clone_into(&mut request.protocol),
                "host" => value.clone_into(&mut request.host),
                "path" => request.path = Some(value.to_owned()),
                "password" => request.password = Some(SecretString::from(value)),
                _ => {}
            }
        }
        Ok(request)
    }

    /// Whether the request is for this GitHub server. Git sends the port of a URL that has one, even the implied one.
    pub fn is_for_host(&self, host: &Host) -> bool {
        self.protocol == host.scheme()
            && Host::parse(&self.host).is_ok_and(|requested| requested == *host)
    }

    /// Whether the request is for what this token is good for. A request without a path is.
    pub fn is_for_repository_of(&self, grant: &Grant) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| grant.repository.contains(path))
    }

    /// Whether the request is about this token. A request without a password is.
    pub fn has_password_of(&self, grant: &Grant) -> bool {
        let token = grant.token.expose_secret();
        self.password
            .as_ref()
            .is_none_or(|password| password.expose_secret() == token)
    }
}

/// The answer to `get`: a secret.
pub fn answer(grant: &Grant) -> Zeroizing<String> {
    let token = grant.token.expose_secret();
    let expiry = grant
        .expiry()
        .map(|expiry| format!("password_expiry_utc={expiry}\n"));
    Zeroizing::new(format!(
        "username={USERNAME}\npassword={token}\n{}",
        expiry.unwrap_or_default()
    ))
}

/// The answer to `get` if there is no token: git stops, and does not ask at the terminal.
pub const QUIT: &str = "quit=1\n";

/// The answer to `capability`: no optional capability is supported.
pub const CAPABILITIES: &str = "version 0\n";

/// A helper for one process and its children: it answers with the token in this environment variable.
pub fn environment_helper(variable: &str) -> String {
    format!(
        r#"!f() {{ if test "$1" = get; then printf 'username={USERNAME}\npassword=%s\n' "${variable}"; fi; }}; f"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        let body = br#"{"token":"ghs_x","expires_at":"2026-04-23T16:48:32Z","repositories":["o/r"],"permissions":{"contents":"read"}}"#;
        Grant::parse(body).unwrap()
    }

    fn request(text: &str) -> Request {
        Request::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn request_matches_by_protocol_host_path_and_password() {
        let (host, grant) = (Host::parse("github.com").unwrap(), grant());
        let ours = request(
            "capability[]=authtype\nprotocol=https\nhost=GitHub.com\npath=O/r.git\npassword=ghs_x\n\nhost=x\n",
        );
        assert!(
            ours.is_for_host(&host)
                && ours.is_for_repository_of(&grant)
                && ours.has_password_of(&grant)
        );
        assert!(request("protocol=https\nhost=github.com:443\n").is_for_host(&host));
        assert!(!request("protocol=https\nhost=github.com:80\n").is_for_host(&host));
        assert!(!request("protocol=http\nhost=github.com\n").is_for_host(&host));
        assert!(!request("protocol=https\nhost=gitlab.com\n").is_for_host(&host));
        assert!(!request("").is_for_host(&host));
        assert!(!request("path=o/other\n").is_for_repository_of(&grant));
        assert!(!request("password=old\n").has_password_of(&grant));
        let bare = request("protocol=https\nhost=github.com\n");
        assert!(bare.is_for_repository_of(&grant) && bare.has_password_of(&grant));
    }

    #[test]
    fn malformed_request_is_rejected() {
        let rejected = |text: &str| Request::read(text.as_bytes()).map(|_| ()).unwrap_err();
        for text in ["host=a\rb\n", "host=a\0b\n", "path=a\tb\n", "host=a\x1bb\n"] {
            assert_eq!(rejected(text), ProtocolError::ControlCharacter, "{text:?}");
        }
        assert_eq!(rejected("host\n"), ProtocolError::NotAnAttribute);
    }

    #[test]
    fn answer_has_user_name_token_and_expiry() {
        assert_eq!(
            answer(&grant()).as_str(),
            "username=x-access-token\npassword=ghs_x\npassword_expiry_utc=1776962912\n"
        );
    }
}
