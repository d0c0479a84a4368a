//! An invocation -> a token's JSON or a typed error, with its log line and its metrics; and the same for a start that fails.
//!
//! In: what Lambda sends. Out: what the caller sees, exactly one answer for each invocation. A panic in one invocation
//! is an error of that one; its text goes nowhere.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{
    broker::Broker,
    error_type::ErrorType,
    failure::{Failure, Result},
    lambda::runtime_api::{FunctionError, Invocation, RuntimeApi, RuntimeApiBroken},
    proof::ProvenToken,
    retry::time_for_work,
    telemetry::log,
    telemetry::metrics::Metrics,
    telemetry::record::Trace,
};

/// How long telling Lambda of a failed start may take.
const REPORT_LIMIT: Duration = Duration::from_secs(2);

/// Answers invocations, one at a time, until the Runtime API breaks and the process has nothing left to do.
pub async fn serve(
    api: &RuntimeApi,
    broker: &Broker,
    metrics: Option<&Metrics>,
) -> RuntimeApiBroken {
    loop {
        let invocation = match api.next().await {
            Ok(invocation) => invocation,
            Err(reason) => return reason,
        };
        let work = answer(api, broker, metrics, &invocation);
        if let Err(reason) = log::in_invocation(&invocation.request_id, work).await {
            return reason;
        }
    }
}

/// Tells the log and Lambda why the function cannot start.
pub async fn fail_start(api: &RuntimeApi, message: &str) {
    let remedy = ErrorType::ConfigurationInvalid.row().remedy;
    let message = format!("{message}. {remedy}.");
    let error = FunctionError::new(ErrorType::ConfigurationInvalid, message);
    log::start_failed(&error);
    // Where Lambda does not listen either, the exit status has to do.
    drop(timeout(REPORT_LIMIT, api.fail_init(&error)).await);
}

async fn answer(
    api: &RuntimeApi,
    broker: &Broker,
    metrics: Option<&Metrics>,
    invocation: &Invocation,
) -> std::result::Result<(), RuntimeApiBroken> {
    let mut trace = Trace::begin(
        broker.config(),
        &invocation.request_id,
        invocation.trace_id.as_deref(),
    );
    // Boxed, so that what passes through the state of this work is wiped with it; a stack is not.
    let work = Box::pin(outcome(broker, invocation, &mut trace));
    let outcome = survive(work).await;
    match &outcome {
        Ok(_) => log::minted(&trace),
        Err(Failure::InputRefused) => log::input_refused(&trace),
        Err(failure) => log::failed(failure, &trace),
    }
    if let Some(metrics) = metrics {
        metrics.write(outcome.as_ref().err(), trace.total_milliseconds());
    }
    match outcome {
        Ok(token) => api.respond(invocation, &token).await,
        Err(failure) => {
            let error = FunctionError::new(failure.error_type(), failure.to_string());
            api.fail(invocation, &error).await
        }
    }
}

async fn outcome(
    broker: &Broker,
    invocation: &Invocation,
    trace: &mut Trace,
) -> Result<ProvenToken> {
    if !invocation.asks_for_nothing {
        return Err(Failure::InputRefused);
    }
    let time = time_for_work(invocation.deadline_ms, SystemTime::now());
    broker.token(time, trace).await
}

/// A panic becomes [`Failure::Internal`]; the panic hook has logged its place.
async fn survive<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or(Err(Failure::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::panic, reason = "this is about panics")]
    async fn a_panic_is_an_error_of_its_invocation() {
        let panics = survive::<()>(async { panic!("ghs_secret") }).await;
        assert_eq!(panics, Err(Failure::Internal));
        assert!(!Failure::Internal.to_string().contains("ghs_secret"));
        assert_eq!(survive(async { Ok(1) }).await, Ok(1));
    }

    /// The hook is the whole process's: a process of its own shows what it prints, and that work goes on.
    #[test]
    fn a_panic_prints_its_place_and_nothing_else() {
        let this_test = std::env::current_exe().unwrap();
        let output = std::process::Command::new(this_test)
            .args([
                "--exact",
                "lambda::handler::tests::panics_with_a_secret",
                "--nocapture",
            ])
            .env("PANIC_WITH", "ghs_secret")
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{stdout}{stderr}");
        assert!(
            !stdout.contains("ghs_secret") && !stderr.contains("ghs_secret"),
            "{stdout}{stderr}"
        );
        let lines: Vec<serde_json::Value> = stdout
            .lines()
            .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
            .collect();
        let [panicked, stopped] = lines.as_slice() else {
            unreachable!("two lines: {stdout}")
        };
        assert_eq!(panicked["message"], "panicked");
        assert!(
            panicked["place"]
                .as_str()
                .unwrap()
                .starts_with("broker/src/lambda/handler.rs:"),
            "{panicked}"
        );
        assert_eq!(
            panicked.as_object().unwrap().len(),
            4,
            "timestamp, level, message, place: {panicked}"
        );
        assert_eq!(stopped["reason"], "the next one works");
    }

    /// Does nothing unless [`a_panic_prints_its_place_and_nothing_else`] starts it.
    #[tokio::test]
    #[expect(clippy::panic, reason = "this is about panics")]
    async fn panics_with_a_secret() {
        let Ok(secret) = std::env::var("PANIC_WITH") else {
            return;
        };
        log::start(tracing::Level::INFO);
        let first = survive::<()>(async { panic!("{secret}") }).await;
        assert_eq!(first, Err(Failure::Internal));
        let next = survive(async { Ok("the next one works") }).await;
        log::stopped(&next.unwrap());
    }
}
