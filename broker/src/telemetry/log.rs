//! Every line that the function writes to the log: JSON on stdout, in the schema of Lambda's own JSON logging.
//!
//! Input: a level, a constant message, and fields. Output: one line.
//! Invariant: only events of this crate are written, because a library's event may contain a header or a body. All messages
//! are in this file, and a test compares the reference page with it.

use std::{fmt, io::Write, time::SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use serde::Serialize;
use tracing::{
    Event, Instrument, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use super::record::InvocationRecord;

const TARGET: &str = "broker";

/// Starts the log. Only the first call has an effect.
pub fn start(level: Level) {
    drop(tracing::subscriber::set_global_default(
        Registry::default().with(JsonLines(level)),
    ));
    std::panic::set_hook(Box::new(|panic| {
        // Only the location: the text of a panic can contain anything.
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(target: TARGET, location, "panicked");
    }));
}

/// Runs `work` with the request ID on every line that it writes.
pub async fn in_invocation<T>(request_id: &str, work: impl Future<Output = T>) -> T {
    work.instrument(tracing::error_span!(target: TARGET, "invocation", requestId = request_id))
        .await
}

/// What a failed invocation reports.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// The stable name of the failure.
    pub error_type: &'static str,
    /// The message for the caller.
    pub error_message: String,
    /// Whether the same call might succeed later without any change.
    pub retryable: bool,
    /// Whether it points to an attack.
    #[serde(rename = "security_event", skip_serializing_if = "std::ops::Not::not")]
    pub security_event: bool,
}

#[derive(Serialize)]
struct FailedInvocation<'a> {
    #[serde(flatten)]
    report: &'a FailureReport,
    #[serde(flatten)]
    record: &'a InvocationRecord,
}

/// Lambda took a proven token for the caller.
pub fn minted(record: &InvocationRecord) {
    tracing::info!(target: TARGET, fields = %json(record), "minted GitHub installation token");
}

/// The payload was not empty.
pub fn payload_rejected(record: &InvocationRecord) {
    tracing::warn!(target: TARGET, fields = %json(record), "rejected non-empty invocation payload");
}

/// No token was returned.
pub fn failed(report: &FailureReport, record: &InvocationRecord) {
    let fields = FailedInvocation { report, record };
    tracing::error!(target: TARGET, fields = %json(&fields), "could not mint GitHub installation token");
}

/// A token was proven, and Lambda did not take it.
pub fn not_delivered(reason: &impl fmt::Display, record: &InvocationRecord) {
    tracing::error!(target: TARGET, fields = %json(record), reason = reason.to_string(), "could not deliver GitHub installation token");
}

/// Lambda did not take the error of a failed invocation.
pub fn error_not_delivered(reason: &impl fmt::Display) {
    tracing::error!(target: TARGET, reason = reason.to_string(), "could not report an error to Lambda");
}

/// The function cannot start.
pub fn start_failed(report: &FailureReport) {
    tracing::error!(target: TARGET, fields = %json(report), "could not start");
}

/// The Runtime API does not respond as documented.
pub fn stopped(reason: &impl fmt::Display) {
    tracing::error!(target: TARGET, reason = reason.to_string(), "stopped");
}

/// GitHub rejected our time, and a JWT with its time was signed.
pub fn clock_corrected(drift_seconds: i64) {
    tracing::warn!(target: TARGET, drift_seconds, "signed again with GitHub's time");
}

/// An AWS endpoint uses plain http to a host that is not loopback.
pub fn endpoint_without_tls(service: &'static str) {
    tracing::warn!(target: TARGET, service, "AWS endpoint uses http: secrets cross the network unencrypted");
}

/// A connection could not be opened ahead of the first invocation.
pub fn connection_not_opened(host: &'static str) {
    tracing::debug!(target: TARGET, host, "connection not opened during init");
}

/// Writes one line to stdout in one piece. A log that cannot be written does not fail the invocation.
pub(crate) fn write_line(mut line: String) {
    line.push('\n');
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

/// The time of a line, in the format that Lambda's filter reads.
pub(crate) fn timestamp() -> String {
    DateTime::from(SystemTime::now())
        .fmt(Format::DateTime)
        .unwrap_or_default()
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Writes each of our events as a line, down to a level.
struct JsonLines(Level);

impl JsonLines {
    fn writes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= self.0
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.writes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.0))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut members = Members::default();
        attributes.record(&mut members);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(members);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Members::default();
        line.add("timestamp", timestamp().as_str());
        line.add("level", event.metadata().level().as_str());
        if let Some(span) = context.event_span(event)
            && let Some(members) = span.extensions().get::<Members>()
        {
            line.0.push_str(&members.0);
        }
        event.record(&mut line);
        write_line(line.into_object());
    }
}

/// Members of a JSON object in the order in which they were added, each after a comma.
#[derive(Default)]
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.add_all(&format!("{}:{}", json(name), json(value)));
    }

    /// Adds members that are already JSON.
    fn add_all(&mut self, members: &str) {
        if !members.is_empty() {
            self.0.push(',');
            self.0.push_str(members);
        }
    }

    fn into_object(self) -> String {
        format!("{{{}}}", self.0.trim_start_matches(','))
    }
}

impl Visit for Members {
    /// `message` is text. `fields` is a JSON object from [`json`], whose members become members of the line.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // tracing passes `%value` as Debug. Only values of this crate get here.
        let text = format!("{value:?}");
        if field.name() == "fields" {
            let members = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'));
            self.add_all(members.unwrap_or_default());
        } else {
            self.add(field.name(), text.as_str());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects the members of each event instead of writing them.
    struct Collect(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Members::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.into_object());
        }
    }

    #[test]
    fn fields_keep_their_type() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Registry::default().with(Collect(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                a = 1_u64,
                b = true,
                c = 1.5,
                d = -1_i64,
                e = "1",
                f = 7_u32,
                "m"
            );
        });
        let line: serde_json::Value = serde_json::from_str(&lines.lock().unwrap()[0]).unwrap();
        let expected = serde_json::json!({
            "message": "m", "a": 1, "b": true, "c": 1.5, "d": -1, "e": "1", "f": 7
        });
        assert_eq!(line, expected);
    }
}
