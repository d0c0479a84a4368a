//! One run of the function on loopback, for the demo, the tests, the soak and the benches.
//!
//! Input: what is special about this run. Output: its outcome. Without any setting, everything is healthy and a token is
//! minted.

pub(crate) mod fixtures;
pub(crate) mod invariants;
pub(crate) mod outcome;
pub(crate) mod running;
pub(crate) mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use self::outcome::Outcome;
use self::running::Running;
use crate::aws::iam::Iam;
use crate::aws::kms::Kms;
use crate::aws::sigv4::Signer;
use crate::aws::ssm::{Parameter, Ssm};
use crate::clock::Clock;
use crate::faults::Fault;
use crate::faults::schedule::{Faults, Schedule};
use crate::github::GitHub;
use crate::github::private_key::PrivateKey;
use crate::lambda::environment::DescriptionEdit;
use crate::lambda::variables::Variables;
use crate::net::certificates::SelfSigned;
use crate::net::recorder::Call;
use crate::sandbox::ServerOptions;

type Change<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A run of the function. Each method changes one thing.
pub struct Scenario {
    pub(crate) binary: Option<PathBuf>,
    pub(crate) launcher: Vec<String>,
    pub(crate) key: PrivateKey,
    pub(crate) variables: BTreeMap<String, Option<String>>,
    pub(crate) parameters: BTreeMap<String, Option<Parameter>>,
    pub(crate) github: Vec<Change<GitHub>>,
    pub(crate) ssm: Vec<Change<Ssm>>,
    pub(crate) kms: Vec<Change<Kms>>,
    pub(crate) iam: Vec<Change<Iam>>,
    pub(crate) function_edits: Vec<DescriptionEdit>,
    pub(crate) function_policy: Option<Value>,
    pub(crate) denied_actions: Vec<String>,
    pub(crate) aws_clock: Clock,
    pub(crate) payload: Bytes,
    pub(crate) options: ServerOptions,
    pub(crate) faults: Faults,
    pub(crate) timeout: Duration,
    pub(crate) memory: u32,
    pub(crate) trace_id: Option<String>,
    pub(crate) aws_endpoint: Option<String>,
    pub(crate) signer: Option<Signer>,
    pub(crate) trailing_slash: bool,
    pub(crate) freeze_after_init: bool,
    pub(crate) after_init: Option<Box<dyn Fn(u32) + Send + Sync>>,
    pub(crate) allow_text_log: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            binary: None,
            launcher: Vec::new(),
            key: PrivateKey::rsa(2048),
            variables: BTreeMap::new(),
            parameters: BTreeMap::new(),
            github: Vec::new(),
            ssm: Vec::new(),
            kms: Vec::new(),
            iam: Vec::new(),
            function_edits: Vec::new(),
            function_policy: None,
            denied_actions: Vec::new(),
            aws_clock: Clock::default(),
            payload: Bytes::from_static(b"null"),
            options: ServerOptions::default(),
            faults: Faults::default(),
            timeout: Duration::from_secs(10),
            memory: 128,
            trace_id: None,
            aws_endpoint: None,
            signer: None,
            trailing_slash: false,
            freeze_after_init: false,
            after_init: None,
            allow_text_log: std::env::var("BROKER_UNDER_TEST_LOG").is_ok_and(|kind| kind == "any"),
        }
    }
}

impl Scenario {
    /// Runs this program instead of `$BROKER_UNDER_TEST` or the release build.
    #[must_use]
    pub fn binary(mut self, path: impl AsRef<Path>) -> Self {
        self.binary = Some(path.as_ref().to_owned());
        self
    }

    /// Starts the program with this command, which must replace itself with it, as `prlimit` does.
    #[must_use]
    pub fn launcher(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Sets a variable of the function, which may be one of Lambda's own.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Removes a variable, which may be one of Lambda's own.
    #[must_use]
    pub fn without_variable(mut self, name: &str) -> Self {
        self.variables.insert(name.to_owned(), None);
        self
    }

    /// Configures these permissions.
    #[must_use]
    pub fn permissions(self, permissions: &[(&str, &str)]) -> Self {
        let map: BTreeMap<_, _> = permissions.iter().copied().collect();
        let json = serde_json::to_string(&map).expect("names and levels are JSON");
        self.variable("GITHUB_TOKEN_BROKER_PERMISSIONS", json)
    }

    /// Invokes the function with exactly these bytes.
    #[must_use]
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = Bytes::copy_from_slice(payload.as_ref());
        self
    }

    /// Stores a parameter, which may be one of the three.
    #[must_use]
    pub fn parameter(mut self, name: &str, parameter: Parameter) -> Self {
        self.parameters.insert(name.to_owned(), Some(parameter));
        self
    }

    /// Deletes a parameter.
    #[must_use]
    pub fn without_parameter(mut self, name: &str) -> Self {
        self.parameters.insert(name.to_owned(), None);
        self
    }

    /// The App's private key: stored in SSM, its public key registered on GitHub.
    #[must_use]
    pub fn key(mut self, key: PrivateKey) -> Self {
        self.key = key;
        self
    }

    /// Changes GitHub before anything starts.
    #[must_use]
    pub fn github(mut self, change: impl FnOnce(&mut GitHub) + Send + 'static) -> Self {
        self.github.push(Box::new(change));
        self
    }

    /// Changes SSM before anything starts.
    #[must_use]
    pub fn ssm(mut self, change: impl FnOnce(&mut Ssm) + Send + 'static) -> Self {
        self.ssm.push(Box::new(change));
        self
    }

    /// Signs with a KMS key that has the App's key material, and passes both IDs as plain values. The three parameters do not
    /// exist, so that the function must not need SSM.
    #[must_use]
    pub fn kms_key(self) -> Self {
        let without_parameters = fixtures::PARAMETERS
            .iter()
            .fold(self, |scenario, name| scenario.without_parameter(name));
        without_parameters
            .variable("GITHUB_TOKEN_BROKER_CLIENT_ID", fixtures::CLIENT_ID)
            .variable(
                "GITHUB_TOKEN_BROKER_INSTALLATION_ID",
                fixtures::INSTALLATION_ID.to_string(),
            )
            .variable("GITHUB_TOKEN_BROKER_KMS_KEY_ID", fixtures::KMS_KEY_ARN)
    }

    /// Changes KMS before anything starts.
    #[must_use]
    pub fn kms(mut self, change: impl FnOnce(&mut Kms) + Send + 'static) -> Self {
        self.kms.push(Box::new(change));
        self
    }

    /// Changes IAM before anything starts. The role is `github-token-broker`, its policy `github-token-broker-policy`.
    #[must_use]
    pub fn iam(mut self, change: impl FnOnce(&mut Iam) + Send + 'static) -> Self {
        self.iam.push(Box::new(change));
        self
    }

    /// Edits what Lambda's `GetFunctionConfiguration` returns.
    #[must_use]
    pub fn function_configuration(
        mut self,
        change: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.function_edits.push(Arc::new(change));
        self
    }

    /// Sets the function's resource policy. Without one, `GetPolicy` returns `ResourceNotFoundException`.
    #[must_use]
    pub fn function_policy(mut self, policy: Value) -> Self {
        self.function_policy = Some(policy);
        self
    }

    /// Moves the clock of AWS, as its responses show it, by this number of seconds.
    #[must_use]
    pub fn aws_clock(mut self, seconds: i64) -> Self {
        self.aws_clock.shift(seconds);
        self
    }

    /// Denies an IAM action, such as `kms:Sign`, to every caller.
    #[must_use]
    pub fn deny(mut self, action: &str) -> Self {
        self.denied_actions.push(action.to_owned());
        self
    }

    /// Serves GitHub below this path, `/api/v3` on GitHub Enterprise Server. The function gets the path as written, with a
    /// trailing slash if there is one.
    #[must_use]
    pub fn base_path(mut self, path: &str) -> Self {
        path.trim_end_matches('/')
            .clone_into(&mut self.options.base_path);
        self.trailing_slash = path.ends_with('/');
        self
    }

    /// Makes AWS and GitHub speak TLS. Their certificate authority is in `SSL_CERT_FILE`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.options.tls = true;
        self
    }

    /// Makes AWS and GitHub speak TLS with one self-signed certificate, which is in `SSL_CERT_FILE` itself.
    #[must_use]
    pub fn self_signed(mut self, kind: SelfSigned) -> Self {
        self.options.tls = true;
        self.options.self_signed = Some(kind);
        self
    }

    /// Makes AWS expect requests from this principal instead of the one in the environment.
    #[must_use]
    pub fn signer(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Sets the round-trip times to AWS and to GitHub.
    #[must_use]
    pub fn round_trips(mut self, aws: Duration, github: Duration) -> Self {
        self.options.aws_round_trip = aws;
        self.options.github_round_trip = github;
        self
    }

    /// Sets the function's timeout; the default is 10 s, as in the Terraform module.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the X-Ray trace ID of the invocation.
    #[must_use]
    pub fn trace_id(mut self, trace_id: &str) -> Self {
        self.trace_id = Some(trace_id.to_owned());
        self
    }

    /// Applies this fault to the first call of this kind.
    #[must_use]
    pub fn fault(self, call: Call, fault: impl Into<Fault>) -> Self {
        self.faults(call, Schedule::First(fault.into()))
    }

    /// Applies a fault to calls of this kind, by this schedule.
    #[must_use]
    pub fn faults(mut self, call: Call, schedule: Schedule) -> Self {
        self.freeze_after_init |= matches!(schedule.fault(), Fault::ClosedWhileFrozen);
        self.faults.add(call, schedule);
        self
    }

    /// Applies a transient fault to this percentage of calls. The same seed gives the same faults.
    #[must_use]
    pub fn random_faults(self, seed: u64, percent: u64) -> Self {
        self.faults.add_random(seed, percent);
        self
    }

    /// Edits the JSON body of every successful response to calls of this kind.
    #[must_use]
    pub fn tamper(self, call: Call, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.faults(call, Schedule::Always(Fault::edit(change)))
    }

    /// Uses the AWS at this URL, such as moto's, instead of the sandbox's own. The parameters are stored there.
    #[must_use]
    pub fn aws_endpoint(mut self, url: &str) -> Self {
        self.aws_endpoint = Some(url.to_owned());
        self
    }

    /// Calls this with the process ID after init, before the first delivery: the place to limit the function's CPU.
    #[must_use]
    pub fn after_init(mut self, call: impl Fn(u32) + Send + Sync + 'static) -> Self {
        self.after_init = Some(Box::new(call));
        self
    }

    /// Runs one environment for one invocation from a cold start.
    ///
    /// # Panics
    /// If a secret is in the output, a line on stdout is not JSON, or a call violates the contract with AWS or GitHub.
    pub async fn run(self) -> Outcome {
        let payload = self.payload.clone();
        let mut running = Running::launch(self).await;
        let outcome = running.invoke(payload).await;
        running.finish().await;
        outcome
    }

    /// Starts the servers and no process: the first invocation is a cold start.
    pub async fn prepare(self) -> Running {
        Running::launch(self).await
    }

    /// Starts the servers and one environment, frozen after init, for several invocations. If its init fails, the first
    /// invocation starts another one and its outcome is that failure.
    pub async fn start(self) -> Running {
        let mut running = Running::launch(self).await;
        running.warm_up().await;
        running
    }

    /// Applies the scenario's variables.
    pub(crate) fn configure(&self, variables: &mut Variables) {
        for (name, value) in &self.variables {
            match value {
                Some(value) => variables.set(name, value),
                None => variables.unset(name),
            }
        }
    }
}
