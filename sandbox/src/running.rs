//! A scenario that runs. Comes in: payloads, and changes between them. Goes out: outcomes, each searched for secrets and
//! held against the contract. When this is dropped, the process is killed and the servers stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use serde_json::Value;

use crate::environment::{Answer, Configuration, Invocation};
use crate::fault::Schedule;
use crate::github::GitHub;
use crate::key::PrivateKey;
use crate::lambda::Function;
use crate::lock;
use crate::outcome::{Outcome, Times};
use crate::record::{Call, Recorded};
use crate::sandbox::{Sandbox, Signer};
use crate::scenario::{PARAMETERS, Scenario};
use crate::secrets::Secrets;
use crate::ssm::{Parameter, Ssm};
use crate::variables::{Credentials, Variables};

/// The function's name in a scenario.
const FUNCTION_NAME: &str = "github-token-broker";

/// A function on the sandbox, between invocations.
pub struct Running {
    sandbox: Sandbox,
    function: Arc<Function>,
    credentials: Credentials,
    /// Every private key and every parameter that there ever was.
    lasting: Secrets,
    /// What the invocation before this one had to hide.
    passing: Secrets,
    seen: usize,
    any_log: bool,
}

impl Running {
    /// Starts the servers; no process yet.
    pub(crate) async fn launch(scenario: Scenario) -> Self {
        let (mut github, mut ssm) = initial_state(&scenario.key, scenario.parameters);
        scenario
            .github
            .into_iter()
            .for_each(|change| change(&mut github));
        scenario.ssm.into_iter().for_each(|change| change(&mut ssm));
        let region = scenario
            .variables
            .get("AWS_REGION")
            .map_or("us-east-1", String::as_str)
            .to_owned();
        let mut variables = Variables::new(FUNCTION_NAME, &region, scenario.memory);
        let credentials = variables.credentials.clone();
        let signer = Signer {
            region,
            credentials: credentials.clone(),
        };
        let mut lasting = Secrets::default();
        lasting.add_lines("a private key", &scenario.key.clone().pkcs1().pem());
        lasting.add_lines("a private key", &scenario.key.clone().pkcs8().pem());
        let sandbox = Sandbox::start(
            &scenario.setting,
            github,
            ssm,
            scenario.faults,
            Some(signer),
        )
        .await;
        let parameters: Vec<_> = lock(&sandbox.ssm)
            .newest()
            .map(|(name, parameter)| (name.clone(), parameter.clone()))
            .collect();
        if let Some(endpoint) = &scenario.ssm_endpoint {
            crate::client::put_parameters(endpoint, &variables.region, &parameters).await;
        }
        let slash = if scenario.trailing_slash { "/" } else { "" };
        variables.set(
            "AWS_ENDPOINT_URL",
            scenario.ssm_endpoint.unwrap_or_else(|| sandbox.aws_url()),
        );
        variables.set(
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            format!("{}{slash}", sandbox.github_url()),
        );
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "octo-org");
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "octo-repo");
        if let Some(bundle) = sandbox.bundle() {
            variables.set("SSL_CERT_FILE", bundle.display().to_string());
        }
        scenario
            .variables
            .into_iter()
            .for_each(|(name, value)| variables.set(name, value));
        scenario
            .missing
            .iter()
            .for_each(|name| variables.unset(name));
        let (arrange, after_init) = (sandbox.before_delivery(), scenario.after_init);
        let first = std::sync::Once::new();
        let function = sandbox.lambda.put(Configuration {
            name: FUNCTION_NAME.to_owned(),
            binary: scenario.binary.unwrap_or_else(binary_under_test),
            variables,
            timeout: scenario.timeout,
            trace_id: scenario.trace_id,
            freeze_after_init: scenario.freeze_after_init,
            before_delivery: Some(Arc::new(move |pid| {
                first.call_once(|| after_init.iter().for_each(|call| call(pid)));
                arrange();
            })),
        });
        Self {
            sandbox,
            function,
            credentials,
            lasting,
            passing: Secrets::default(),
            seen: 0,
            any_log: scenario.any_log,
        }
    }

    /// Gets an environment ready. One that fails is thrown away: the next invocation sees why.
    pub(crate) async fn warm_up(&mut self) {
        let _ = self.function.warm_up().await;
    }

    /// Invokes the function with exactly these bytes.
    ///
    /// # Panics
    /// When a secret reached the output, a line on stdout is not JSON, or the contract with AWS or GitHub was broken.
    pub async fn invoke(&mut self, payload: impl AsRef<[u8]>) -> Outcome {
        let invocation = self
            .function
            .invoke(Bytes::copy_from_slice(payload.as_ref()))
            .await;
        let requests = self.sandbox.recorder.since(self.seen);
        self.seen = self.sandbox.recorder.count();
        let response = match &invocation.answer {
            Answer::Response(_) => String::new(),
            other => format!("{other:?}"),
        };
        self.check_output(
            &requests,
            &[&invocation.stdout, &invocation.stderr, &response],
        );
        if let Answer::Response(body) = &invocation.answer {
            self.check_response(&requests, &String::from_utf8_lossy(body));
        }
        let log = self.parsed_lines(&invocation.stdout);
        self.check_contract();
        outcome(invocation, requests, log)
    }

    /// AWS's endpoint.
    pub fn aws_url(&self) -> String {
        self.sandbox.aws_url()
    }

    /// GitHub's API, base path included.
    pub fn github_url(&self) -> String {
        self.sandbox.github_url()
    }

    /// GitHub, to look at or to change.
    pub fn github(&self) -> MutexGuard<'_, GitHub> {
        lock(&self.sandbox.github)
    }

    /// SSM, to look at or to change.
    pub fn ssm(&self) -> MutexGuard<'_, Ssm> {
        lock(&self.sandbox.ssm)
    }

    /// From now on, calls of this kind meet a fault by this schedule.
    pub fn faults(&self, call: Call, schedule: Schedule) {
        self.sandbox.faults.add(call, schedule);
    }

    /// From now on, so many in a hundred calls meet a fault that can be survived.
    pub fn random_faults(&self, seed: u64, percent: u64) {
        self.sandbox.faults.at_random(seed, percent);
    }

    /// The process that the next invocation goes to, where there is one.
    pub fn pid(&self) -> Option<u32> {
        self.function.process().map(|(pid, _)| pid)
    }

    /// Whether that process is stopped.
    pub fn frozen(&self) -> bool {
        self.function.process().is_some_and(|(_, frozen)| frozen)
    }

    /// Gives the App a new key, at GitHub and in SSM, and takes the old one away.
    pub fn rotate_key(&mut self) {
        let key = PrivateKey::fresh(2048);
        self.lasting.add_lines("a private key", &key.pem());
        self.github().app_mut().keys = vec![key.public()];
        self.ssm()
            .put(PARAMETERS[2], Parameter::secure_string(key.pem()));
    }

    /// Forgets what was recorded and issued so far: a soak must not grow.
    pub fn forget(&mut self) {
        self.sandbox.recorder.forget();
        self.github().tokens.clear();
    }

    /// Ends the process, and looks at the last it wrote.
    ///
    /// # Panics
    /// As [`Running::invoke`] does.
    pub async fn finish(mut self) {
        let (stdout, stderr) = self.function.end().await;
        let requests = self.sandbox.recorder.since(self.seen);
        self.check_output(&requests, &[&stdout, &stderr]);
        self.parsed_lines(&stdout);
        self.check_contract();
    }

    /// No secret may be in any of these texts.
    fn check_output(&mut self, requests: &[Recorded], texts: &[&str]) {
        for parameter in lock(&self.sandbox.ssm)
            .all()
            .filter(|parameter| parameter.is_secure())
        {
            self.lasting.add_lines("a SecureString", &parameter.value);
        }
        let mut now = Secrets::default();
        now.add("the AWS secret key", &self.credentials.secret_key);
        now.add("the AWS session token", &self.credentials.session_token);
        for request in requests
            .iter()
            .filter(|request| matches!(request.call, Call::Lookup | Call::Mint))
        {
            request
                .credential()
                .into_iter()
                .for_each(|jwt| now.add_jwt(jwt));
        }
        lock(&self.sandbox.github)
            .tokens
            .iter()
            .rev()
            .take(32)
            .for_each(|token| now.add("a token", &token.value));
        for text in texts {
            for secrets in [&self.lasting, &self.passing, &now] {
                let leaked = secrets.found_in(text);
                assert!(
                    leaked.is_empty(),
                    "the function let out {leaked:?}; the text is withheld here"
                );
            }
        }
        self.passing = now;
    }

    /// A response holds a token and no other secret.
    fn check_response(&self, requests: &[Recorded], body: &str) {
        let mut others = self.lasting.clone();
        requests
            .iter()
            .filter(|request| request.call != Call::Ssm)
            .for_each(|request| {
                request
                    .jwt()
                    .and(request.credential())
                    .into_iter()
                    .for_each(|jwt| others.add("a JWT", jwt));
            });
        let leaked = others.found_in(body);
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

    fn check_contract(&self) {
        let violations = self.sandbox.recorder.violations();
        assert!(
            violations.is_empty(),
            "the contract was broken:\n{}",
            violations.join("\n")
        );
    }
}

fn initial_state(
    key: &PrivateKey,
    parameters: BTreeMap<String, Option<Parameter>>,
) -> (GitHub, Ssm) {
    let mut ssm = Ssm::default();
    for (name, parameter) in Scenario::initial_parameters(key) {
        ssm.put(name, parameter);
    }
    for (name, parameter) in parameters {
        ssm.delete(&name);
        if let Some(parameter) = parameter {
            ssm.put(name, parameter);
        }
    }
    (Scenario::initial_github(key), ssm)
}

fn outcome(invocation: Invocation, requests: Vec<Recorded>, log: Vec<Value>) -> Outcome {
    let Invocation {
        request_id,
        answer,
        spawned,
        ready,
        delivered,
        answered,
        stdout,
        stderr,
        peak_memory,
        ..
    } = invocation;
    let times = Times {
        spawned,
        ready,
        delivered,
        answered,
    };
    Outcome {
        answer,
        request_id,
        requests,
        log,
        stdout,
        stderr,
        times,
        peak_memory,
    }
}

/// `$BROKER_UNDER_TEST`, else the release build of the workspace.
pub fn binary_under_test() -> PathBuf {
    if let Some(path) = std::env::var_os("BROKER_UNDER_TEST") {
        return std::path::absolute(path).expect("the current folder exists");
    }
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let binary = target.join("release").join("bootstrap");
    assert!(
        binary.is_file(),
        "{} is not there: `make build` makes it, or name another in BROKER_UNDER_TEST",
        binary.display()
    );
    binary
}
