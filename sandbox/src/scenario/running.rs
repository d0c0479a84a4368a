//! A scenario that runs. Comes in: payloads, and changes between them. Goes out: outcomes, each searched for secrets and
//! held against the contract. When this is dropped, the process is killed and the servers stop.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, Once};

use bytes::Bytes;

use crate::aws::ssm::{Parameter, Ssm};
use crate::faults::Fault;
use crate::faults::schedule::Schedule;
use crate::github::GitHub;
use crate::github::private_key::PrivateKey;
use crate::lambda::Function;
use crate::lambda::environment::{BeforeDelivery, Configuration};
use crate::lambda::variables::Variables;
use crate::lock;
use crate::net::client;
use crate::net::gateway::Signer;
use crate::net::recorder::Call;
use crate::sandbox::Sandbox;
use crate::scenario::Scenario;
use crate::scenario::fixtures::{self, PARAMETERS};
use crate::scenario::invariants::Watch;
use crate::scenario::outcome::{Outcome, Times};

/// The function's name in a scenario.
const FUNCTION_NAME: &str = "github-token-broker";

/// A function on the sandbox, between invocations.
pub struct Running {
    sandbox: Sandbox,
    function: Arc<Function>,
    watch: Watch,
    seen: usize,
}

impl Running {
    /// Starts the servers; no process yet.
    pub(crate) async fn launch(mut scenario: Scenario) -> Self {
        let (github, ssm) = initial_state(&mut scenario);
        let needs_tls =
            |fault: &Fault| fault.is_at_connection() && !matches!(fault, Fault::RefusedConnection);
        assert!(
            scenario.setting.tls || !scenario.faults.any(needs_tls),
            "a fault in TLS needs `.tls()`"
        );
        let parameters: Vec<_> = ssm
            .newest()
            .map(|(name, parameter)| (name.clone(), parameter.clone()))
            .collect();
        let region = scenario
            .variables
            .get("AWS_REGION")
            .map_or("us-east-1", String::as_str);
        let mut variables = Variables::new(FUNCTION_NAME, region, scenario.memory);
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "octo-org");
        variables.set("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "octo-repo");
        // The credentials are known before the endpoints are: those are the sandbox's to tell.
        let mut configured = variables.clone();
        scenario.configure(&mut configured);
        let signer = Signer::of(&configured);
        let sandbox = Sandbox::start(
            &scenario.setting,
            github,
            ssm,
            scenario.faults.clone(),
            Some(signer),
        )
        .await;
        if let Some(endpoint) = &scenario.ssm_endpoint {
            client::put_parameters(endpoint, &variables.region, &parameters).await;
        }
        let slash = if scenario.trailing_slash { "/" } else { "" };
        variables.set(
            "AWS_ENDPOINT_URL",
            scenario
                .ssm_endpoint
                .clone()
                .unwrap_or_else(|| sandbox.aws_url()),
        );
        variables.set(
            "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL",
            format!("{}{slash}", sandbox.github_url()),
        );
        if let Some(bundle) = sandbox.bundle() {
            variables.set("SSL_CERT_FILE", bundle.display().to_string());
        }
        scenario.configure(&mut variables);
        let watch = Watch::new(&scenario.key, &variables, scenario.any_log);
        let function = sandbox.lambda.put(Configuration {
            name: FUNCTION_NAME.to_owned(),
            launcher: scenario.launcher,
            binary: scenario.binary.unwrap_or_else(binary_under_test),
            variables,
            timeout: scenario.timeout,
            trace_id: scenario.trace_id,
            freeze_after_init: scenario.freeze_after_init,
            before_delivery: Some(before_delivery(&sandbox, scenario.after_init)),
        });
        Self {
            sandbox,
            function,
            watch,
            seen: 0,
        }
    }

    /// Gets an environment ready. One that fails is thrown away: the next invocation sees why.
    pub(crate) async fn warm_up(&mut self) {
        if let Err(output) = self.function.warm_up().await {
            self.watch.check_rest(&self.sandbox, &[], output);
        }
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
        let log = self.watch.check(&self.sandbox, &requests, &invocation);
        let times = Times {
            spawned: invocation.spawned,
            ready: invocation.ready,
            delivered: invocation.delivered,
            answered: invocation.answered,
        };
        Outcome {
            answer: invocation.answer,
            request_id: invocation.request_id,
            requests,
            log,
            stdout: invocation.stdout,
            stderr: invocation.stderr,
            times,
            peak_memory: invocation.peak_memory,
        }
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
        self.watch.hide(&key);
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
        let output = self.function.end().await;
        let requests = self.sandbox.recorder.since(self.seen);
        self.watch.check_rest(&self.sandbox, &requests, output);
    }
}

fn initial_state(scenario: &mut Scenario) -> (GitHub, Ssm) {
    let (mut github, mut ssm) = (fixtures::github(&scenario.key), Ssm::default());
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
    (github, ssm)
}

fn before_delivery(
    sandbox: &Sandbox,
    after_init: Option<Box<dyn Fn(u32) + Send + Sync>>,
) -> BeforeDelivery {
    let (arrange, first) = (sandbox.before_delivery(), Once::new());
    Arc::new(move |pid| {
        if let Some(after_init) = &after_init {
            first.call_once(|| after_init(pid));
        }
        arrange();
    })
}

/// `$BROKER_UNDER_TEST`, else the release build of the workspace.
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
        "{} is not there: `make build` makes it, or name another in BROKER_UNDER_TEST",
        binary.display()
    );
    binary
}
