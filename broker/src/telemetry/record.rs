//! What one invocation did, for its log line and its metrics: who asked, which calls, how long each step took.
//!
//! In: the steps as they happen. Out: the fields of a log line. It holds no secret: of the token only the hash that
//! GitHub's audit log knows it by, and of GitHub's headers only the request IDs, if they look like such.

use std::{collections::BTreeMap, time::Instant};

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    app::credentials::InstallationId,
    config::{Config, RepositoryId},
    failure::{Call, Step},
    github::client::GrantedToken,
    proof::ProvenToken,
    scope::Permissions,
};

/// The fields that every log line about an invocation has, as far as they are known when it is written.
#[derive(Serialize)]
pub struct Trace {
    aws_request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xray_trace_id: Option<String>,
    repository: String,
    repositories: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_id: Option<RepositoryId>,
    permissions: Permissions,
    #[serde(skip_serializing_if = "Option::is_none")]
    installation_id: Option<InstallationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_hash: Option<String>,
    /// A mint was sent, and its answer never arrived: GitHub may have made a token that nobody holds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unseen_token_possible: bool,
    /// Whether GitHub confirmed that a token which was not returned is worthless now.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_revoked: Option<bool>,
    github_request_ids: BTreeMap<&'static str, String>,
    attempts: BTreeMap<&'static str, u32>,
    milliseconds: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    step: Step,
    #[serde(skip)]
    began: Instant,
    #[serde(skip)]
    step_began: Instant,
}

impl Trace {
    /// The trace of an invocation that begins now.
    pub fn begin(config: &Config, aws_request_id: &str, xray_trace_id: Option<&str>) -> Self {
        let now = Instant::now();
        Self {
            aws_request_id: aws_request_id.to_owned(),
            xray_trace_id: xray_trace_id.map(str::to_owned),
            repository: config.repository.to_string(),
            repositories: [config.repository.to_string()],
            repository_id: config.repository_id,
            permissions: config.permissions.clone(),
            installation_id: None,
            expires_at: None,
            token_hash: None,
            unseen_token_possible: false,
            token_revoked: None,
            github_request_ids: BTreeMap::new(),
            attempts: BTreeMap::new(),
            milliseconds: BTreeMap::new(),
            step: Step::Ssm,
            began: now,
            step_began: now,
        }
    }

    /// Ends the step before, and begins `step`.
    pub fn enter(&mut self, step: Step) {
        self.end_step();
        self.step = step;
    }

    /// Ends the last step; the invocation's own time goes from its begin to here.
    pub fn end(&mut self) {
        self.end_step();
        self.milliseconds.insert("total", milliseconds(self.began));
    }

    /// The step that the invocation is in.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Milliseconds from begin to end, or to now.
    pub fn total_milliseconds(&self) -> f64 {
        self.milliseconds
            .get("total")
            .copied()
            .unwrap_or_else(|| milliseconds(self.began))
    }

    /// The installation that the parameters name.
    pub fn installation(&mut self, id: InstallationId) {
        self.installation_id = Some(id);
    }

    /// A token came from GitHub, whether it will be proven or not.
    pub fn granted(&mut self, granted: &GrantedToken) {
        let token = granted.token().secret().expose_secret();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        self.token_hash = Some(Base64::encode_string(digest.as_ref()));
        self.expires_at = granted.grant().readable_expiry().map(str::to_owned);
    }

    /// The token was proven.
    pub fn proven(&mut self, token: &ProvenToken) {
        self.repository_id = Some(token.repository_id());
    }

    /// The token was not returned, and its revocation was asked for.
    pub fn revoked(&mut self, done: bool) {
        self.token_revoked = Some(done);
    }

    /// A mint may have succeeded without our seeing its answer.
    pub fn unseen_token(&mut self) {
        self.unseen_token_possible = true;
    }

    /// A call is attempted, or attempted again.
    pub fn attempt(&mut self, call: Call) {
        *self.attempts.entry(field(call)).or_default() += 1;
    }

    /// Remembers GitHub's name for a request, where the answer has one that looks like one.
    pub fn github_request(&mut self, call: Call, headers: &HeaderMap) {
        let id = headers
            .get("x-github-request-id")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let usual = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b":-".contains(&byte));
        if usual {
            self.github_request_ids.insert(field(call), id.to_owned());
        }
    }

    fn end_step(&mut self) {
        let spent = milliseconds(self.step_began);
        self.milliseconds
            .entry(self.step.name())
            .and_modify(|sum| *sum += spent)
            .or_insert(spent);
        self.step_began = Instant::now();
    }
}

/// A call's name in the log is that of the step it is a part of.
const fn field(call: Call) -> &'static str {
    match call {
        Call::RepositoryInstallation => Step::Confirm.name(),
        Call::InstallationToken => Step::Mint.name(),
        Call::InstallationRepositories => Step::Prove.name(),
        Call::TokenRevocation => "revoke",
    }
}

/// To a hundredth: a step may take less than one.
fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 100_000.0).round() / 100.0
}
