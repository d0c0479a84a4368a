//! The function's response: a token and what it is good for.
//!
//! Input: the payload of an `Invoke`, or a cache entry. Output: a [`Grant`], or why it is not one. A payload is never
//! repeated in an error: it might hold a token.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::git::repository::Repository;

/// A token for one repository.
pub struct Grant {
    /// The token.
    pub token: SecretString,
    /// When it expires, exactly as GitHub returned it.
    pub expires_at: String,
    /// The repository that it is good for.
    pub repository: Repository,
    /// What it is allowed to do there.
    pub permissions: BTreeMap<String, String>,
    /// The whole response, as the function wrote it.
    body: SecretString,
}

/// The function's response is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the function's response is malformed: {0}. Check that the function is a github-token-broker"
)]
pub struct ResponseError(&'static str);

#[derive(Deserialize)]
struct Body {
    token: SecretString,
    expires_at: String,
    repositories: Vec<String>,
    permissions: BTreeMap<String, String>,
}

impl Grant {
    /// Parses a response.
    ///
    /// # Errors
    /// A field is missing, or has characters that must not reach a terminal or a header.
    pub fn parse(body: &[u8]) -> Result<Self, ResponseError> {
        let text = std::str::from_utf8(body).map_err(|_| ResponseError("it is not UTF-8"))?;
        let parsed: Body = serde_json::from_str(text).map_err(|_| {
            ResponseError("it is not JSON with token, expires_at, repositories and permissions")
        })?;
        let token = parsed.token.expose_secret();
        if token.is_empty() || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(ResponseError(
                "the token is empty, or contains control characters or spaces",
            ));
        }
        let [repository] = parsed.repositories.as_slice() else {
            return Err(ResponseError("repositories does not hold exactly one name"));
        };
        let repository = Repository::parse(repository)
            .ok_or(ResponseError("repositories does not hold an OWNER/REPO"))?;
        let texts = parsed
            .permissions
            .iter()
            .flat_map(|(name, level)| [name, level]);
        if texts
            .chain([&parsed.expires_at])
            .any(|text| text.contains(char::is_control))
        {
            return Err(ResponseError("a field contains control characters"));
        }
        Ok(Self {
            token: parsed.token,
            expires_at: parsed.expires_at,
            repository,
            permissions: parsed.permissions,
            body: SecretString::from(text.trim()),
        })
    }

    /// The response as the function wrote it: a secret.
    pub fn body(&self) -> &str {
        self.body.expose_secret()
    }

    /// The expiry in epoch seconds. `None` if it is not RFC 3339: such a token is used once and never cached.
    pub fn expiry(&self) -> Option<i64> {
        let parsed = OffsetDateTime::parse(&self.expires_at, &Rfc3339).ok()?;
        Some(parsed.unix_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(token: &str, expires_at: &str) -> String {
        format!(
            r#"{{"token":"{token}","expires_at":"{expires_at}","repositories":["o/r"],"permissions":{{"contents":"read"}}}}"#
        )
    }

    #[test]
    fn response_of_the_function_is_parsed() {
        let text = body("ghs_x", "2026-04-23T16:48:32Z");
        let grant = Grant::parse(text.as_bytes()).unwrap();
        assert_eq!(grant.token.expose_secret(), "ghs_x");
        assert_eq!(grant.repository.full_name(), "o/r");
        assert_eq!(grant.expiry(), Some(1_776_962_912));
        assert_eq!(grant.body(), text);
    }

    #[test]
    fn unreadable_expiry_is_kept_as_text() {
        let grant = Grant::parse(body("ghs_x", "tomorrow").as_bytes()).unwrap();
        assert_eq!(
            (grant.expires_at.as_str(), grant.expiry()),
            ("tomorrow", None)
        );
    }

    #[test]
    fn malformed_response_is_rejected_and_not_repeated() {
        let good = body("ghs_x", "2026-04-23T16:48:32Z");
        let bodies = [
            String::new(),
            "null".into(),
            r#"{"token":"ghs_secret"}"#.into(),
            body("", "x"),
            body(r"ghs_secret\u001b", "x"),
            body(r"ghs_secret\n", "x"),
            body("ghs secret", "x"),
            good.replace("o/r", "or"),
            good.replace(r#"["o/r"]"#, "[]"),
            good.replace(r#"["o/r"]"#, r#"["o/r","o/s"]"#),
            good.replace("contents", r"con\u0007"),
            body("ghs_secret", r"x\ny"),
            format!("{good} trailing"),
        ];
        for text in bodies {
            let error = Grant::parse(text.as_bytes())
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("malformed") && !error.contains("secret"),
                "{text:?}: {error}"
            );
        }
    }
}
