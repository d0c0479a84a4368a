//! Lambda as its callers see it. Comes in: a function's name and a payload. Goes out: the invocation in an environment of
//! its own: an idle one, or a new one when all are busy. One that failed to start, crashed or timed out is never used again.

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

use crate::lambda::environment::{Configuration, Environment};
use crate::lambda::invocation::Invocation;
use crate::lambda::remote::{Deployed, Missing, Source};
use crate::lock;

/// All functions.
#[derive(Default)]
pub(crate) struct Lambda {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    source: OnceLock<Source>,
    /// What the source's functions were like when they were put.
    deployed: Mutex<BTreeMap<String, Deployed>>,
}

/// A function and its idle environments.
pub(crate) struct Function {
    configuration: Arc<Configuration>,
    idle: Mutex<Vec<Environment>>,
}

impl Lambda {
    /// Creates a function, or replaces it: new configuration, new environments.
    pub(crate) fn put(&self, configuration: Configuration) -> Arc<Function> {
        let name = configuration.name.clone();
        let function = Arc::new(Function {
            configuration: Arc::new(configuration),
            idle: Mutex::default(),
        });
        lock(&self.functions).insert(name, Arc::clone(&function));
        function
    }

    /// From now on, functions that are not here are looked for there.
    pub(crate) fn take_functions_from(&self, source: Source) {
        assert!(self.source.set(source).is_ok(), "functions have one source");
    }

    /// The function of this name, or of the ARN that ends in it. One that comes from a source is asked for anew each time:
    /// another configuration or another zip means other environments.
    pub(crate) async fn function(
        &self,
        name: &str,
        caller: &HeaderMap,
    ) -> Result<Arc<Function>, Missing> {
        let name = bare_name(name);
        let here = lock(&self.functions).get(name).cloned();
        let taken = lock(&self.deployed).get(name).cloned();
        let Some(source) = self.source.get() else {
            return here
                .ok_or_else(|| Missing::Function("the sandbox has no such function".to_owned()));
        };
        match (here, taken) {
            (Some(function), None) => Ok(function),
            (here, taken) => {
                let deployed = source.deployed(name, caller).await?;
                if let Some(function) = here.filter(|_| taken.as_ref() == Some(&deployed)) {
                    return Ok(function);
                }
                let function = self.put(source.configuration(&deployed)?);
                lock(&self.deployed).insert(name.to_owned(), deployed);
                Ok(function)
            }
        }
    }
}

impl Function {
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Runs one invocation with exactly this payload.
    pub(crate) async fn invoke(&self, payload: Bytes) -> Invocation {
        let idle = lock(&self.idle).pop();
        let mut environment = match idle {
            Some(environment) => environment,
            None => Environment::start(Arc::clone(&self.configuration)).await,
        };
        let invocation = environment.invoke(payload).await;
        if environment.is_alive() {
            lock(&self.idle).push(environment);
        }
        invocation
    }

    /// Starts an environment ahead of the first invocation, and freezes it when it is ready.
    /// What one wrote that cannot start is the error; the next invocation will see the same.
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

    /// Ends all idle environments; goes out what they wrote since their last invocation.
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
}

/// `name` out of `name`, `name:$LATEST` or a function's ARN.
pub(crate) fn bare_name(name: &str) -> &str {
    let name = name
        .rsplit_once(":function:")
        .map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}
