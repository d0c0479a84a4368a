//! From an invocation to its result, with a log line and metrics. The same for a start that fails.
//!
//! Input: what Lambda sends. Output: what the caller sees, exactly one result for each invocation.
//! Invariants: a panic in one invocation is an error of that invocation, and its text goes nowhere. The result is posted before
//! anything is logged, so that a log that nobody reads cannot delay it. A token that nobody received is revoked.

use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::runtime_api::{FunctionError, Invocation, RuntimeApi, RuntimeApiError};
use crate::{
    broker::{Broker, catch_panic},
    config::env::ConfigError,
    error_type::ErrorType,
    failure::{Failure, Result, see},
    proof::ProvenToken,
    retry::time_for_work,
    telemetry::{
        log::{self, FailureReport},
        metrics::{Metrics, Outcome},
        record::InvocationRecord,
    },
};

/// How long reporting a failed start to Lambda may take.
const REPORT_LIMIT: Duration = Duration::from_secs(2);

/// How long revoking a token may take that Lambda did not accept.
const REVOCATION_LIMIT: Duration = Duration::from_secs(2);

/// Serves invocations, one after the other, until the Runtime API breaks and the process has nothing left to do.
pub async fn serve(
    api: &RuntimeApi,
    broker: &Broker,
    metrics: Option<&Metrics>,
) -> RuntimeApiError {
    loop {
        let invocation = match api.next().await {
            Ok(invocation) => invocation,
            Err(error) => return error,
        };
        let request_id = invocation.request_id.as_deref().unwrap_or("invalid");
        let work = handle(api, broker, metrics, &invocation);
        if let Err(error @ RuntimeApiError::Broken(_)) = log::in_invocation(request_id, work).await
        {
            return error;
        }
    }
}

/// Reports an invalid configuration to the log and to Lambda.
pub async fn report_config_error(api: &RuntimeApi, error: &ConfigError) {
    let info = ErrorType::ConfigurationInvalid.info();
    let inputs = match error.terraform_inputs() {
        inputs if inputs.is_empty() => String::new(),
        inputs => format!(" Terraform inputs: {}.", inputs.join(", ")),
    };
    let hints: Vec<_> = error.hints().map(|hint| format!(" {hint}")).collect();
    let message = format!(
        "{error}. {}.{}{inputs} {}",
        info.remedy,
        hints.concat(),
        see(ErrorType::ConfigurationInvalid)
    );
    report_init_error(api, ErrorType::ConfigurationInvalid, message).await;
}

/// Reports to the log and to Lambda why the function cannot start.
pub async fn report_init_error(api: &RuntimeApi, error_type: ErrorType, message: String) {
    let info = error_type.info();
    let report = FailureReport {
        error_type: info.name,
        error_message: message,
        retryable: info.retryable,
        security_event: false,
    };
    let error = FunctionError {
        error_type: report.error_type,
        error_message: &report.error_message,
    };
    // If Lambda does not accept the report, the exit status is all that is left.
    drop(timeout(REPORT_LIMIT, api.fail_init(&error)).await);
    log::start_failed(&report);
}

async fn handle(
    api: &RuntimeApi,
    broker: &Broker,
    metrics: Option<&Metrics>,
    invocation: &Invocation,
) -> Result<(), RuntimeApiError> {
    let mut record = broker.new_record(
        invocation.request_id.as_deref().unwrap_or("invalid"),
        invocation.trace_id.as_deref(),
    );
    // Boxed, so that its memory is freed, and so wiped. A stack is not.
    let work = Box::pin(mint(broker, invocation, &mut record));
    let minted = catch_panic(work).await.unwrap_or(Err(Failure::Internal));
    record.done();
    let posted = match minted {
        Ok(token) => deliver(api, broker, metrics, invocation, &token, &mut record).await,
        Err(failure) => fail(api, metrics, invocation, &failure, &record).await,
    };
    if let Some(drift) = record.clock_drift_seconds() {
        log::clock_corrected(drift);
    }
    posted
}

async fn mint(
    broker: &Broker,
    invocation: &Invocation,
    record: &mut InvocationRecord,
) -> Result<ProvenToken> {
    if !invocation.payload_is_empty {
        return Err(Failure::InputRefused);
    }
    if invocation.request_id.is_none() {
        return Err(Failure::Internal);
    }
    broker
        .token(invocation.deadline_ms, SystemTime::now(), record)
        .await
}

async fn deliver(
    api: &RuntimeApi,
    broker: &Broker,
    metrics: Option<&Metrics>,
    invocation: &Invocation,
    token: &ProvenToken,
    record: &mut InvocationRecord,
) -> Result<(), RuntimeApiError> {
    let delivered = api.respond(invocation, token).await;
    let outcome = match &delivered {
        Ok(()) => {
            log::minted(record);
            Outcome::Minted
        }
        Err(reason) => {
            // Lambda still counts the invocation's time, and a killed process logs nothing.
            let left = time_for_work(invocation.deadline_ms, SystemTime::now());
            let limit = REVOCATION_LIMIT.min(left);
            broker.revoke(token.token(), limit, record).await;
            log::not_delivered(reason, record);
            let failure = Failure::Internal;
            let _ = api
                .fail(invocation, &function_error(&failure, &failure.to_string()))
                .await;
            Outcome::Failed(failure.error_type().info().name)
        }
    };
    if let Some(metrics) = metrics {
        metrics.write(outcome, record);
    }
    delivered
}

async fn fail(
    api: &RuntimeApi,
    metrics: Option<&Metrics>,
    invocation: &Invocation,
    failure: &Failure,
    record: &InvocationRecord,
) -> Result<(), RuntimeApiError> {
    let message = failure.to_string();
    let posted = api
        .fail(invocation, &function_error(failure, &message))
        .await;
    let info = failure.error_type().info();
    let outcome = match failure {
        Failure::InputRefused => {
            log::payload_rejected(record);
            Outcome::Refused(info.name)
        }
        failure => {
            let report = FailureReport {
                error_type: info.name,
                error_message: message,
                retryable: info.retryable,
                security_event: failure.is_security_event(),
            };
            log::failed(&report, record);
            if failure.is_security_event() {
                Outcome::Unproven(info.name)
            } else {
                Outcome::Failed(info.name)
            }
        }
    };
    if let Err(reason) = &posted {
        log::error_not_delivered(reason);
    }
    if let Some(metrics) = metrics {
        metrics.write(outcome, record);
    }
    posted
}

fn function_error<'a>(failure: &Failure, message: &'a str) -> FunctionError<'a> {
    FunctionError {
        error_type: failure.error_type().info().name,
        error_message: message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::panic, reason = "this is about panics")]
    async fn panic_is_caught() {
        assert_eq!(
            catch_panic(async { panic!("ghs_secret") }).await,
            None::<()>
        );
        assert_eq!(catch_panic(async { 1 }).await, Some(1));
    }

    /// The panic hook belongs to the whole process, so a process of its own shows what it prints, and that work goes on.
    #[test]
    fn panic_logs_its_location_and_nothing_else() {
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
        let location = panicked["location"].as_str().unwrap();
        assert!(
            location.starts_with("broker/src/lambda/handler.rs:"),
            "{panicked}"
        );
        assert_eq!(
            panicked.as_object().unwrap().len(),
            4,
            "timestamp, level, message, location: {panicked}"
        );
        assert_eq!(stopped["reason"], "the next one works");
    }

    /// Does nothing unless [`panic_logs_its_location_and_nothing_else`] starts it.
    #[tokio::test]
    #[expect(clippy::panic, reason = "this is about panics")]
    async fn panics_with_a_secret() {
        let Ok(secret) = std::env::var("PANIC_WITH") else {
            return;
        };
        log::start(tracing::Level::INFO);
        assert_eq!(catch_panic(async { panic!("{secret}") }).await, None::<()>);
        let next = catch_panic(async { "the next one works" }).await;
        log::stopped(&next.unwrap());
    }
}
