//! The executable that Lambda starts: read the environment, open connections, serve invocations.

use std::{alloc::System, env, process::ExitCode, sync::Arc};

use broker::{
    broker::{Broker, catch_panic},
    config::{
        self, Config,
        env::{ConfigError, FUNCTION_NAME, RUNTIME_API},
    },
    error_type::ErrorType,
    failure::Failure,
    lambda::{
        handler::{report_config_error, report_init_error, serve},
        runtime_api::RuntimeApi,
    },
    telemetry::{log, metrics::Metrics},
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::{runtime::Builder, task::JoinSet};
use zeroizing_alloc::ZeroAlloc;

/// Wipes every piece of memory that is freed, also in libraries: keys, JWTs and tokens pass through their buffers.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if arguments == ["--version"] {
        return print_version();
    }
    // A value that is not UTF-8 is rejected by the variable's rule, not treated as unset.
    let lookup = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let address = lookup(RUNTIME_API.name).filter(|address| RuntimeApi::at(address).is_some());
    let function_name = lookup(FUNCTION_NAME.name);
    let (Some(address), Some(function_name), []) = (address, function_name, arguments.as_slice())
    else {
        return print_usage();
    };
    log::start(config::log_level(lookup));
    // One thread: an invocation is one chain of waits.
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    // A task that wakes itself is polled again at once. What `block_on` runs itself waits for a turn of the event loop.
    let work = runtime.spawn(run(address, lookup, function_name));
    runtime.block_on(work).unwrap_or(ExitCode::FAILURE)
}

async fn run(
    address: String,
    lookup: impl Fn(&str) -> Option<String>,
    function_name: String,
) -> ExitCode {
    disable_core_dumps();
    let Some(api) = RuntimeApi::at(&address) else {
        return ExitCode::FAILURE;
    };
    let starting = catch_panic(start(&lookup, function_name)).await;
    let workers = match starting {
        Some(Ok(workers)) => workers,
        Some(Err(error)) => {
            report_config_error(&api, &error).await;
            return ExitCode::FAILURE;
        }
        None => {
            report_init_error(&api, ErrorType::Internal, Failure::Internal.to_string()).await;
            return ExitCode::FAILURE;
        }
    };
    let mut serving = JoinSet::new();
    for (broker, metrics) in workers {
        let address = address.clone();
        serving.spawn(async move {
            let api = RuntimeApi::at(&address)?;
            Some(serve(&api, &broker, metrics.as_ref().as_ref()).await)
        });
    }
    // One worker stops only if the Runtime API is broken, and then it is broken for all of them.
    if let Some(Ok(Some(error))) = serving.join_next().await {
        log::stopped(&error);
    }
    ExitCode::FAILURE
}

/// A broker for each invocation that Lambda may send at once. They share nothing but the settings.
async fn start(
    lookup: &impl Fn(&str) -> Option<String>,
    function_name: String,
) -> Result<Vec<(Broker, Arc<Option<Metrics>>)>, ConfigError> {
    let config = Config::from_lookup(lookup)?;
    for service in config.unencrypted_endpoints() {
        log::endpoint_without_tls(service.signing_name());
    }
    let level = config::lambda_log_level(lookup);
    let metrics = config
        .metrics_namespace
        .clone()
        .map(|namespace| Metrics::new(namespace, function_name, level));
    let metrics = Arc::new(metrics);
    let brokers: Vec<_> = (0..config::max_concurrency(lookup))
        .map(|_| (Broker::new(&config), metrics.clone()))
        .collect();
    // The others open theirs with their first invocation.
    if let Some((first, _)) = brokers.first() {
        first
            .open_connections(config::is_on_demand_start(lookup))
            .await;
    }
    Ok(brokers)
}

/// A core dump would contain the private key. A limit of 1 byte prevents dumps to a file as 0 does and, unlike 0, also dumps
/// that the kernel pipes to a program ([core(5)](https://man7.org/linux/man-pages/man5/core.5.html)). If the limit is already
/// 0 and cannot be raised, the process is marked as not dumpable.
fn disable_core_dumps() {
    let one_byte = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    if setrlimit(Resource::Core, one_byte).is_err() {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[expect(clippy::print_stdout, reason = "a person started it at a terminal")]
fn print_version() -> ExitCode {
    println!(
        "github-token-broker {} ({})",
        env!("CARGO_PKG_VERSION"),
        env!("TARGET")
    );
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "a person started it at a terminal")]
fn print_usage() -> ExitCode {
    eprintln!(
        "github-token-broker runs as an AWS Lambda function and takes no arguments except --version. \
         To see it work on this machine, run `make demo` in a clone of {}",
        env!("CARGO_PKG_REPOSITORY")
    );
    ExitCode::FAILURE
}
