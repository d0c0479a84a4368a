//! AWS's query protocol, which STS and IAM speak: a form in, XML out.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use uuid::Uuid;

use super::error::AwsError;

/// The parameters of a request.
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.get(name).ok_or_else(|| {
            let message = format!("The request must contain the parameter {name}.");
            AwsError::new("MissingParameter", message)
        })
    }

    /// The members of a list: `NAME.member.1`, `NAME.member.2` and so on.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let member = |number: u32| self.get(&format!("{name}.member.{number}"));
        (1..).map_while(member).collect()
    }
}

/// An XML element with this content, which is XML too.
pub(crate) fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// An XML element with this text.
pub(crate) fn text(name: &str, text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    element(name, &escaped)
}

/// The response of an operation, or its error.
pub(crate) fn response(
    namespace: &str,
    operation: &str,
    result: Result<String, AwsError>,
) -> Response {
    let id = text("RequestId", &Uuid::new_v4().to_string());
    let (status, root, content) = match result {
        Ok(result) => {
            let result = element(&format!("{operation}Result"), &result);
            let metadata = element("ResponseMetadata", &id);
            let root = format!("{operation}Response");
            (StatusCode::OK, root, result + &metadata)
        }
        Err(error) => {
            let details = text("Type", "Sender")
                + &text("Code", error.code)
                + &text("Message", &error.message);
            let root = "ErrorResponse".to_owned();
            (error.status, root, element("Error", &details) + &id)
        }
    };
    let body = format!("<{root} xmlns=\"{namespace}\">{content}</{root}>");
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}
