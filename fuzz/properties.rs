//! Properties of any input. The fuzz targets search for a counterexample, and `make test` replays the corpora.

use std::time::{Duration, SystemTime};

use broker::{
    app::private_key::PrivateKey,
    aws::{
        error::{AwsError, classify},
        kms, ssm,
    },
    config::{Config, env::VARIABLES},
    github::{
        Call,
        error::Rejection,
        responses::{AccessibleRepositories, Grant},
    },
    lambda::payload::EmptyPayload,
    retry::Retry,
    scope::Permissions,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use secrecy::SecretString;

/// A payload passes if and only if it is nothing or `null` with JSON whitespace around it, however it is cut into chunks.
pub(crate) fn payload(input: &[u8]) {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    let core = input
        .iter()
        .position(|byte| !blank(byte))
        .map_or(&[][..], |from| {
            let to = input.iter().rposition(|byte| !blank(byte)).unwrap_or(from);
            &input[from..=to]
        });
    let mut payload = EmptyPayload::default();
    for chunk in input.chunks(3) {
        payload.read(chunk);
    }
    assert_eq!(payload.is_empty(), core.is_empty() || core == b"null");
}

/// The variables without a default.
const REQUIRED: [&str; 5] = [
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
    "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
];

/// Any response of AWS is a result, none, or an error, and a server error is always transient.
pub(crate) fn aws_response(input: &[u8]) {
    let (numbers, rest) = input.split_at(input.len().min(2));
    let number = |at: usize| numbers.get(at).copied().map_or(0, u16::from);
    let status = StatusCode::from_u16(100 + (number(0) << 8 | number(1)) % 900).unwrap_or_default();
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let exception = lines.next().unwrap_or_default();
    let body = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(exception) = HeaderValue::from_bytes(exception)
        && !exception.is_empty()
    {
        headers.insert("x-amzn-errortype", exception);
    }
    for parameter in ssm::parse_response(body).unwrap_or_default() {
        let _ = parameter.age_in_days(SystemTime::UNIX_EPOCH);
    }
    let _ = kms::parse_response(body);
    let error = classify(status, &headers, body);
    if status.is_server_error() {
        assert!(matches!(error, AwsError::Unavailable | AwsError::Throttled));
    }
}

/// Any values of our variables are a well-formed configuration, or an error that repeats no value.
pub(crate) fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut values = text.split('\0');
    let given: Vec<_> = VARIABLES
        .iter()
        .map(|variable| (variable.name, values.next()))
        .collect();
    let lookup = |name: &str| {
        let given = given
            .iter()
            .find(|(given, _)| *given == name)
            .and_then(|(_, value)| *value);
        match given {
            Some(value) if !value.is_empty() => Some(value.to_owned()),
            _ => REQUIRED.contains(&name).then(|| "x".to_owned()),
        }
    };
    match Config::from_lookup(lookup) {
        Ok(config) => {
            assert_eq!(config.scope.repository.to_string().matches('/').count(), 1);
            let parameters = config.app.parameters();
            assert!(parameters.iter().all(|name| name.as_str().starts_with('/')));
            assert!(!config.scope.permissions.is_empty());
            assert!(matches!(
                config.api_base.scheme_str(),
                Some("https" | "http")
            ));
            assert!(config.api_base.query().is_none());
            assert!(config.ssm.url.host().is_some());
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.is_empty());
            let long = given
                .iter()
                .filter_map(|(_, value)| value.filter(|value| value.trim().len() > 40));
            assert!(long.into_iter().all(|value| !shown.contains(value.trim())));
        }
    }
}

/// Any text is a key that signs, or an error that repeats nothing of it.
pub(crate) fn private_key(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    match PrivateKey::parse(&SecretString::from(text.clone())) {
        Ok(key) => assert!(
            key.sign(b"message")
                .is_some_and(|signature| signature.len() >= 256)
        ),
        Err(error) => assert!(text.trim().len() < 24 || !error.to_string().contains(text.trim())),
    }
}

/// Any response from GitHub is classified without repeating it, and any body is a grant or none.
pub(crate) fn github_response(input: &[u8]) {
    let (numbers, body) = input.split_at(input.len().min(4));
    let number = |at: usize| numbers.get(at).copied().map_or(0, u16::from);
    let status = StatusCode::from_u16(100 + (number(0) << 8 | number(1)) % 900).unwrap_or_default();
    let mut headers = HeaderMap::new();
    let names = [
        "retry-after",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "date",
        "location",
    ];
    for (name, line) in names.into_iter().zip(body.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    let body = body
        .splitn(6, |byte| *byte == b'\n')
        .last()
        .unwrap_or_default();
    let calls = [
        Call::Confirm,
        Call::Mint,
        Call::ListRepositories,
        Call::Revoke,
    ];
    let call = calls[usize::from(number(2)) % calls.len()];
    let base = Uri::from_static("https://ghe.example.com/api/v3");
    let now = SystemTime::UNIX_EPOCH;
    let rejection = Rejection::classify(call, status, &headers, body, &base, now);
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(body)
        && let Some(message) = object
            .get("message")
            .and_then(|message| message.as_str())
            .filter(|text| text.len() > 60)
    {
        assert!(!format!("{rejection:?}").contains(message));
    }
    let _ = serde_json::from_slice::<Grant>(body);
    let _ = serde_json::from_slice::<AccessibleRepositories>(body);
    let _ = serde_json::from_slice::<Permissions>(body);
}

/// Whatever wait a server states, a wait ends in time for another attempt.
pub(crate) fn retry(input: &[u8]) {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        let given = input.get(at..).unwrap_or_default();
        let length = given.len().min(8);
        bytes[..length].copy_from_slice(&given[..length]);
        u64::from_le_bytes(bytes)
    };
    let (wait, left) = (
        Duration::from_millis(number(0)),
        Duration::from_millis(number(8) % 900_000),
    );
    let attempt = u32::from(input.get(16).copied().unwrap_or_default());
    let jitter = f64::from(input.get(17).copied().unwrap_or_default()) / 255.0;
    for retry in [Retry::After(wait), Retry::Backoff, Retry::UntilPropagated] {
        if let Some(wait) = retry.wait(attempt, jitter, left) {
            assert!(wait < left);
        }
    }
    assert_eq!(Retry::Never.wait(attempt, jitter, left), None);
}
