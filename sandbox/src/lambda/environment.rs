//! One execution environment, as Lambda runs it: a process with Lambda's variables and nothing else, init, then one
//! invocation at a time, frozen in between, killed at the deadline. Goes out: what the caller of the function sees.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{timeout, timeout_at};

use crate::clock;
use crate::lambda::invocation::Invocation;
use crate::lambda::invoke_result::{Answer, crashed, error, parsed, timed_out};
use crate::lambda::output::Output;
use crate::lambda::proc::{peak_memory, state};
use crate::lambda::runtime_api::{Delivery, Event, RuntimeApi};
use crate::lambda::variables::Variables;
use crate::random;

/// Lambda's limit for the init phase.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// How long a function that reported an init error may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Called before each delivery with the ID of the process: the place for what happens to a function while it waits.
pub(crate) type BeforeDelivery = Arc<dyn Fn(u32) + Send + Sync>;

/// How a function is set up.
#[derive(Clone)]
pub(crate) struct Configuration {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    /// The command that runs the binary, where the machine cannot do it by itself.
    pub(crate) launcher: Vec<String>,
    pub(crate) variables: Variables,
    pub(crate) timeout: Duration,
    pub(crate) trace_id: Option<String>,
    pub(crate) freeze_after_init: bool,
    pub(crate) before_delivery: Option<BeforeDelivery>,
}

/// A running environment. The process is killed when this is dropped.
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
}

impl Environment {
    /// Starts the process.
    pub(crate) async fn start(configuration: Arc<Configuration>) -> Self {
        let api = RuntimeApi::start().await;
        let output = Output::new();
        let folder = configuration
            .binary
            .parent()
            .expect("a program is in a folder");
        let mut words = configuration
            .launcher
            .iter()
            .map(OsStr::new)
            .chain([configuration.binary.as_os_str()]);
        let mut command = Command::new(words.next().expect("the binary is one"));
        command.args(words);
        command.env_clear().envs(
            configuration
                .variables
                .for_environment(folder, &api.authority()),
        );
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command.stdout(output.stdout()).stderr(output.stderr());
        let spawned = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{} does not start: {error}", configuration.binary.display())
        });
        let pid = child
            .id()
            .expect("a child that was not waited for has an ID");
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
        }
    }

    /// Waits until the function asks for work, and freezes it.
    pub(crate) async fn warm_up(&mut self) -> Result<(), Answer> {
        self.init(&random::uuid()).await?;
        self.freeze();
        Ok(())
    }

    /// Runs one invocation. What comes before it (a cold start) is a part of it.
    pub(crate) async fn invoke(&mut self, payload: Bytes) -> Invocation {
        let request_id = random::uuid();
        let cold = !std::mem::replace(&mut self.used, true);
        let mut delivered = Instant::now();
        let mut answer = if self.ready.is_none() {
            self.init(&request_id).await.err()
        } else {
            None
        };
        if answer.is_none() {
            if cold && self.configuration.freeze_after_init {
                self.freeze();
            }
            if let Some(before) = &self.configuration.before_delivery {
                before(self.pid);
            }
            delivered = Instant::now();
            self.deliver(&request_id, payload);
            answer = Some(self.work(&request_id).await);
        }
        let answered = Instant::now();
        let answer = answer.expect("one of the two ways gave an answer");
        let peak_memory = peak_memory(self.pid);
        if self.alive && matches!(answer, Answer::Response(_) | Answer::FunctionError(_)) {
            self.rest(delivered).await;
        }
        let (stdout, stderr) = self.output.read_on();
        let (spawned, ready) = (self.spawned, self.ready);
        Invocation {
            request_id,
            answer,
            spawned,
            ready,
            delivered,
            answered,
            cold,
            stdout,
            stderr,
            peak_memory,
        }
    }

    /// Whether another invocation may come here.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive
    }

    /// Whether the process is stopped.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process; what it wrote since the last invocation is the answer.
    pub(crate) async fn end(&mut self) -> (String, String) {
        self.kill().await;
        self.output.read_on()
    }

    async fn init(&mut self, request_id: &str) -> Result<(), Answer> {
        let deadline = self.spawned + INIT_LIMIT;
        let failure = match self.next_event(deadline).await {
            Happened::Told(Event::Next) => {
                self.ready = Some(Instant::now());
                return Ok(());
            }
            Happened::Told(Event::InitError { body }) => {
                // Its last words may follow the report, before it ends.
                let _ = timeout(LAST_WORDS, self.child.wait()).await;
                Answer::InitError(parsed(&body))
            }
            Happened::Told(_) => Answer::Crashed(error(
                "Runtime.InvalidState",
                "an answer before any invocation",
            )),
            Happened::Ended(status) => crashed(request_id, status),
            Happened::Late => timed_out(request_id, INIT_LIMIT),
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
        self.signal(Signal::CONT);
        self.frozen = false;
    }

    async fn work(&mut self, request_id: &str) -> Answer {
        let limit = self.configuration.timeout;
        let deadline = Instant::now() + limit;
        loop {
            let answer = match self.next_event(deadline).await {
                Happened::Told(Event::Response { body, id }) if id == request_id => {
                    return Answer::Response(body);
                }
                Happened::Told(Event::Error { body, id }) if id == request_id => {
                    return Answer::FunctionError(parsed(&body));
                }
                Happened::Told(Event::InitError { body }) => Answer::InitError(parsed(&body)),
                Happened::Told(_) => continue,
                Happened::Ended(status) => crashed(request_id, status),
                Happened::Late => timed_out(request_id, limit),
            };
            self.kill().await;
            return answer;
        }
    }

    /// After an answer: waits until the function asks for more, and freezes it.
    async fn rest(&mut self, delivered: Instant) {
        let deadline = delivered + self.configuration.timeout;
        loop {
            match self.next_event(deadline).await {
                Happened::Told(Event::Next) => return self.freeze(),
                Happened::Told(_) => {}
                Happened::Ended(_) | Happened::Late => return self.kill().await,
            }
        }
    }

    async fn next_event(&mut self, deadline: Instant) -> Happened {
        let waiting = async {
            tokio::select! {
                // What the function said before it ended counts more than its end.
                biased;
                Some(event) = self.api.events.recv() => Happened::Told(event),
                status = self.child.wait() => Happened::Ended(status.unwrap_or_default()),
            }
        };
        timeout_at(deadline.into(), waiting)
            .await
            .unwrap_or(Happened::Late)
    }

    fn freeze(&mut self) {
        self.signal(Signal::STOP);
        // The kernel stops a process in its own time; what follows may rely on it. That takes microseconds, and the shortest
        // sleep of the runtime's is a thousand.
        while state(self.pid).is_some_and(|state| !matches!(state, 'T' | 'Z')) {
            std::thread::sleep(Duration::from_micros(20));
        }
        self.frozen = true;
    }

    async fn kill(&mut self) {
        // One that has ended already is only reaped.
        let _ = self.child.kill().await;
        self.alive = false;
    }

    fn signal(&self, signal: Signal) {
        // The process may have ended since; whoever waits for its next word learns it.
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// What ended a wait.
enum Happened {
    Told(Event),
    Ended(ExitStatus),
    Late,
}
