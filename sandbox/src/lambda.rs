//! Lambda as its callers see it.
//!
//! Input: a function's name and a payload. Output: the invocation, in an environment of its own: an idle one, or a new one
//! if all are busy. An environment that failed to start, crashed or timed out is never reused.

pub(crate) mod environment;
pub(crate) mod invocation;
pub(crate) mod invoke_result;
pub(crate) mod output;
pub(crate) mod proc;
pub(crate) mod remote;
pub(crate) mod routes;
pub(crate) mod runtime_api;
pub(crate) mod variables;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::HeaderMap;

use self::environment::{Configuration, Environment};
use self::invocation::Invocation;
use self::remote::{DeployedFunction, RemoteLambda, Unavailable};
use crate::lock;

/// All functions.
#[derive(Default)]
pub(crate) struct Lambda {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    remote: OnceLock<RemoteLambda>,
    /// The remote functions as they were when they were last run.
    deployed: Mutex<BTreeMap<String, DeployedFunction>>,
}

/// A function and its idle environments.
pub(crate) struct Function {
    configuration: Arc<Configuration>,
    idle: Mutex<Vec<Environment>>,
}

impl Lambda {
    /// Creates a function, or replaces it: a new configuration means new environments.
    pub(crate) fn put(&self, configuration: Configuration) -> Arc<Function> {
        let name = configuration.name.clone();
        let function = Arc::new(Function {
            configuration: Arc::new(configuration),
            idle: Mutex::default(),
        });
        lock(&self.functions).insert(name, Arc::clone(&function));
        function
    }

    /// From now on, looks up functions that do not exist here in this remote Lambda.
    pub(crate) fn set_remote(&self, remote: RemoteLambda) {
        assert!(
            self.remote.set(remote).is_ok(),
            "there is only one remote Lambda"
        );
    }

    /// The function with this name or ARN. A remote function is looked up each time: a different configuration or zip means
    /// new environments.
    pub(crate) async fn function(
        &self,
        name: &str,
        caller: &HeaderMap,
    ) -> Result<Arc<Function>, Unavailable> {
        let name = bare_name(name);
        let known = lock(&self.functions).get(name).cloned();
        let deployed_before = lock(&self.deployed).get(name).cloned();
        let Some(remote) = self.remote.get() else {
            return known.ok_or_else(|| {
                Unavailable::Function("the sandbox has no such function".to_owned())
            });
        };
        if let (Some(function), None) = (&known, &deployed_before) {
            return Ok(Arc::clone(function));
        }
        let deployed = remote.deployed(name, caller).await?;
        if let Some(function) = known.filter(|_| deployed_before.as_ref() == Some(&deployed)) {
            return Ok(function);
        }
        let function = self.put(remote.configuration(&deployed)?);
        lock(&self.deployed).insert(name.to_owned(), deployed);
        Ok(function)
    }
}

impl Function {
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Runs one invocation with exactly this payload.
    pub(crate) async fn invoke(&self, payload: Bytes) -> Invocation {
        let mut environment = self.environment().await;
        let invocation = environment.invoke(payload).await;
        self.keep(environment);
        invocation
    }

    /// Runs one invocation per payload at once, in one environment.
    pub(crate) async fn invoke_at_once(&self, payloads: Vec<Bytes>) -> Vec<Invocation> {
        let mut environment = self.environment().await;
        let invocations = environment.invoke_at_once(payloads).await;
        self.keep(environment);
        invocations
    }

    /// An idle environment, or a new one.
    async fn environment(&self) -> Environment {
        let idle = lock(&self.idle).pop();
        match idle {
            Some(environment) => environment,
            None => Environment::start(Arc::clone(&self.configuration)).await,
        }
    }

    fn keep(&self, environment: Environment) {
        if environment.is_alive() {
            lock(&self.idle).push(environment);
        }
    }

    /// Changes the environment that the next invocation goes to, which must exist.
    pub(crate) fn change_idle(&self, change: impl FnOnce(&mut Environment)) {
        let mut idle = lock(&self.idle);
        change(idle.last_mut().expect("the function was warmed up"));
    }

    /// Starts an environment before the first invocation and freezes it when it is ready. If it cannot start, the error is
    /// its output; the next invocation starts another one.
    pub(crate) async fn warm_up(&self) -> Result<(), (String, String)> {
        let mut environment = Environment::start(Arc::clone(&self.configuration)).await;
        if environment.warm_up().await.is_err() {
            return Err(environment.end().await);
        }
        lock(&self.idle).push(environment);
        Ok(())
    }

    /// The process that the next invocation goes to, if there is one, and whether it is frozen.
    pub(crate) fn process(&self) -> Option<(u32, bool)> {
        lock(&self.idle)
            .last()
            .map(|environment| (environment.pid(), environment.is_frozen()))
    }

    /// Ends all idle environments. Returns what they wrote since their last invocation.
    pub(crate) async fn end(&self) -> (String, String) {
        let environments = std::mem::take(&mut *lock(&self.idle));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for mut environment in environments {
            let (out, err) = environment.end().await;
            stdout.push_str(&out);
            stderr.push_str(&err);
        }
        (stdout, stderr)
    }

    /// Kills all idle environments without waiting for them.
    pub(crate) fn kill(&self) {
        lock(&self.idle).clear();
    }
}

/// `name` in `name`, `name:$LATEST` or a function ARN.
pub(crate) fn bare_name(name: &str) -> &str {
    let name = name
        .rsplit_once(":function:")
        .map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}
