//! What every scenario is held against, whatever it is about. Comes in: what the function wrote, answered and sent. A
//! secret in the wrong place, a line on stdout that is not JSON, or a broken contract stops the test.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::github::private_key::PrivateKey;
use crate::lambda::invocation::Invocation;
use crate::lambda::invoke_result::Answer;
use crate::lambda::variables::Variables;
use crate::lock;
use crate::net::recorder::{Call, Recorded};
use crate::sandbox::Sandbox;
use crate::scenario::secrets::Secrets;

/// How many of the last tokens are looked for: more than any invocation mints.
const RECENT_TOKENS: usize = 32;

/// The watch over one scenario.
pub(crate) struct Watch {
    /// Every private key, every `SecureString` and every AWS credential that there ever was.
    lasting: Secrets,
    /// The `SecureString`s among them, whole.
    parameters: BTreeSet<String>,
    /// What the invocation before this one had to hide.
    passing: Secrets,
    any_log: bool,
}

impl Watch {
    pub(crate) fn new(key: &PrivateKey, variables: &Variables, any_log: bool) -> Self {
        let mut watch = Self {
            lasting: Secrets::default(),
            parameters: BTreeSet::new(),
            passing: Secrets::default(),
            any_log,
        };
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            watch
                .lasting
                .add(name, &variables.value(name).unwrap_or_default());
        }
        watch.hide(key);
        watch
    }

    /// Looks for this key too, in both forms, from now on.
    pub(crate) fn hide(&mut self, key: &PrivateKey) {
        self.lasting
            .add_lines("a private key", &key.clone().pkcs1().pem());
        self.lasting
            .add_lines("a private key", &key.clone().pkcs8().pem());
    }

    fn hide_parameters(&mut self, sandbox: &Sandbox) {
        for parameter in lock(&sandbox.ssm)
            .all()
            .filter(|parameter| parameter.is_secure())
        {
            if !self.parameters.contains(&parameter.value) {
                self.lasting.add_lines("a SecureString", &parameter.value);
                self.parameters.insert(parameter.value.clone());
            }
        }
    }

    /// Checks an invocation; its log comes out.
    pub(crate) fn check(
        &mut self,
        sandbox: &Sandbox,
        requests: &[Recorded],
        invocation: &Invocation,
    ) -> Vec<Value> {
        self.hide_parameters(sandbox);
        let now = secrets_of(sandbox, requests);
        let mut texts = vec![invocation.stdout.clone(), invocation.stderr.clone()];
        match &invocation.answer {
            Answer::Response(body) => self.check_response(requests, &String::from_utf8_lossy(body)),
            other => texts.push(format!("{other:?}")),
        }
        self.search(&now, &texts);
        self.passing = now;
        check_contract(sandbox);
        self.parsed_lines(&invocation.stdout)
    }

    /// Checks what was written outside any invocation.
    pub(crate) fn check_rest(
        &mut self,
        sandbox: &Sandbox,
        requests: &[Recorded],
        (stdout, stderr): (String, String),
    ) {
        self.hide_parameters(sandbox);
        let now = secrets_of(sandbox, requests);
        self.parsed_lines(&stdout);
        self.search(&now, &[stdout, stderr]);
        check_contract(sandbox);
    }

    /// No secret may be in any of these texts, the last invocation's neither.
    fn search(&self, now: &Secrets, texts: &[String]) {
        for text in texts {
            for secrets in [&self.lasting, &self.passing, now] {
                let leaked = secrets.found_in(text);
                assert!(
                    leaked.is_empty(),
                    "the function let out {leaked:?}; the text is withheld here"
                );
            }
        }
    }

    /// A response holds a token and no other secret.
    fn check_response(&self, requests: &[Recorded], body: &str) {
        let mut leaked = self.lasting.found_in(body);
        let with_jwt = requests
            .iter()
            .filter(|request| matches!(request.call, Call::Lookup | Call::Mint));
        if with_jwt
            .filter_map(Recorded::credential)
            .any(|jwt| body.contains(jwt))
        {
            leaked.insert("a JWT");
        }
        assert!(
            leaked.is_empty(),
            "the function answered with {leaked:?}; the text is withheld here"
        );
    }

    fn parsed_lines(&self, stdout: &str) -> Vec<Value> {
        let mut log = Vec::new();
        for line in stdout.lines() {
            match serde_json::from_str(line) {
                Ok(value) => log.push(value),
                Err(_) => assert!(self.any_log, "a line on stdout is not JSON: {line}"),
            }
        }
        log
    }
}

fn secrets_of(sandbox: &Sandbox, requests: &[Recorded]) -> Secrets {
    let mut now = Secrets::default();
    let with_jwt = requests
        .iter()
        .filter(|request| matches!(request.call, Call::Lookup | Call::Mint));
    for jwt in with_jwt.filter_map(Recorded::credential) {
        now.add_jwt(jwt);
    }
    for token in lock(&sandbox.github)
        .tokens
        .iter()
        .rev()
        .take(RECENT_TOKENS)
    {
        now.add("a token", &token.value);
    }
    now
}

fn check_contract(sandbox: &Sandbox) {
    let violations = sandbox.recorder.violations();
    assert!(
        violations.is_empty(),
        "the contract was broken:\n{}",
        violations.join("\n")
    );
}
