//! A scenario that is running.
//!
//! Input: payloads, and changes between them. Output: outcomes, each checked against the invariants. Dropping it kills the
//! process and stops the servers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, Once};

use bytes::Bytes;
use http::StatusCode;

use super::Scenario;
use super::fixtures::{self, FUNCTION, PARAMETERS};
use super::invariants::Invariants;
use super::outcome::{Outcome, Timing};
use crate::aws::iam::Iam;
use crate::aws::kms::Kms;
use crate::aws::ssm::{Parameter, Ssm};
use crate::faults::Fault;
use crate::faults::schedule::Schedule;
use crate::github::GitHub;
use crate::github::private_key::PrivateKey;
use crate::lambda::Function;
use crate::lambda::environment::{BeforeDelivery, Configuration, Environment};
use crate::lambda::invocation::Invocation;
use crate::lambda::variables::Variables;
use crate::lock;
use crate::net::client;
use crate::net::recorder::{Call, RecordedRequest};
use crate::sandbox::{InitialState, Sandbox};

/// A function on the sandbox, between invocations.
pub struct Running {
    sandbox: Sandbox,
    function: Arc<Function>,
    invariants: Invariants,
    requests_checked: usize,
}

impl Running {
    /// Starts the servers; no process yet.
    pub(crate) async fn launch(mut scenario: Scenario) -> Self {
        let state = initial_state(&mut scenario);
        assert!(
            scenario.options.tls || !scenario.faults.any(Fault::needs_tls),
            "a TLS fault needs `.tls()`"
        );
        let parameters: Vec<_> = state
            .ssm
            .latest()
            .map(|(name, parameter)| (name.clone(), parameter.clone()))
            .collect();
        let region = scenario.variables.get("AWS_REGION").cloned().flatten();
        let region = region.as_deref().unwrap_or("us-east-1");
        let mut variables = Variables::new(FUNCTION, region, scenario.memory);
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "octo-org");
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "octo-repo");
        // AWS must know the signer before its endpoint, another variable, is known.
        let mut configured = variables.clone();
        scenario.configure(&mut configured);
        let signer = scenario.signer.take();
        let signer = signer.unwrap_or_else(|| configured.signer());
        let sandbox = Sandbox::start(
            &scenario.options,
            state,
            scenario.faults.clone(),
            Some(signer),
        )
        .await;
        lock(&sandbox.aws.denied_actions).extend(std::mem::take(&mut scenario.denied_actions));
        if let Some(endpoint) = &scenario.aws_endpoint {
            client::put_parameters(endpoint, &variables.region, &parameters).await;
        }
        let aws_url = scenario.aws_endpoint.clone();
        variables.set(
            "AWS_ENDPOINT_URL",
            aws_url.unwrap_or_else(|| sandbox.aws_url()),
        );
        let slash = if scenario.trailing_slash { "/" } else { "" };
        variables.set(
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            format!("{}{slash}", sandbox.github_url()),
        );
        if let Some(bundle) = sandbox.ca_bundle() {
            variables.set("SSL_CERT_FILE", bundle.display().to_string());
        }
        scenario.configure(&mut variables);
        let invariants = Invariants::new(&scenario.key, &variables, scenario.allow_text_log);
        let function = sandbox.aws.lambda.put(Configuration {
            name: FUNCTION.to_owned(),
            launcher: scenario.launcher,
            binary: scenario.binary.unwrap_or_else(binary_under_test),
            variables,
            timeout: scenario.timeout,
            trace_id: scenario.trace_id,
            freeze_after_init: scenario.freeze_after_init,
            edits: scenario.function_edits,
            policy: scenario.function_policy,
            before_delivery: Some(before_delivery(&sandbox, scenario.after_init)),
        });
        Self {
            sandbox,
            function,
            invariants,
            requests_checked: 0,
        }
    }

    /// Initializes an environment. If that fails, the next invocation starts another one and shows the failure.
    pub(crate) async fn warm_up(&mut self) {
        if let Err(output) = self.function.warm_up().await {
            self.invariants.check_output(&self.sandbox, &[], output);
        }
    }

    /// Invokes the function with exactly these bytes.
    ///
    /// # Panics
    /// If a secret is in the output, a line on stdout is not JSON, or a call violates the contract with AWS or GitHub.
    pub async fn invoke(&mut self, payload: impl AsRef<[u8]>) -> Outcome {
        let payload = Bytes::copy_from_slice(payload.as_ref());
        let invocation = self.function.invoke(payload).await;
        let requests = self.new_requests();
        self.outcome(invocation, requests)
    }

    /// Invokes the function with `null` this number of times at once, in one environment, as a Lambda managed instance does.
    /// The function must take as many (`AWS_LAMBDA_MAX_CONCURRENCY`). Each outcome has the requests and the output of all, and
    /// its own lines of the log.
    ///
    /// # Panics
    /// As [`Running::invoke`] does.
    pub async fn invoke_at_once(&mut self, count: usize) -> Vec<Outcome> {
        let payloads = vec![Bytes::from_static(b"null"); count];
        let invocations = self.function.invoke_at_once(payloads).await;
        let requests = self.new_requests();
        let outcomes = invocations.into_iter().map(|invocation| {
            let mut outcome = self.outcome(invocation, requests.clone());
            let id = outcome.request_id.as_str();
            outcome.log.retain(|line| line["requestId"] == id);
            outcome
        });
        outcomes.collect()
    }

    fn new_requests(&mut self) -> Vec<RecordedRequest> {
        let requests = self.sandbox.recorder.since(self.requests_checked);
        self.requests_checked = self.sandbox.recorder.count();
        requests
    }

    fn outcome(&mut self, invocation: Invocation, requests: Vec<RecordedRequest>) -> Outcome {
        let log = self.invariants.check(&self.sandbox, &requests, &invocation);
        Outcome {
            result: invocation.result,
            request_id: invocation.request_id,
            requests,
            log,
            stdout: invocation.stdout,
            stderr: invocation.stderr,
            timing: Timing {
                spawned: invocation.spawned,
                ready: invocation.ready,
                delivered: invocation.delivered,
                finished: invocation.finished,
            },
            peak_memory: invocation.peak_memory,
        }
    }

    /// Gives the next invocation this request ID. It needs [`Scenario::start`].
    pub fn next_request_id(&self, id: &str) {
        let set = |environment: &mut Environment| environment.set_next_request_id(id);
        self.function.change_idle(set);
    }

    /// Makes the Runtime API reject the next results with this status, this many of them. It needs [`Scenario::start`].
    pub fn reject_results(&self, status: u16, count: usize) {
        let status = StatusCode::from_u16(status).expect("it is an HTTP status");
        let reject = |environment: &mut Environment| environment.reject_results(status, count);
        self.function.change_idle(reject);
    }

    /// The endpoint of AWS.
    pub fn aws_url(&self) -> String {
        self.sandbox.aws_url()
    }

    /// The base URL of GitHub's API.
    pub fn github_url(&self) -> String {
        self.sandbox.github_url()
    }

    /// The certificate authority to trust, if the servers use TLS.
    pub fn ca_bundle(&self) -> Option<PathBuf> {
        self.sandbox.ca_bundle()
    }

    /// GitHub, to inspect or to change.
    pub fn github(&self) -> MutexGuard<'_, GitHub> {
        lock(&self.sandbox.github)
    }

    /// The host and port of GitHub, at which git and the client find it: `127.0.0.1:PORT`.
    pub fn github_host(&self) -> String {
        self.sandbox.github_host()
    }

    /// The bare git repository behind a repository of GitHub.
    ///
    /// # Panics
    /// If GitHub has no such repository.
    pub async fn bare_repository(&self, full_name: &str) -> PathBuf {
        let id = self.github().repository_mut(full_name).id;
        self.sandbox.repositories.path(id, full_name).await
    }

    /// SSM, to inspect or to change.
    pub fn ssm(&self) -> MutexGuard<'_, Ssm> {
        lock(&self.sandbox.aws.ssm)
    }

    /// KMS, to inspect or to change.
    pub fn kms(&self) -> MutexGuard<'_, Kms> {
        lock(&self.sandbox.aws.kms)
    }

    /// IAM, to inspect or to change.
    pub fn iam(&self) -> MutexGuard<'_, Iam> {
        lock(&self.sandbox.aws.iam)
    }

    /// Every request so far that was not cleared.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.sandbox.recorder.since(0)
    }

    /// From now on, applies a fault to calls of this kind, by this schedule.
    pub fn faults(&self, call: Call, schedule: Schedule) {
        self.sandbox.faults.add(call, schedule);
    }

    /// From now on, applies a transient fault to this percentage of calls.
    pub fn random_faults(&self, seed: u64, percent: u64) {
        self.sandbox.faults.add_random(seed, percent);
    }

    /// The process that the next invocation goes to, if there is one.
    pub fn pid(&self) -> Option<u32> {
        self.function.process().map(|(pid, _)| pid)
    }

    /// Whether that process is frozen.
    pub fn is_frozen(&self) -> bool {
        self.function.process().is_some_and(|(_, frozen)| frozen)
    }

    /// Gives the App a new key, on GitHub and in SSM, and removes the old one.
    pub fn rotate_key(&mut self) {
        let key = PrivateKey::fresh(2048);
        self.invariants.add_key(&key);
        self.github().app_mut().keys = vec![key.public()];
        let parameter = Parameter::secure_string(key.pem());
        self.ssm().put(PARAMETERS[2], parameter);
    }

    /// Clears the recorded requests and the issued tokens: a soak test must not grow.
    pub fn clear_history(&mut self) {
        self.sandbox.recorder.clear();
        self.github().tokens.clear();
    }

    /// Ends the process and checks its last output.
    ///
    /// # Panics
    /// As [`Running::invoke`] does.
    pub async fn finish(mut self) {
        let output = self.function.end().await;
        let requests = self.sandbox.recorder.since(self.requests_checked);
        self.invariants
            .check_output(&self.sandbox, &requests, output);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.function.kill();
    }
}

fn initial_state(scenario: &mut Scenario) -> InitialState {
    let mut github = fixtures::github(&scenario.key);
    let (mut ssm, mut kms) = (Ssm::default(), fixtures::kms(&scenario.key));
    for (name, parameter) in fixtures::parameters(&scenario.key) {
        ssm.put(name, parameter);
    }
    for (name, parameter) in std::mem::take(&mut scenario.parameters) {
        ssm.delete(&name);
        if let Some(parameter) = parameter {
            ssm.put(name, parameter);
        }
    }
    for change in scenario.github.drain(..) {
        change(&mut github);
    }
    for change in scenario.ssm.drain(..) {
        change(&mut ssm);
    }
    for change in scenario.kms.drain(..) {
        change(&mut kms);
    }
    let is_kms = |name: &str| scenario.variables.get(name).is_some_and(Option::is_some);
    let mut iam = fixtures::iam(is_kms("GITHUB_TOKEN_BROKER_KMS_KEY_ID"));
    for change in scenario.iam.drain(..) {
        change(&mut iam);
    }
    InitialState {
        github,
        ssm,
        kms,
        iam,
        aws_clock: scenario.aws_clock,
    }
}

fn before_delivery(
    sandbox: &Sandbox,
    after_init: Option<Box<dyn Fn(u32) + Send + Sync>>,
) -> BeforeDelivery {
    let (arm_faults, first) = (sandbox.before_delivery(), Once::new());
    Arc::new(move |pid| {
        if let Some(after_init) = &after_init {
            first.call_once(|| after_init(pid));
        }
        arm_faults();
    })
}

/// `$BROKER_UNDER_TEST`, or the release build of the workspace.
///
/// # Panics
/// If the file does not exist.
pub fn binary_under_test() -> PathBuf {
    if let Some(path) = std::env::var_os("BROKER_UNDER_TEST").filter(|path| !path.is_empty()) {
        return std::path::absolute(path).expect("the current folder exists");
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let binary = target.join("release").join("bootstrap");
    assert!(
        binary.is_file(),
        "{} does not exist: run `make build`, or set BROKER_UNDER_TEST",
        binary.display()
    );
    binary
}
