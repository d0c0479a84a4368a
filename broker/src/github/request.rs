//! A request to GitHub's REST API with the headers that it wants, and the parsing of an answer.
//!
//! In: method, path, bearer, body. Out: a request that can be built anew for each attempt; and an answer's JSON, if it
//! is what GitHub documents.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    failure::{AnswerDefect, Call, Failure, Result},
    http::client::USER_AGENT,
};

const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Everything of a request; the request itself is built anew for each attempt.
pub(crate) struct Ask {
    method: Method,
    uri: Uri,
    authorization: HeaderValue,
    body: Option<Bytes>,
}

impl Ask {
    /// A request below the API's root. The bearer is a JWT of the App's, or a token.
    pub(crate) fn new(
        api_base: &Uri,
        method: Method,
        path: &str,
        bearer: &SecretString,
        body: Option<Bytes>,
    ) -> Result<Self> {
        let base = api_base.path().trim_end_matches('/');
        let uri = format!("{base}{path}")
            .parse()
            .map_err(|_| Failure::Internal)?;
        let bearer = format!("Bearer {}", bearer.expose_secret());
        let mut authorization = HeaderValue::try_from(bearer).map_err(|_| Failure::Internal)?;
        authorization.set_sensitive(true);
        Ok(Self {
            method,
            uri,
            authorization,
            body,
        })
    }

    /// The request, built anew for each connection and attempt.
    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
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

/// A successful answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The JSON of the body, where the answer says that it is JSON.
    pub(crate) fn parse<T: for<'de> Deserialize<'de>>(&self, call: Call) -> Result<T> {
        let content_type = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Failure::UnexpectedAnswer(call, AnswerDefect::NotJson));
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| Failure::UnexpectedAnswer(call, AnswerDefect::Malformed))
    }
}
