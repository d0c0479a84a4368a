//! Every line that this program writes to the log: JSON on stdout, in the shape of Lambda's own JSON logging.
//!
//! In: a level, a message that never varies, and fields. Out: one line. Only events of this crate are written: what a
//! library thinks worth logging may be a header or a body. Messages are listed here and nowhere else, so that the
//! reference page can be held to this file.

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

use crate::{failure::Failure, lambda::runtime_api::FunctionError, telemetry::record::Trace};

const TARGET: &str = "broker";

/// Starts the log. Called once; a second call changes nothing.
pub fn start(level: Level) {
    drop(tracing::subscriber::set_global_default(
        Registry::default().with(JsonLines(level)),
    ));
    std::panic::set_hook(Box::new(|panic| {
        // The place and nothing else: the text of a panic may hold anything.
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(target: TARGET, place, "panicked");
    }));
}

/// Runs `work` with the request ID on every line that it writes.
pub async fn in_invocation<T>(request_id: &str, work: impl Future<Output = T>) -> T {
    work.instrument(tracing::error_span!(target: TARGET, "invocation", requestId = request_id))
        .await
}

/// A token was minted, proven, and is about to be returned.
pub fn minted(trace: &Trace) {
    tracing::info!(target: TARGET, fields = %json(trace), "minted GitHub installation token");
}

/// The payload asked for something.
pub fn input_refused(trace: &Trace) {
    tracing::warn!(target: TARGET, fields = %json(trace), "rejected non-empty invocation payload");
}

/// No token was returned.
pub fn failed(failure: &Failure, trace: &Trace) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Failed<'a> {
        error_type: &'a str,
        error_message: String,
        retryable: bool,
        #[serde(rename = "security_event", skip_serializing_if = "std::ops::Not::not")]
        security_event: bool,
        #[serde(flatten)]
        trace: &'a Trace,
    }
    let row = failure.error_type().row();
    let failed = Failed {
        error_type: row.name,
        error_message: failure.to_string(),
        retryable: row.retryable,
        security_event: matches!(failure, Failure::TokenNotProven(_)),
        trace,
    };
    tracing::error!(target: TARGET, fields = %json(&failed), "could not mint GitHub installation token");
}

/// The function cannot start.
pub fn start_failed(error: &FunctionError) {
    tracing::error!(target: TARGET, fields = %json(error), "could not start");
}

/// The Runtime API broke.
pub fn stopped(reason: &impl fmt::Display) {
    tracing::error!(target: TARGET, reason = reason.to_string(), "stopped");
}

/// GitHub refused our time; it was asked again with its own.
pub fn clock_corrected(github_time: SystemTime, our_time: SystemTime) {
    let seconds = |ahead: std::time::Duration| i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
    let drift_seconds = match our_time.duration_since(github_time) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    };
    tracing::warn!(target: TARGET, drift_seconds, "signed again with GitHub's time");
}

/// SSM's endpoint is plain http and not on this machine.
pub fn endpoint_in_the_clear() {
    tracing::warn!(target: TARGET, "AWS endpoint uses http: the private key crosses the network in the clear");
}

/// A connection could not be opened ahead of the first invocation.
pub fn connection_not_opened(upstream: &'static str) {
    tracing::debug!(target: TARGET, upstream, "connection not opened during init");
}

/// Writes one line to stdout, in one piece. A log that cannot be written is no reason to fail.
pub(crate) fn write_line(mut line: String) {
    line.push('\n');
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

/// The time of a line, as Lambda's filter reads it.
pub(crate) fn timestamp() -> String {
    DateTime::from(SystemTime::now())
        .fmt(Format::DateTime)
        .unwrap_or_default()
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Writes each of our events as a line; the level is the lowest one written.
struct JsonLines(Level);

impl JsonLines {
    fn admits(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= self.0
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.admits(metadata)
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

/// Members of a JSON object, in the order in which they were added, each with a comma before it.
#[derive(Default)]
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.add_all(&format!("{}:{}", json(name), json(value)));
    }

    /// Adds members that are JSON already.
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
    /// `message` is text; `fields` is the JSON object of [`json`], whose members become the line's own.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // tracing hands `%value` over as Debug; only this crate's own values get here.
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
}
