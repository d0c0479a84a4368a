//! One execution environment as Lambda runs it: a process with the function's variables and no others, that is initialized,
//! gets one invocation at a time, is frozen in between, and is killed at the deadline.
//!
//! Output: what the caller of the function sees. Invariant: the process ends with its `Environment`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{timeout, timeout_at};
use uuid::Uuid;

use super::invocation::Invocation;
use super::invoke_result::{InvokeResult, error_body, parse_error};
use super::output::Output;
use super::proc::{peak_memory, state};
use super::runtime_api::{Delivery, Event, RuntimeApi};
use super::variables::Variables;
use crate::clock;

/// Lambda's limit for the init phase.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// The time that a function has to exit after it reported an init error.
const EXIT_TIME: Duration = Duration::from_secs(1);

/// The kernel stops a process within microseconds; a busy machine gets a large margin.
const FREEZE_LIMIT: Duration = Duration::from_secs(5);

/// Called before each delivery with the process ID: the place for what happens to a function while it waits.
pub(crate) type BeforeDelivery = Arc<dyn Fn(u32) + Send + Sync>;

/// A change to what `GetFunctionConfiguration` returns.
pub(crate) type DescriptionEdit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// The configuration of a function.
#[derive(Clone)]
pub(crate) struct Configuration {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    /// The command that runs the binary, if the machine cannot run it directly.
    pub(crate) launcher: Vec<String>,
    pub(crate) variables: Variables,
    pub(crate) timeout: Duration,
    pub(crate) trace_id: Option<String>,
    pub(crate) freeze_after_init: bool,
    pub(crate) before_delivery: Option<BeforeDelivery>,
    pub(crate) edits: Vec<DescriptionEdit>,
    /// The resource policy.
    pub(crate) policy: Option<Value>,
}

/// A running environment. Dropping it kills the process.
pub(crate) struct Environment {
    configuration: Arc<Configuration>,
    api: RuntimeApi,
    child: Child,
    pid: u32,
    output: Output,
    spawned: Instant,
    ready: Option<Instant>,
    frozen: bool,
    alive: bool,
    used: bool,
    next_request_id: Option<String>,
    /// The number of invocations that the function takes at once.
    concurrency: usize,
    /// The number of times that the function requested an invocation.
    asked: usize,
    /// The number of invocations that were delivered.
    delivered: usize,
}

impl Environment {
    /// Starts the process.
    pub(crate) async fn start(configuration: Arc<Configuration>) -> Self {
        let api = RuntimeApi::start().await;
        let output = Output::new();
        let folder = configuration
            .binary
            .parent()
            .expect("the binary is in a folder");
        let launcher = configuration.launcher.iter().map(OsStr::new);
        let mut words = launcher.chain([configuration.binary.as_os_str()]);
        let mut command = Command::new(words.next().expect("the binary is a word"));
        let variables = configuration
            .variables
            .for_environment(folder, &api.authority());
        command
            .args(words)
            .env_clear()
            .envs(variables)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.stdout())
            .stderr(output.stderr())
            // If the sandbox itself is killed, the kernel hangs up on a stopped process in an orphaned process group.
            .process_group(0)
            .kill_on_drop(true);
        let spawned = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {}: {error}", configuration.binary.display())
        });
        let concurrency = configuration.variables.value("AWS_LAMBDA_MAX_CONCURRENCY");
        let concurrency = concurrency.and_then(|text| text.parse().ok()).unwrap_or(1);
        let pid = child.id().expect("a child that was not awaited has an ID");
        Self {
            configuration,
            api,
            child,
            pid,
            output,
            spawned,
            ready: None,
            frozen: false,
            alive: true,
            used: false,
            next_request_id: None,
            concurrency,
            asked: 0,
            delivered: 0,
        }
    }

    /// Waits until the function asks for an invocation, then freezes it.
    pub(crate) async fn warm_up(&mut self) -> Result<(), InvokeResult> {
        self.init(&Uuid::new_v4().to_string()).await?;
        self.freeze();
        Ok(())
    }

    /// Runs one invocation, including the init phase if it is the first.
    pub(crate) async fn invoke(&mut self, payload: Bytes) -> Invocation {
        let fresh = || Uuid::new_v4().to_string();
        let request_id = self.next_request_id.take().unwrap_or_else(fresh);
        let cold = !std::mem::replace(&mut self.used, true);
        let mut delivered = Instant::now();
        let failure = match self.ready {
            Some(_) => None,
            None => self.init(&request_id).await.err(),
        };
        let result = if let Some(failure) = failure {
            failure
        } else {
            if cold && self.configuration.freeze_after_init {
                self.freeze();
            }
            if let Some(before_delivery) = &self.configuration.before_delivery {
                before_delivery(self.pid);
            }
            delivered = Instant::now();
            self.deliver(&request_id, payload);
            self.await_result(&request_id).await
        };
        let finished = Instant::now();
        let peak_memory = peak_memory(self.pid);
        if self.alive {
            self.await_next_and_freeze(delivered).await;
        }
        let (stdout, stderr) = self.output.read_new();
        Invocation {
            request_id,
            result,
            spawned: self.spawned,
            ready: self.ready,
            delivered,
            finished,
            cold,
            stdout,
            stderr,
            peak_memory,
        }
    }

    /// Runs one invocation per payload, all at once, as a Lambda managed instance does. Output belongs to all of them.
    pub(crate) async fn invoke_at_once(&mut self, payloads: Vec<Bytes>) -> Vec<Invocation> {
        let cold = !std::mem::replace(&mut self.used, true);
        let ids: Vec<_> = payloads
            .iter()
            .map(|_| Uuid::new_v4().to_string())
            .collect();
        let mut results = BTreeMap::new();
        let mut failure = match self.ready {
            Some(_) => None,
            None => self.init(&ids[0]).await.err(),
        };
        if failure.is_none()
            && let Some(before_delivery) = &self.configuration.before_delivery
        {
            before_delivery(self.pid);
        }
        let delivered = Instant::now();
        if failure.is_none() {
            for (id, payload) in ids.iter().zip(payloads) {
                self.deliver(id, payload);
            }
        }
        let limit = self.configuration.timeout;
        while failure.is_none() && results.len() < ids.len() {
            failure = match self.next_event(delivered + limit).await {
                ProcessEvent::Reported(Event::Response { id, body }) => {
                    results.insert(id, InvokeResult::Response(body));
                    None
                }
                ProcessEvent::Reported(Event::Error { id, body }) => {
                    results.insert(id, InvokeResult::FunctionError(parse_error(&body)));
                    None
                }
                ProcessEvent::Reported(_) => None,
                ProcessEvent::Exited(status) => Some(InvokeResult::crashed(&ids[0], status)),
                ProcessEvent::DeadlinePassed => Some(InvokeResult::timed_out(&ids[0], limit)),
            };
        }
        let finished = Instant::now();
        if failure.is_some() {
            self.kill().await;
        } else {
            self.await_next_and_freeze(delivered).await;
        }
        let (stdout, stderr) = self.output.read_new();
        let peak_memory = peak_memory(self.pid);
        let invocations = ids.into_iter().map(|request_id| {
            let result = results.remove(&request_id).or_else(|| failure.clone());
            Invocation {
                result: result.expect("each invocation has a result or the failure of all"),
                request_id,
                spawned: self.spawned,
                ready: self.ready,
                delivered,
                finished,
                cold,
                stdout: stdout.clone(),
                stderr: stderr.clone(),
                peak_memory,
            }
        });
        invocations.collect()
    }

    /// Gives the next invocation this request ID.
    pub(crate) fn set_next_request_id(&mut self, id: &str) {
        self.next_request_id = Some(id.to_owned());
    }

    /// Rejects the next results with this status, this many of them.
    pub(crate) fn reject_results(&self, status: StatusCode, count: usize) {
        self.api.reject_results(status, count);
    }

    /// Whether this environment can take another invocation.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process. Returns what it wrote since the last invocation.
    pub(crate) async fn end(&mut self) -> (String, String) {
        self.kill().await;
        self.output.read_new()
    }

    async fn init(&mut self, request_id: &str) -> Result<(), InvokeResult> {
        let event = loop {
            match self.next_event(self.spawned + INIT_LIMIT).await {
                ProcessEvent::Reported(Event::Next) if !self.is_idle() => {}
                event => break event,
            }
        };
        let failure = match event {
            ProcessEvent::Reported(Event::Next) => {
                self.ready = Some(Instant::now());
                return Ok(());
            }
            ProcessEvent::Reported(Event::InitError { body }) => {
                // The function may still write output before it exits; if it does not exit, it is killed below.
                let _ = timeout(EXIT_TIME, self.child.wait()).await;
                InvokeResult::InitError(parse_error(&body))
            }
            ProcessEvent::Reported(_) => InvokeResult::Crashed(error_body(
                "Runtime.InvalidState",
                "a result before any invocation",
            )),
            ProcessEvent::Exited(status) => InvokeResult::crashed(request_id, status),
            ProcessEvent::DeadlinePassed => InvokeResult::timed_out(request_id, INIT_LIMIT),
        };
        self.kill().await;
        Err(failure)
    }

    fn deliver(&mut self, request_id: &str, payload: Bytes) {
        let configuration = &self.configuration;
        let timeout = i64::try_from(configuration.timeout.as_millis()).unwrap_or(i64::MAX);
        self.api.deliver(Delivery {
            id: request_id.to_owned(),
            deadline_ms: clock::epoch_millis() + timeout,
            arn: configuration.variables.function_arn(&configuration.name),
            trace_id: configuration.trace_id.clone(),
            payload,
        });
        self.delivered += 1;
        self.signal(Signal::CONT);
        self.frozen = false;
    }

    async fn await_result(&mut self, request_id: &str) -> InvokeResult {
        let limit = self.configuration.timeout;
        let deadline = Instant::now() + limit;
        loop {
            let failure = match self.next_event(deadline).await {
                ProcessEvent::Reported(Event::Response { body, id }) if id == request_id => {
                    return InvokeResult::Response(body);
                }
                ProcessEvent::Reported(Event::Error { body, id }) if id == request_id => {
                    return InvokeResult::FunctionError(parse_error(&body));
                }
                ProcessEvent::Reported(Event::InitError { body }) => {
                    InvokeResult::InitError(parse_error(&body))
                }
                ProcessEvent::Reported(_) => continue,
                ProcessEvent::Exited(status) => InvokeResult::crashed(request_id, status),
                ProcessEvent::DeadlinePassed => InvokeResult::timed_out(request_id, limit),
            };
            self.kill().await;
            return failure;
        }
    }

    /// Whether the function waits for as many invocations as it takes at once.
    fn is_idle(&self) -> bool {
        self.asked >= self.delivered + self.concurrency
    }

    /// Waits until the function asks for the next invocation, then freezes it.
    async fn await_next_and_freeze(&mut self, delivered: Instant) {
        let deadline = delivered + self.configuration.timeout;
        loop {
            match self.next_event(deadline).await {
                ProcessEvent::Reported(Event::Next) if self.is_idle() => return self.freeze(),
                ProcessEvent::Reported(_) => {}
                ProcessEvent::Exited(_) | ProcessEvent::DeadlinePassed => return self.kill().await,
            }
        }
    }

    async fn next_event(&mut self, deadline: Instant) -> ProcessEvent {
        let event = async {
            tokio::select! {
                // What the function reported before it exited comes first.
                biased;
                Some(event) = self.api.events.recv() => ProcessEvent::Reported(event),
                status = self.child.wait() => ProcessEvent::Exited(status.unwrap_or_default()),
            }
        };
        let event = timeout_at(deadline.into(), event)
            .await
            .unwrap_or(ProcessEvent::DeadlinePassed);
        if matches!(event, ProcessEvent::Reported(Event::Next)) {
            self.asked += 1;
        }
        event
    }

    /// Stops the process, and returns when the kernel has stopped it: what follows may rely on that.
    fn freeze(&mut self) {
        self.signal(Signal::STOP);
        assert!(
            wait_until_stopped(|| state(self.pid), FREEZE_LIMIT),
            "process {} did not stop within {FREEZE_LIMIT:?}",
            self.pid
        );
        self.frozen = true;
    }

    async fn kill(&mut self) {
        // A process that has exited already is only reaped.
        let _ = self.child.kill().await;
        self.alive = false;
    }

    fn signal(&self, signal: Signal) {
        // The process may have exited: the next wait reports it.
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Whether the process stopped, or ended, within the limit. A traced process has the state `t`.
fn wait_until_stopped(state: impl Fn() -> Option<char>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while state().is_some_and(|state| !matches!(state, 'T' | 't' | 'Z' | 'X')) {
        if Instant::now() > deadline {
            return false;
        }
        // The kernel needs microseconds; the shortest sleep of the async runtime is a thousand.
        std::thread::sleep(Duration::from_micros(20));
    }
    true
}

/// What ended a wait.
enum ProcessEvent {
    Reported(Event),
    Exited(ExitStatus),
    DeadlinePassed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_for_a_process_that_never_stops_is_bounded() {
        assert!(!wait_until_stopped(|| Some('R'), Duration::from_millis(10)));
    }

    #[test]
    fn stopped_traced_and_ended_processes_count_as_stopped() {
        for state in [Some('T'), Some('t'), Some('Z'), None] {
            assert!(wait_until_stopped(|| state, Duration::ZERO), "{state:?}");
        }
    }
}
