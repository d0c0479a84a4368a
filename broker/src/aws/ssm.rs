//! SSM's [`GetParameters`](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html).
//!
//! Input: names of parameters. Output: those that SSM has, decrypted, or an [`AwsError`].

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    client::{AwsClient, Operation},
    error::AwsError,
};
use crate::{retry::TimeWindow, telemetry::record::CallRecord};

const GET_PARAMETERS: Operation = Operation("AmazonSSM.GetParameters");

/// Parameters under this path are secrets of Secrets Manager, which SSM reads on behalf of the caller.
const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// The full name of an SSM parameter: an absolute path without wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterName(String);

impl ParameterName {
    /// `None` unless `text` is an absolute, literal path. An ARN, `:version` and `:label` are not.
    pub fn parse(text: &str) -> Option<Self> {
        let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
        (text.len() > 1 && text.starts_with('/') && text.bytes().all(supported))
            .then(|| Self(text.to_owned()))
    }

    /// The name with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a secret of Secrets Manager.
    pub fn is_secret(&self) -> bool {
        self.0.starts_with(SECRETS_MANAGER)
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One parameter, as SSM returns it. For a secret of Secrets Manager, SSM repeats the value in `SourceResult`. No field here
/// reads that, and the response's memory is wiped when it is freed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// The full name.
    #[serde(default)]
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// The decrypted value.
    pub value: Option<SecretString>,
    /// Seconds since 1970.
    #[serde(default)]
    last_modified_date: Option<f64>,
}

impl Parameter {
    /// The whole days since the parameter was last written. `None` if SSM did not say so.
    pub fn age_in_days(&self, now: SystemTime) -> Option<u64> {
        let seconds = Duration::try_from_secs_f64(self.last_modified_date?).ok()?;
        let written = UNIX_EPOCH.checked_add(seconds)?;
        let age = now.duration_since(written).unwrap_or_default();
        Some(age.as_secs() / (24 * 60 * 60))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    names: &'a [&'a str],
    with_decryption: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    parameters: Option<Vec<Parameter>>,
    invalid_parameters: Option<IgnoredAny>,
}

/// Reads parameters, decrypted. The result lacks those that SSM does not know.
///
/// # Errors
/// SSM cannot be reached, rejects the request, or does not respond as documented.
pub async fn get_parameters(
    client: &AwsClient,
    names: &[ParameterName],
    window: TimeWindow,
) -> (CallRecord, Result<Vec<Parameter>, AwsError>) {
    let names: Vec<_> = names.iter().map(ParameterName::as_str).collect();
    let request = Request {
        names: &names,
        with_decryption: true,
    };
    let body = Bytes::from(serde_json::to_vec(&request).unwrap_or_default());
    client
        .call(&GET_PARAMETERS, body, window, parse_response)
        .await
}

/// The parameters in the body of a success. `None` if the body is not a response of SSM.
pub fn parse_response(body: &[u8]) -> Option<Vec<Parameter>> {
    match serde_json::from_slice(body).ok()? {
        Response {
            parameters: Some(parameters),
            ..
        } => Some(parameters),
        // SSM puts each name into one of two lists, so a response without either is not from SSM.
        Response {
            invalid_parameters: Some(_),
            ..
        } => Some(Vec::new()),
        Response { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_without_either_list_is_not_from_ssm() {
        for body in ["", "{}", "[]", "null", r#"{"Parameters":null}"#] {
            assert!(parse_response(body.as_bytes()).is_none(), "{body}");
        }
        assert!(
            parse_response(br#"{"InvalidParameters":["/a"]}"#)
                .is_some_and(|found| found.is_empty())
        );
    }

    #[test]
    fn age_is_in_whole_days() {
        let age = |date: &str, now: u64| {
            let body = format!(r#"{{"Parameters":[{{"Name":"/a","LastModifiedDate":{date}}}]}}"#);
            let parameters = parse_response(body.as_bytes()).unwrap();
            parameters[0].age_in_days(UNIX_EPOCH + Duration::from_secs(now))
        };
        assert_eq!(age("86400.5", 86_400 * 31), Some(29));
        assert_eq!(age("86400", 86_400 * 31), Some(30));
        assert_eq!(age("86400", 0), Some(0), "a date in the future");
        assert_eq!(age("null", 0), None);
        assert_eq!(age("-1", 0), None);
        assert_eq!(age("1e300", 0), None);
    }

    #[test]
    fn name_is_an_absolute_literal_path() {
        for name in ["/a", "/a/b_c.d-e/F9", "/aws/reference/secretsmanager/a"] {
            assert!(ParameterName::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "/",
            "a",
            "a/b",
            "/a:1",
            "/a b",
            "/a*",
            "arn:aws:ssm:x:1:parameter/a",
            "/é",
        ] {
            assert!(ParameterName::parse(name).is_none(), "{name}");
        }
        assert!(
            ParameterName::parse("/aws/reference/secretsmanager/a")
                .unwrap()
                .is_secret()
        );
        assert!(!ParameterName::parse("/aws/a").unwrap().is_secret());
    }
}
