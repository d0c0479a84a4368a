//! The executable that Lambda starts: read the environment, open connections, serve invocations.

use std::{alloc::System, env, process::ExitCode};

use broker::{
    broker::Broker,
    config::{self, Config},
    lambda::handler,
    lambda::runtime_api::RuntimeApi,
    telemetry::log,
    telemetry::metrics::Metrics,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::runtime::Builder;
use zeroizing_alloc::ZeroAlloc;

/// Wipes every piece of memory that is given back, in libraries too: keys, JWTs and tokens pass through their buffers.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if !arguments.is_empty() {
        return speak_to_a_person(arguments == ["--version"]);
    }
    // What is not UTF-8 is refused by the variable's rule, not taken for unset.
    let lookup = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let lambda = lookup("AWS_LAMBDA_RUNTIME_API")
        .as_deref()
        .and_then(RuntimeApi::at)
        .zip(lookup("AWS_LAMBDA_FUNCTION_NAME"));
    let Some((api, function_name)) = lambda else {
        return speak_to_a_person(false);
    };
    log::start(config::log_level(lookup));
    // One thread: an invocation is one chain of waits, and they come one at a time.
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    // A task that wakes itself is polled again at once; what `block_on` runs waits for a turn of the event loop.
    let work = runtime.spawn(run(api, lookup, function_name));
    runtime.block_on(work).unwrap_or(ExitCode::FAILURE)
}

async fn run(
    api: RuntimeApi,
    lookup: impl Fn(&str) -> Option<String>,
    function_name: String,
) -> ExitCode {
    switch_core_dumps_off();
    let config = match Config::from_lookup(&lookup) {
        Ok(config) => config,
        Err(error) => {
            handler::fail_start(&api, &error.to_string()).await;
            return ExitCode::FAILURE;
        }
    };
    if config.reads_secrets_in_the_clear() {
        log::endpoint_in_the_clear();
    }
    let broker = Broker::new(config);
    let level = config::platforms_filter(&lookup);
    let metrics = Metrics::for_function(function_name, level, broker.config());
    broker
        .open_connections(config::invocation_waits(lookup))
        .await;
    let stopped = handler::serve(&api, &broker, metrics.as_ref()).await;
    log::stopped(&stopped);
    ExitCode::FAILURE
}

/// A core dump would hold the private key. A limit of 1 byte rules out files as 0 does, and, unlike 0, programs that the
/// kernel pipes a dump to (core(5)). Where the limit is 0 already and cannot be raised, the kernel is told to dump nothing.
fn switch_core_dumps_off() {
    let one_byte = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    if setrlimit(Resource::Core, one_byte).is_err() {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a person started it, at a terminal"
)]
fn speak_to_a_person(of_the_version: bool) -> ExitCode {
    if of_the_version {
        println!(
            "github-token-broker {} ({})",
            env!("CARGO_PKG_VERSION"),
            env!("TARGET")
        );
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "github-token-broker runs as an AWS Lambda function and takes no arguments but --version; \
         to see it work on this machine, run `make demo` in {}",
        env!("CARGO_PKG_REPOSITORY")
    );
    ExitCode::FAILURE
}
