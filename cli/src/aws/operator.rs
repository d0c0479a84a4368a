//! The calls of the operator commands: Lambda's and IAM's view of the function, SSM's parameters, KMS's keys.
//!
//! Input: an operation and its parameters. Output: the parsed response, or a [`CallError`] with AWS's error code. AWS's own
//! message is dropped: it repeats names that the client knows, and it can be long.

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode, header};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::time::{Instant, sleep};
use url::form_urlencoded;

use super::{
    call::Call,
    endpoint::Service,
    error::{self, AwsError},
    session::Session,
};
use crate::http::{HttpError, Response};

/// The IAM actions that each operator command needs: those that it calls, and `kms:Encrypt` and `kms:Decrypt` for what SSM does
/// with its permissions. The book shows them; a test compares them with what the commands send.
pub const ACTIONS: [(&str, &[&str]); 9] = [
    (
        "setup",
        &[
            "kms:CreateKey",
            "kms:DescribeKey",
            "kms:GetParametersForImport",
            "kms:GetPublicKey",
            "kms:ImportKeyMaterial",
            "kms:ScheduleKeyDeletion",
            "kms:Sign",
        ],
    ),
    (
        "setup --ssm",
        &[
            "kms:DescribeKey",
            "kms:Encrypt",
            "ssm:DeleteParameter",
            "ssm:GetParameter",
            "ssm:PutParameter",
        ],
    ),
    (
        "check",
        &[
            "iam:GetAccountAuthorizationDetails",
            "iam:GetRolePolicy",
            "iam:ListRolePolicies",
            "iam:SimulatePrincipalPolicy",
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetPublicKey",
            "kms:Sign",
            "lambda:GetFunctionConfiguration",
            "lambda:GetPolicy",
            "ssm:DescribeParameters",
            "ssm:GetParameters",
        ],
    ),
    (
        "check --as-app",
        &["kms:Decrypt", "kms:Sign", "ssm:GetParameters"],
    ),
    ("check --mint", &["lambda:InvokeFunction"]),
    (
        "key import",
        &[
            "kms:CreateAlias",
            "kms:CreateKey",
            "kms:DescribeKey",
            "kms:GetParametersForImport",
            "kms:GetPublicKey",
            "kms:ImportKeyMaterial",
            "kms:ScheduleKeyDeletion",
        ],
    ),
    ("key import --ssm", &["kms:Encrypt", "ssm:PutParameter"]),
    (
        "key rotate",
        &[
            "iam:SimulatePrincipalPolicy",
            "kms:CreateKey",
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GetParametersForImport",
            "kms:GetPublicKey",
            "kms:ImportKeyMaterial",
            "kms:Sign",
            "kms:UpdateAlias",
            "lambda:GetFunctionConfiguration",
            "lambda:InvokeFunction",
            "ssm:DescribeParameters",
            "ssm:GetParameter",
            "ssm:PutParameter",
        ],
    ),
    (
        "key fingerprint",
        &["kms:Decrypt", "kms:GetPublicKey", "ssm:GetParameter"],
    ),
];

/// How often a request is sent at most. Only throttled and unsent requests are sent again, and reads after a server error or a
/// broken connection.
const ATTEMPTS: u32 = 4;

/// The wait before the second attempt; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// All attempts together. These operations take a second or two; only `Invoke` runs as long as the function.
pub const LONGEST: Duration = Duration::from_mins(1);

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// AWS refused.
    #[error("AWS refused {action}: {code}. {}", remedy(.action, .code))]
    Refused {
        /// The IAM action, such as `kms:Sign`.
        action: String,
        /// AWS's error code.
        code: String,
    },
    /// The response is not AWS's.
    #[error("the response to {action} is not one of AWS. Check AWS_ENDPOINT_URL and the proxy")]
    Malformed {
        /// The IAM action.
        action: String,
    },
    /// There is no response.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl CallError {
    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the identity lacks a permission.
    pub fn is_denied(&self) -> bool {
        self.code().is_some_and(is_denial)
    }
}

fn is_denial(code: &str) -> bool {
    [
        "AccessDeniedException",
        "AccessDenied",
        "UnauthorizedOperation",
    ]
    .contains(&code)
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl") || code == "TooManyRequestsException"
}

/// The next step after a refusal, by the class of AWS's error code.
pub fn remedy(action: &str, code: &str) -> String {
    if is_denial(code) {
        format!("Allow {action} to this identity")
    } else if code.contains("NotFound") {
        "Check the name, the region (--region) and the account (--profile)".to_owned()
    } else if is_throttling(code) {
        "Retry later".to_owned()
    } else {
        format!("Retry; if it persists, look up the code in the AWS documentation of {action}")
    }
}

/// A JSON response, and AWS's time.
pub struct Answer {
    /// The body.
    pub body: Value,
    /// The `Date` header.
    pub date: Option<SystemTime>,
}

impl Session {
    /// A GET of Lambda's REST API. `path` begins after `/functions/NAME`.
    ///
    /// # Errors
    /// AWS refuses, or there is no response.
    pub async fn lambda(
        &self,
        name: &str,
        path: &str,
        qualifier: Option<&str>,
        action: &str,
    ) -> Result<Answer, CallError> {
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let query = qualifier
            .map(|qualifier| format!("?Qualifier={}", encode(qualifier)))
            .unwrap_or_default();
        let call = Call {
            service: Service::Lambda,
            method: Method::GET,
            path_and_query: format!("/2015-03-31/functions/{}{path}{query}", encode(name)),
            headers: &[],
            body: b"",
        };
        let response = self.send(&call, &format!("lambda:{action}"), true).await?;
        let malformed = || CallError::Malformed {
            action: format!("lambda:{action}"),
        };
        let body = serde_json::from_slice(&response.body).map_err(|_| malformed())?;
        Ok(Answer {
            body,
            date: date(&response),
        })
    }

    /// An operation of KMS, by its JSON protocol.
    ///
    /// # Errors
    /// AWS refuses, or there is no response.
    pub async fn kms(&self, operation: &str, input: &Value) -> Result<Value, CallError> {
        self.json(Service::Kms, "TrentService", operation, input)
            .await
    }

    /// An operation of SSM, by its JSON protocol.
    ///
    /// # Errors
    /// AWS refuses, or there is no response.
    pub async fn ssm(&self, operation: &str, input: &Value) -> Result<Value, CallError> {
        self.json(Service::Ssm, "AmazonSSM", operation, input).await
    }

    /// An operation of IAM, by its query protocol. The result is XML.
    ///
    /// # Errors
    /// AWS refuses, or there is no response.
    pub async fn iam(
        &self,
        operation: &str,
        parameters: &[(String, String)],
    ) -> Result<String, CallError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation)
            .append_pair("Version", "2010-05-08");
        for (name, value) in parameters {
            form.append_pair(name, value);
        }
        let body = form.finish();
        let call = Call {
            service: Service::Iam,
            method: Method::POST,
            path_and_query: "/".to_owned(),
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: body.as_bytes(),
        };
        let action = format!("iam:{operation}");
        let response = self.send(&call, &action, true).await?;
        String::from_utf8(response.body.to_vec()).map_err(|_| CallError::Malformed { action })
    }

    async fn json(
        &self,
        service: Service,
        target: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, CallError> {
        let (target, body) = (
            format!("{target}.{operation}"),
            zeroize::Zeroizing::new(input.to_string()),
        );
        let call = Call {
            service,
            method: Method::POST,
            path_and_query: "/".to_owned(),
            headers: &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", &target),
            ],
            body: body.as_bytes(),
        };
        let action = format!("{}:{operation}", service.name());
        let is_read = ["Get", "Describe", "List"]
            .iter()
            .any(|verb| operation.starts_with(verb));
        let response = self.send(&call, &action, is_read).await?;
        if response.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&response.body).map_err(|_| CallError::Malformed { action })
    }

    async fn send(
        &self,
        call: &Call<'_>,
        action: &str,
        is_read: bool,
    ) -> Result<Response, CallError> {
        let limit = self.timeout.min(LONGEST);
        let deadline = Instant::now() + limit;
        let mut attempt = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = self.call(call, left).await.map_err(|error| match error {
                AwsError::Http(HttpError::TimedOut { host, .. }) => {
                    AwsError::Http(HttpError::TimedOut { host, after: limit })
                }
                other => other,
            });
            let again = match &outcome {
                Ok(response) if response.status.is_success() => false,
                Ok(response) => {
                    let throttled = code(response).is_some_and(|code| is_throttling(&code));
                    throttled || is_read && response.status.is_server_error()
                }
                Err(AwsError::Http(HttpError::Interrupted { .. })) => is_read,
                Err(AwsError::Http(error)) => error.is_unsent(),
                Err(_) => false,
            };
            let wait =
                FIRST_WAIT.mul_f64(f64::from(1 << (attempt - 1)) * (0.5 + fastrand::f64() / 2.0));
            if again && attempt < ATTEMPTS && Instant::now() + wait < deadline {
                attempt += 1;
                self.diagnostics.detail(format!(
                    "{action}: attempt {attempt} in {} ms",
                    wait.as_millis()
                ));
                sleep(wait).await;
                continue;
            }
            let response = outcome?;
            if response.status.is_success() {
                return Ok(response);
            }
            let action = action.to_owned();
            return Err(match code(&response) {
                Some(code)
                    if ["ExpiredTokenException", "ExpiredToken"].contains(&code.as_str()) =>
                {
                    AwsError::ExpiredCredentials.into()
                }
                Some(code) => CallError::Refused { action, code },
                None if response.status == StatusCode::FORBIDDEN => CallError::Refused {
                    action,
                    code: "AccessDenied".to_owned(),
                },
                None => CallError::Malformed { action },
            });
        }
    }
}

/// JSON and REST services name the error in a header or in JSON; query services in XML.
fn code(response: &Response) -> Option<String> {
    error::code(&response.headers, &response.body).or_else(|| {
        let text = std::str::from_utf8(&response.body).ok()?;
        let document = roxmltree::Document::parse(text).ok()?;
        let code = document
            .descendants()
            .find(|node| node.has_tag_name("Code") || node.tag_name().name() == "Code")?;
        error::plain(code.text()?)
    })
}

fn date(response: &Response) -> Option<SystemTime> {
    let text = response.headers.get(header::DATE)?.to_str().ok()?;
    OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822)
        .ok()
        .map(Into::into)
}
