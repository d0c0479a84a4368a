//! Lambda as its callers see it. Comes in: a function's name and a payload. Goes out: the invocation in an environment of
//! its own: an idle one, or a new one when all are busy. One that failed to start, crashed or timed out is never used again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::environment::{Answer, Configuration, Environment, Invocation};
use crate::{clock, lock};

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
    pub(crate) async fn warm_up(&self) -> Result<(), Answer> {
        let mut environment = Environment::start(Arc::clone(&self.configuration)).await;
        environment.warm_up().await?;
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

/// The invocation's log as `CloudWatch` has it: Lambda's own lines round the function's.
pub(crate) fn log(invocation: &Invocation, memory: u32) -> String {
    let Invocation {
        request_id,
        answer,
        stdout,
        stderr,
        ..
    } = invocation;
    let took = invocation
        .answered
        .duration_since(invocation.delivered)
        .as_secs_f64()
        * 1000.0;
    let mut log = format!("START RequestId: {request_id} Version: $LATEST\n{stdout}{stderr}");
    match answer {
        Answer::TimedOut(error) => {
            let message = error["errorMessage"]
                .as_str()
                .and_then(|text| text.split_once("Error: "))
                .map_or("", |(_, text)| text);
            let now = clock::rfc3339(clock::Clock::default().now());
            let _ = writeln!(log, "{now} {request_id} {message}\n");
        }
        Answer::Crashed(error) => {
            let _ = writeln!(
                log,
                "{}\nRuntime.ExitError",
                error["errorMessage"].as_str().unwrap_or_default()
            );
        }
        _ => {}
    }
    let used = invocation.peak_memory.div_ceil(1024);
    let _ = write!(
        log,
        "END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {took:.2} ms\tBilled Duration: {:.0} ms\t\
         Memory Size: {memory} MB\tMax Memory Used: {used} MB\t",
        took.ceil()
    );
    if let (true, Some(ready)) = (invocation.cold, invocation.ready) {
        let init = ready.duration_since(invocation.spawned).as_secs_f64() * 1000.0;
        let _ = write!(log, "Init Duration: {init:.2} ms\t");
    }
    log.push('\n');
    log
}
