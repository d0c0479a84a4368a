//! What one invocation did: who called, which requests were sent, how long each step took.
//!
//! Input: what each step reports when it is over. Output: the fields of a log line, and the figures of the metrics.
//! Invariant: it contains no secret. Of the token it has the hash that GitHub's audit log uses.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::scope::{Permissions, RepositoryId, TokenScope};

/// What one call did. Every call returns it, whether it failed or not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// How many requests were started.
    pub attempts: u32,
    /// The server's name for the last request that it answered.
    pub request_id: Option<String>,
    /// A mint may have succeeded without its response: GitHub may have created a token that nobody has.
    pub orphaned_token_possible: bool,
    /// GitHub's `x-ratelimit-remaining`.
    pub rate_limit_remaining: Option<u64>,
}

impl CallRecord {
    /// Records the headers of a response from GitHub.
    pub fn github_response(&mut self, headers: &HeaderMap) {
        self.request_id = headers.get("x-github-request-id").and_then(printable_id);
        let remaining = headers.get("x-ratelimit-remaining");
        self.rate_limit_remaining = remaining.and_then(|value| value.to_str().ok()?.parse().ok());
    }
}

/// A request ID that looks like one. Other text from a server is not repeated.
pub fn printable_id(value: &HeaderValue) -> Option<String> {
    let id = value.to_str().ok()?;
    let usual = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":-".contains(&byte));
    usual.then(|| id.to_owned())
}

/// The fields that every log line about an invocation has, as far as they are known when it is written.
#[derive(Serialize)]
pub struct InvocationRecord {
    aws_request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xray_trace_id: Option<String>,
    repository: String,
    repositories: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_id: Option<RepositoryId>,
    permissions: Permissions,
    signer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    installation_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_age_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_hash: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphaned_token_possible: bool,
    /// Whether GitHub confirmed that a token that was not returned is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_revoked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssm_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_request_id: Option<String>,
    github_request_ids: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    github_rate_limit_remaining: Option<u64>,
    attempts: BTreeMap<&'static str, u32>,
    milliseconds: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    clock_drift_seconds: Option<i64>,
    #[serde(skip)]
    began: Instant,
    #[serde(skip)]
    step_began: Instant,
}

/// Who answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Parameter Store.
    Ssm,
    /// Key Management Service.
    Kms,
    /// GitHub's REST API.
    GitHub,
}

impl InvocationRecord {
    /// The record of an invocation that begins now. `signer` says what signs the App's JWTs.
    pub fn new(
        scope: &TokenScope,
        signer: &'static str,
        aws_request_id: &str,
        xray_trace_id: Option<&str>,
    ) -> Self {
        let now = Instant::now();
        Self {
            aws_request_id: aws_request_id.to_owned(),
            xray_trace_id: xray_trace_id.map(str::to_owned),
            repository: scope.repository.to_string(),
            repositories: [scope.repository.to_string()],
            repository_id: scope.repository_id,
            permissions: scope.permissions.clone(),
            signer,
            installation_id: None,
            private_key_age_days: None,
            expires_at: None,
            token_hash: None,
            orphaned_token_possible: false,
            token_revoked: None,
            ssm_request_id: None,
            kms_request_id: None,
            github_request_ids: BTreeMap::new(),
            github_rate_limit_remaining: None,
            attempts: BTreeMap::new(),
            milliseconds: BTreeMap::new(),
            clock_drift_seconds: None,
            began: now,
            step_began: now,
        }
    }

    /// Adds what a call did, under the call's name, and returns the call's result.
    pub fn call<T, E>(
        &mut self,
        server: Server,
        name: &'static str,
        (record, result): (CallRecord, Result<T, E>),
    ) -> Result<T, E> {
        if record.attempts == 0 {
            return result; // it needed no request
        }
        *self.attempts.entry(name).or_default() += record.attempts;
        if let Some(id) = record.request_id {
            match server {
                Server::Ssm => self.ssm_request_id = Some(id),
                Server::Kms => self.kms_request_id = Some(id),
                Server::GitHub => drop(self.github_request_ids.insert(name, id)),
            }
        }
        self.orphaned_token_possible |= record.orphaned_token_possible;
        self.github_rate_limit_remaining = record
            .rate_limit_remaining
            .or(self.github_rate_limit_remaining);
        result
    }

    /// Ends a step that began when the one before it ended. A step that ends twice adds up.
    pub fn step_done(&mut self, step: &'static str) {
        *self.milliseconds.entry(step).or_default() += hundredths(self.step_began.elapsed());
        self.step_began = Instant::now();
    }

    /// Ends the work. The invocation's own time goes from its beginning to here.
    pub fn done(&mut self) {
        self.milliseconds
            .insert("total", hundredths(self.began.elapsed()));
    }

    /// Milliseconds from the beginning to the end, or until now.
    pub fn total_milliseconds(&self) -> f64 {
        let total = self.milliseconds.get("total").copied();
        total.unwrap_or_else(|| hundredths(self.began.elapsed()))
    }

    /// The credentials were loaded. `key_age_days` is known if the private key is an SSM parameter.
    pub fn credentials_loaded(&mut self, installation_id: u64, key_age_days: Option<u64>) {
        self.installation_id = Some(installation_id);
        self.private_key_age_days = key_age_days;
    }

    /// GitHub granted a token, which may still fail its proof. `hash` is its base64 SHA-256.
    pub fn token_granted(&mut self, hash: String, expires_at: Option<&str>) {
        self.token_hash = Some(hash);
        self.expires_at = expires_at.map(str::to_owned);
    }

    /// The token was proven.
    pub fn token_proven(&mut self, id: RepositoryId) {
        self.repository_id = Some(id);
    }

    /// The token is not returned, and GitHub was asked to revoke it.
    pub fn token_revoked(&mut self, confirmed: bool) {
        self.token_revoked = Some(confirmed);
    }

    /// GitHub may have created a token that nobody has.
    pub fn orphaned_token_possible(&mut self) {
        self.orphaned_token_possible = true;
    }

    /// GitHub rejected our time, and a JWT with its time was signed. It has a line of its own, after the result was posted.
    pub fn clock_corrected(&mut self, github_time: SystemTime, our_time: SystemTime) {
        let seconds = |ahead: Duration| i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        self.clock_drift_seconds = Some(match our_time.duration_since(github_time) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        });
    }

    /// The number of seconds by which our clock was ahead of GitHub's clock, if that was corrected.
    pub fn clock_drift_seconds(&self) -> Option<i64> {
        self.clock_drift_seconds
    }

    /// The age of the private key in SSM, for the metrics.
    pub fn private_key_age_days(&self) -> Option<u64> {
        self.private_key_age_days
    }

    /// What GitHub said last about the remaining rate limit, for the metrics.
    pub fn github_rate_limit_remaining(&self) -> Option<u64> {
        self.github_rate_limit_remaining
    }
}

/// To a hundredth of a millisecond: a step may take less than one.
fn hundredths(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
