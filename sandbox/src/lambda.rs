//! Lambda as its callers see it. Comes in: a function's name and a payload. Goes out: the invocation in an environment of
//! its own: an idle one, or a new one when all are busy. One that failed to start, crashed or timed out is never used again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::environment::{Configuration, Environment};
use crate::invocation::Invocation;
use crate::lock;

/// All functions.
#[derive(Default)]
pub(crate) struct Lambda {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
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

    /// The function of this name, or of the ARN that ends in it.
    pub(crate) fn function(&self, name: &str) -> Option<Arc<Function>> {
        lock(&self.functions).get(bare_name(name)).cloned()
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
