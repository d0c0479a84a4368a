//! One request to GitHub's REST API with the headers that GitHub requires, and its successful response.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::error::{GitHubError, ResponseError};
use crate::http::client::USER_AGENT;

const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Everything about a request. The request itself is made again for each connection and attempt.
pub(super) struct ApiRequest {
    method: Method,
    uri: Uri,
    authorization: HeaderValue,
    body: Option<Bytes>,
}

impl ApiRequest {
    /// A request to a path below the API's root. `bearer` is a JWT of the App, or a token. `None` if the path or the bearer
    /// cannot be part of a request, which their types rule out.
    pub(super) fn new(
        api_base: &Uri,
        method: Method,
        path: &str,
        bearer: &SecretString,
        body: Option<Bytes>,
    ) -> Option<Self> {
        let base = api_base.path().trim_end_matches('/');
        let bearer = format!("Bearer {}", bearer.expose_secret());
        let mut authorization = HeaderValue::try_from(bearer).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            method,
            uri: format!("{base}{path}").parse().ok()?,
            authorization,
            body,
        })
    }

    pub(super) fn build(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, ACCEPT);
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert("x-github-api-version", API_VERSION);
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        request
    }
}

/// A successful response.
#[derive(Default)]
pub(super) struct ApiResponse {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ApiResponse {
    /// The JSON of the body, if the response says that it is JSON.
    pub(super) fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, GitHubError> {
        let content_type = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !is_json(content_type) {
            return Err(GitHubError::Unexpected(ResponseError::NotJson));
        }
        // serde also reads a struct from a list of its members. No response of GitHub is one.
        let is_object = self.body.trim_ascii_start().starts_with(b"{");
        let parsed = is_object.then(|| serde_json::from_slice(&self.body).ok());
        parsed
            .flatten()
            .ok_or(GitHubError::Unexpected(ResponseError::UnknownSchema))
    }
}

/// `application/json`, or a type with the suffix `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::responses::Minted;

    #[test]
    fn response_is_an_object() {
        let parse = |body: &'static str| {
            let mut response = ApiResponse {
                body: Bytes::from_static(body.as_bytes()),
                ..ApiResponse::default()
            };
            response.headers.insert(header::CONTENT_TYPE, JSON);
            response
                .parse::<Minted>()
                .map(|minted| minted.token.is_some())
        };
        assert_eq!(parse(r#" {"token":"ghs_test"}"#), Ok(true));
        for body in [r#"["ghs_test"]"#, r#""ghs_test""#, "null", "", "{"] {
            let unknown = GitHubError::Unexpected(ResponseError::UnknownSchema);
            assert_eq!(parse(body), Err(unknown), "{body}");
        }
    }

    #[test]
    fn json_types_are_recognized() {
        for content_type in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON;charset=UTF-8",
            "application/vnd.github+json",
            "application/vnd.github.v3+json; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(content_type), "{content_type}");
        }
        for content_type in [
            "",
            "text/html",
            "text/json",
            "application/jsonp",
            "application/xml",
            "json",
        ] {
            assert!(!is_json(content_type), "{content_type}");
        }
    }
}
