//! `Invoke`: one invocation of the function, and its response.
//!
//! The request is sent again only if it was not sent, or if Lambda throttled it: both mean that the function did not run.
//! After a timeout it is never sent again.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::sleep;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    call::Call,
    endpoint::Service,
    error::{self, AwsError},
    session::Session,
};
use crate::{function::Function, http::HttpError};

/// How often an `Invoke` is sent at most.
const ATTEMPTS: u32 = 3;

/// The wait before the second attempt; it doubles. A random part keeps throttled clients from retrying in lockstep.
const FIRST_WAIT: Duration = Duration::from_millis(400);

/// What the function returned.
pub enum Outcome {
    /// The payload of its response: a secret.
    Response(Zeroizing<Vec<u8>>),
    /// It failed: `errorType: errorMessage`.
    FunctionError(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_type: Option<String>,
    error_message: Option<String>,
}

impl Session {
    /// Invokes the function with the payload `null`: it accepts no other input.
    ///
    /// # Errors
    /// The function did not run, or its response did not arrive.
    pub async fn invoke(&self, function: &Function) -> Result<Outcome, AwsError> {
        let name: String = form_urlencoded::byte_serialize(function.name.as_bytes()).collect();
        let qualifier = function.qualifier.as_ref().map(|qualifier| {
            let encoded: String = form_urlencoded::byte_serialize(qualifier.as_bytes()).collect();
            format!("?Qualifier={encoded}")
        });
        let call = Call {
            service: Service::Lambda,
            method: Method::POST,
            path_and_query: format!(
                "/2015-03-31/functions/{name}/invocations{}",
                qualifier.unwrap_or_default()
            ),
            headers: &[
                ("content-type", "application/json"),
                ("x-amz-invocation-type", "RequestResponse"),
            ],
            body: b"null",
        };
        let mut attempt = 1;
        loop {
            let why = match self.call(&call, self.timeout).await {
                Ok(response) if response.status == StatusCode::TOO_MANY_REQUESTS => {
                    if attempt == ATTEMPTS {
                        return Err(AwsError::Throttled {
                            function: function.clone(),
                            attempts: attempt,
                        });
                    }
                    "Lambda throttled the request".to_owned()
                }
                Ok(response) if response.status.is_success() => {
                    if response.headers.contains_key("x-amz-function-error") {
                        return Ok(Outcome::FunctionError(function_error(
                            &response.body,
                            function,
                        )));
                    }
                    return Ok(Outcome::Response(response.body));
                }
                Ok(response) => {
                    let code = error::code(&response.headers, &response.body);
                    return Err(AwsError::from_invoke(
                        response.status,
                        code.as_deref(),
                        function,
                        &self.region,
                        self.host(Service::Lambda),
                    ));
                }
                Err(AwsError::Http(error)) if error.is_unsent() && attempt < ATTEMPTS => {
                    error.to_string()
                }
                Err(AwsError::Http(HttpError::TimedOut { host, after })) => {
                    return Err(AwsError::InvokeTimedOut { host, after });
                }
                Err(error) => return Err(error),
            };
            let wait =
                FIRST_WAIT.mul_f64(f64::from(1 << (attempt - 1)) * (0.5 + fastrand::f64() / 2.0));
            attempt += 1;
            self.diagnostics.detail(format!(
                "{why}; attempt {attempt} in {} ms",
                wait.as_millis()
            ));
            sleep(wait).await;
        }
    }
}

/// The line that scripts match. Anything but the two documented fields is not repeated.
fn function_error(body: &[u8], function: &Function) -> String {
    match serde_json::from_slice(body) {
        Ok(FunctionError {
            error_type: Some(kind),
            error_message: Some(message),
        }) => format!("{kind}: {message}"),
        Ok(FunctionError {
            error_type: None,
            error_message: Some(message),
        }) => message,
        Ok(FunctionError {
            error_type: Some(kind),
            error_message: None,
        }) => kind,
        _ => format!(
            "Lambda reports that {function} failed, without a reason. Check the function's log"
        ),
    }
}
