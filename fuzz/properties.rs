//! What holds for any bytes at all. The fuzz targets look for bytes for which it does not; `make test` replays the corpora.

use std::time::{Duration, SystemTime};

use broker::{
    app::private_key::PrivateKey,
    aws::ssm,
    config::Config,
    config::env::VARIABLES,
    failure::{Call, Failure, SsmFault},
    github::error::Refusal,
    lambda::payload::PayloadJudge,
    proof::{Grant, Reach},
    retry::wait_before_next,
    scope::Permissions,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::SecretString;

/// A payload passes if and only if nothing but JSON whitespace is left round nothing or `null`, however it is cut.
pub(crate) fn payload(input: &[u8]) {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    let core = input
        .iter()
        .position(|byte| !blank(byte))
        .map_or(&[][..], |from| {
            let to = input.iter().rposition(|byte| !blank(byte)).unwrap_or(from);
            &input[from..=to]
        });
    let mut judge = PayloadJudge::default();
    for piece in input.chunks(3) {
        judge.read(piece);
    }
    assert_eq!(judge.asks_for_nothing(), core.is_empty() || core == b"null");
}

/// What an environment cannot do without.
const REQUIRED: [&str; 5] = [
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER",
    "GITHUB_TOKEN_BROKER_REPOSITORY_NAME",
];

/// Any answer of SSM's is parameters or none, in one of the ways that there are to fail.
pub(crate) fn ssm_answer(input: &[u8]) {
    let (numbers, rest) = input.split_at(input.len().min(2));
    let number = |at: usize| numbers.get(at).copied().map_or(0, u16::from);
    let status = StatusCode::from_u16(100 + (number(0) << 8 | number(1)) % 900).unwrap_or_default();
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let code = lines.next().unwrap_or_default();
    let body = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(code) = HeaderValue::from_bytes(code)
        && !code.is_empty()
    {
        headers.insert("x-amzn-errortype", code);
    }
    match ssm::read_answer(status, &headers, body) {
        Ok(_) => assert_eq!(status, StatusCode::OK),
        // A fault that passes by itself is never told as if a change were needed.
        Err(fault) if status.is_server_error() => {
            assert!(matches!(fault, SsmFault::Unavailable | SsmFault::Throttled));
        }
        Err(fault) if status == StatusCode::OK => assert_eq!(fault, SsmFault::Unavailable),
        Err(_) => {}
    }
}

/// Any values of our variables are a configuration whose every part is well formed, or an error that repeats no value.
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
            assert_eq!(config.repository.to_string().matches('/').count(), 1);
            assert!(config.parameters.private_key.as_str().starts_with('/'));
            assert!(!config.permissions.is_empty());
            assert!(matches!(
                config.api_base.scheme_str(),
                Some("https" | "http")
            ));
            assert!(config.api_base.query().is_none());
            assert!(config.aws.endpoint.host().is_some());
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

/// Any text is a key that signs, or a defect whose sentence repeats nothing of it.
pub(crate) fn private_key(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    match PrivateKey::parse(&SecretString::from(text.clone())) {
        Ok(key) => assert!(
            key.sign(b"message")
                .is_some_and(|signature| signature.len() >= 256)
        ),
        Err(defect) => assert!(text.trim().len() < 24 || !defect.to_string().contains(text.trim())),
    }
}

/// Any answer has a meaning whose sentence repeats nothing of it, and any body is a grant or none.
pub(crate) fn github_answer(input: &[u8]) {
    let (numbers, body) = input.split_at(input.len().min(4));
    let number = |at: usize| numbers.get(at).copied().map_or(0, u16::from);
    let status = StatusCode::from_u16(100 + (number(0) << 8 | number(1)) % 900).unwrap_or_default();
    let mut headers = HeaderMap::new();
    let names = [
        "retry-after",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "date",
    ];
    for (name, line) in names.into_iter().zip(body.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    let body = body
        .splitn(5, |byte| *byte == b'\n')
        .last()
        .unwrap_or_default();
    let calls = [
        Call::RepositoryInstallation,
        Call::InstallationToken,
        Call::InstallationRepositories,
        Call::TokenRevocation,
    ];
    let call = calls[usize::from(number(2)) % calls.len()];
    let refusal = Refusal::classify(call, status, &headers, body, SystemTime::UNIX_EPOCH);
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(body)
        && let Some(message) = object
            .get("message")
            .and_then(|message| message.as_str())
            .filter(|text| text.len() > 60)
    {
        assert!(!refusal.to_string().contains(message));
    }
    let _ = serde_json::from_slice::<Grant>(body);
    let _ = serde_json::from_slice::<Reach>(body);
    let _ = serde_json::from_slice::<Permissions>(body);
}

/// Whatever GitHub asks to wait, a wait that is begun ends in time for another attempt.
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
    for refusal in [
        Refusal::RateLimited { wait },
        Refusal::Unavailable,
        Refusal::TokenNotYetKnown,
    ] {
        let failure = Failure::GitHubRefused(Call::InstallationToken, 429, refusal);
        if let Some(wait) = wait_before_next(&failure, attempt, jitter, left) {
            assert!(wait < left);
        }
    }
}
