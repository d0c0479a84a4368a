//! One way to run the broker on loopback, for the demo, the tests, the soak and the benches. Comes in: what is special
//! about this run. Goes out: what came of it. Without anything special, it is a healthy day and a token is minted.

pub(crate) mod fixtures;
pub(crate) mod invariants;
pub(crate) mod outcome;
pub(crate) mod running;
pub(crate) mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::aws::ssm::{Parameter, Ssm};
use crate::faults::Fault;
use crate::faults::schedule::{Faults, Schedule};
use crate::github::GitHub;
use crate::github::private_key::PrivateKey;
use crate::lambda::variables::Variables;
use crate::net::recorder::Call;
use crate::sandbox::Setting;
use crate::scenario::outcome::Outcome;
use crate::scenario::running::Running;

type Change<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A run to be. Every method changes one thing of the healthy day.
pub struct Scenario {
    pub(crate) binary: Option<PathBuf>,
    pub(crate) launcher: Vec<String>,
    pub(crate) key: PrivateKey,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) missing: Vec<String>,
    pub(crate) parameters: BTreeMap<String, Option<Parameter>>,
    pub(crate) github: Vec<Change<GitHub>>,
    pub(crate) ssm: Vec<Change<Ssm>>,
    pub(crate) payload: Bytes,
    pub(crate) setting: Setting,
    pub(crate) faults: Faults,
    pub(crate) timeout: Duration,
    pub(crate) memory: u32,
    pub(crate) trace_id: Option<String>,
    pub(crate) ssm_endpoint: Option<String>,
    pub(crate) trailing_slash: bool,
    pub(crate) freeze_after_init: bool,
    pub(crate) after_init: Option<Box<dyn Fn(u32) + Send + Sync>>,
    pub(crate) any_log: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            binary: None,
            launcher: Vec::new(),
            key: PrivateKey::rsa(2048),
            variables: BTreeMap::new(),
            missing: Vec::new(),
            parameters: BTreeMap::new(),
            github: Vec::new(),
            ssm: Vec::new(),
            payload: Bytes::from_static(b"null"),
            setting: Setting::default(),
            faults: Faults::default(),
            timeout: Duration::from_secs(10),
            memory: 128,
            trace_id: None,
            ssm_endpoint: None,
            trailing_slash: false,
            freeze_after_init: false,
            after_init: None,
            any_log: std::env::var("BROKER_UNDER_TEST_LOG").is_ok_and(|kind| kind == "any"),
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

    /// Starts the program by this command, which has to become it, as `prlimit` does.
    #[must_use]
    pub fn launcher(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Sets a variable of the function, one of Lambda's own too.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.missing.retain(|missing| missing != name);
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a variable out, one of Lambda's own too.
    #[must_use]
    pub fn without_variable(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self.missing.push(name.to_owned());
        self
    }

    /// Configures these permissions.
    #[must_use]
    pub fn permissions(self, permissions: &[(&str, &str)]) -> Self {
        let map: BTreeMap<_, _> = permissions.iter().copied().collect();
        let json = serde_json::to_string(&map).expect("names and levels are JSON");
        self.variable("GITHUB_TOKEN_BROKER_PERMISSIONS", json)
    }

    /// Delivers exactly these bytes to the function.
    #[must_use]
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = Bytes::copy_from_slice(payload.as_ref());
        self
    }

    /// Puts another parameter, or another value into one of the three.
    #[must_use]
    pub fn parameter(mut self, name: &str, parameter: Parameter) -> Self {
        self.parameters.insert(name.to_owned(), Some(parameter));
        self
    }

    /// Leaves a parameter out.
    #[must_use]
    pub fn without_parameter(mut self, name: &str) -> Self {
        self.parameters.insert(name.to_owned(), None);
        self
    }

    /// The App's key: the PEM in SSM, and the public half at GitHub.
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

    /// Serves GitHub below this path, `/api/v3` on an Enterprise Server. With a slash at the end, the function is given it
    /// that way.
    #[must_use]
    pub fn base_path(mut self, path: &str) -> Self {
        path.trim_end_matches('/')
            .clone_into(&mut self.setting.base_path);
        self.trailing_slash = path.ends_with('/');
        self
    }

    /// AWS and GitHub speak TLS, with a certificate of an authority that the function finds in `SSL_CERT_FILE`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.setting.tls = true;
        self
    }

    /// The round trips to SSM and to GitHub.
    #[must_use]
    pub fn round_trips(mut self, ssm: Duration, github: Duration) -> Self {
        self.setting.ssm_round_trip = ssm;
        self.setting.github_round_trip = github;
        self
    }

    /// The function's time-out; 10 s as the Terraform module has it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The X-Ray trace ID that the invocation comes with.
    #[must_use]
    pub fn trace_id(mut self, trace_id: &str) -> Self {
        self.trace_id = Some(trace_id.to_owned());
        self
    }

    /// The first call of this kind meets this fault.
    #[must_use]
    pub fn fault(self, call: Call, fault: impl Into<Fault>) -> Self {
        self.faults(call, Schedule::First(fault.into()))
    }

    /// Calls of this kind meet a fault, by this schedule.
    #[must_use]
    pub fn faults(mut self, call: Call, schedule: Schedule) -> Self {
        self.freeze_after_init |= matches!(schedule.fault(), Fault::CutWhileFrozen);
        self.faults.add(call, schedule);
        self
    }

    /// So many in a hundred calls meet a fault that can be survived; the same seed gives the same faults.
    #[must_use]
    pub fn random_faults(self, seed: u64, percent: u64) -> Self {
        self.faults.at_random(seed, percent);
        self
    }

    /// Every successful answer to calls of this kind has its JSON body edited.
    #[must_use]
    pub fn tamper(
        self,
        call: Call,
        change: impl Fn(&mut serde_json::Value) + Send + Sync + 'static,
    ) -> Self {
        self.faults(call, Schedule::Always(Fault::edit(change)))
    }

    /// Uses the SSM at this URL, such as moto's, in place of the sandbox's own. The parameters are put there.
    #[must_use]
    pub fn ssm_endpoint(mut self, url: &str) -> Self {
        self.ssm_endpoint = Some(url.to_owned());
        self
    }

    /// Calls this with the process's ID after init, before the first delivery: the place to limit its CPU.
    #[must_use]
    pub fn after_init(mut self, call: impl Fn(u32) + Send + Sync + 'static) -> Self {
        self.after_init = Some(Box::new(call));
        self
    }

    /// Runs it: one environment, one invocation from a cold start, the end.
    ///
    /// # Panics
    /// When a secret reached the output, a line on stdout is not JSON, or the contract with AWS or GitHub was broken.
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

    /// Starts it for several invocations: the first environment is ready and frozen, unless its init fails, which then is
    /// the outcome of the first invocation.
    pub async fn start(self) -> Running {
        let mut running = Running::launch(self).await;
        running.warm_up().await;
        running
    }

    /// Sets and takes away the variables that the scenario says.
    pub(crate) fn configure(&self, variables: &mut Variables) {
        for (name, value) in &self.variables {
            variables.set(name, value);
        }
        for name in &self.missing {
            variables.unset(name);
        }
    }
}
