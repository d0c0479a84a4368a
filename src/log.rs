//! Every line that this program writes to the log: JSON on stdout, in the shape of Lambda's own JSON logging.
//!
//! In: a level, a message that never varies, and fields. Out: one line. Only events of this crate are written: what a
//! library thinks worth logging may be a header or a body. Messages are listed here and nowhere else, so that the
//! reference page can be held to this file.

use std::{fmt, io::Write, time::SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
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

use crate::{error::Failure, runtime::FunctionError, trace::Trace};

const TARGET: &str = "github_token_broker";

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
    work.instrument(tracing::error_span!(target: TARGET, "invocation", request_id))
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
pub(crate) fn write_line(line: &impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(line) {
        line.push(b'\n');
        drop(std::io::stdout().lock().write_all(&line));
    }
}

/// The time of a line, as Lambda's filter reads it.
pub(crate) fn timestamp() -> String {
    DateTime::from(SystemTime::now())
        .fmt(Format::DateTime)
        .unwrap_or_default()
}

fn json(fields: &impl Serialize) -> String {
    serde_json::to_string(fields).unwrap_or_default()
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
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let request_id = context.event_span(event).and_then(|span| {
            let extensions = span.extensions();
            extensions
                .get::<Fields>()?
                .fields
                .get("request_id")
                .cloned()
        });
        write_line(&Line {
            level: *event.metadata().level(),
            request_id,
            fields,
        });
    }
}

/// A line, in the order in which a person reads it.
struct Line {
    level: Level,
    request_id: Option<Value>,
    fields: Fields,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", &timestamp())?;
        line.serialize_entry("level", self.level.as_str())?;
        line.serialize_entry("message", &self.fields.message)?;
        if let Some(request_id) = &self.request_id {
            line.serialize_entry("requestId", request_id)?;
        }
        for (name, value) in &self.fields.fields {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Visit for Fields {
    /// `message` is text; `fields` is the JSON object of [`json`], whose entries become the line's own.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // tracing hands `%value` over as Debug; only this crate's own values get here.
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "fields" => self
                .fields
                .extend(serde_json::from_str::<Map<_, _>>(&text).unwrap_or_default()),
            name => self.insert(name, text),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field.name(), value);
    }
}

impl Fields {
    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }
}
