//! What must hold in every scenario.
//!
//! Input: what the function wrote, returned and sent. Invariant: a secret in the wrong place, a line on stdout that is not
//! JSON, or a contract violation fails the test.

use std::collections::BTreeSet;

use serde_json::Value;

use super::secrets::Secrets;
use crate::github::private_key::PrivateKey;
use crate::lambda::invocation::Invocation;
use crate::lambda::invoke_result::InvokeResult;
use crate::lambda::variables::Variables;
use crate::lock;
use crate::net::recorder::{Call, RecordedRequest};
use crate::sandbox::Sandbox;

/// The number of recent tokens to search for: more than any invocation mints.
const RECENT_TOKENS: usize = 32;

/// The invariants of one scenario.
pub(crate) struct Invariants {
    /// Every private key, `SecureString` and AWS credential of the scenario.
    lasting: Secrets,
    /// The `SecureString`s among them, whole.
    secure_strings: BTreeSet<String>,
    /// The secrets of the previous invocation.
    previous: Secrets,
    allow_text_log: bool,
}

impl Invariants {
    pub(crate) fn new(key: &PrivateKey, variables: &Variables, allow_text_log: bool) -> Self {
        let mut invariants = Self {
            lasting: Secrets::default(),
            secure_strings: BTreeSet::new(),
            previous: Secrets::default(),
            allow_text_log,
        };
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            invariants
                .lasting
                .add(name, &variables.value(name).unwrap_or_default());
        }
        invariants.add_key(key);
        invariants
    }

    /// From now on, also searches for this key, in both PEM formats.
    pub(crate) fn add_key(&mut self, key: &PrivateKey) {
        for pem in [key.clone().pkcs1().pem(), key.clone().pkcs8().pem()] {
            self.lasting.add_lines("a private key", &pem);
        }
    }

    fn add_secure_strings(&mut self, sandbox: &Sandbox) {
        for value in lock(&sandbox.aws.ssm).secret_values() {
            if !self.secure_strings.contains(value) {
                self.lasting.add_lines("a SecureString", value);
                self.secure_strings.insert(value.to_owned());
            }
        }
    }

    /// Checks an invocation. Returns its log.
    pub(crate) fn check(
        &mut self,
        sandbox: &Sandbox,
        requests: &[RecordedRequest],
        invocation: &Invocation,
    ) -> Vec<Value> {
        self.add_secure_strings(sandbox);
        let current = current_secrets(sandbox, requests);
        let mut texts = vec![invocation.stdout.clone(), invocation.stderr.clone()];
        match &invocation.result {
            InvokeResult::Response(body) => {
                self.check_response(requests, &String::from_utf8_lossy(body));
            }
            failure => texts.push(format!("{failure:?}")),
        }
        self.check_texts(&current, &texts);
        self.previous = current;
        check_contract(sandbox);
        self.parse_log(&invocation.stdout)
    }

    /// Checks output that was written outside any invocation.
    pub(crate) fn check_output(
        &mut self,
        sandbox: &Sandbox,
        requests: &[RecordedRequest],
        (stdout, stderr): (String, String),
    ) {
        self.add_secure_strings(sandbox);
        let current = current_secrets(sandbox, requests);
        self.parse_log(&stdout);
        self.check_texts(&current, &[stdout, stderr]);
        check_contract(sandbox);
    }

    /// None of these texts may contain a secret, not even one of the previous invocation.
    fn check_texts(&self, current: &Secrets, texts: &[String]) {
        for text in texts {
            for secrets in [&self.lasting, &self.previous, current] {
                let leaked = secrets.found_in(text);
                assert!(
                    leaked.is_empty(),
                    "the function's output contains {leaked:?}; the text is withheld here"
                );
            }
        }
    }

    /// A response contains a token and no other secret.
    fn check_response(&self, requests: &[RecordedRequest], body: &str) {
        let mut leaked = self.lasting.found_in(body);
        if jwts(requests).any(|jwt| body.contains(jwt)) {
            leaked.insert("a JWT");
        }
        assert!(
            leaked.is_empty(),
            "the function's response contains {leaked:?}; the text is withheld here"
        );
    }

    fn parse_log(&self, stdout: &str) -> Vec<Value> {
        let mut log = Vec::new();
        for line in stdout.lines() {
            match serde_json::from_str(line) {
                Ok(value) => log.push(value),
                Err(_) => assert!(self.allow_text_log, "a line on stdout is not JSON: {line}"),
            }
        }
        log
    }
}

fn current_secrets(sandbox: &Sandbox, requests: &[RecordedRequest]) -> Secrets {
    let mut current = Secrets::default();
    for jwt in jwts(requests) {
        current.add_jwt(jwt);
    }
    let github = lock(&sandbox.github);
    for token in github.tokens.iter().rev().take(RECENT_TOKENS) {
        current.add("a token", &token.value);
    }
    current
}

fn jwts(requests: &[RecordedRequest]) -> impl Iterator<Item = &str> {
    requests
        .iter()
        .filter(|request| matches!(request.call, Call::Confirm | Call::Mint))
        .filter_map(RecordedRequest::credential)
}

fn check_contract(sandbox: &Sandbox) {
    let violations = sandbox.recorder.violations();
    assert!(
        violations.is_empty(),
        "the function violated the contract:\n{}",
        violations.join("\n")
    );
}
