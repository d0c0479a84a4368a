//! What the function logs, as the reference page has it. The lines are produced here, by the functions that log.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
};

use broker::{
    scope::{Permissions, Repository, RepositoryId, TokenScope},
    telemetry::{
        log::{self, FailureReport},
        metrics::{Metrics, Outcome},
        record::{CallRecord, InvocationRecord, Server},
    },
};
use serde_json::Value;
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use crate::{files, in_backticks, read, rows};

const PAGE: &str = "docs/src/reference/log-and-metrics.md";

/// The level, message and fields of each line.
type Lines = Arc<Mutex<Vec<(String, String, BTreeSet<String>)>>>;

struct Collect(Lines);

#[derive(Default)]
struct Line {
    message: String,
    fields: BTreeSet<String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "fields" => {
                let object: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
                self.fields.extend(object.into_iter().map(|(name, _)| name));
            }
            name => drop(self.fields.insert(name.to_owned())),
        }
    }
}

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().to_string();
        self.0
            .lock()
            .unwrap()
            .push((level, line.message, line.fields));
    }
}

/// A record with every field.
fn full_record() -> InvocationRecord {
    let scope = TokenScope {
        repository: Repository::parse("octo-org", "octo-repo").unwrap(),
        repository_id: RepositoryId::parse("7"),
        permissions: serde_json::from_str::<Permissions>(r#"{"contents":"read"}"#).unwrap(),
    };
    let mut record = InvocationRecord::new(&scope, "kms", "id", Some("Root=1-a-b"));
    for server in [Server::Ssm, Server::Kms, Server::GitHub] {
        let call = CallRecord {
            attempts: 1,
            request_id: Some("id".to_owned()),
            orphaned_token_possible: true,
            rate_limit_remaining: Some(1),
        };
        record
            .call(server, "call", (call, Ok::<_, ()>(())))
            .unwrap();
    }
    record.credentials_loaded(1, Some(30));
    record.token_granted("hash".to_owned(), Some("2026-01-01T00:00:00Z"));
    record.token_revoked(true);
    record.done();
    record
}

fn lines() -> Vec<(String, String, BTreeSet<String>)> {
    let lines = Lines::default();
    let record = full_record();
    let report = FailureReport {
        error_type: "Internal",
        error_message: String::new(),
        retryable: true,
        security_event: true,
    };
    tracing::subscriber::with_default(Registry::default().with(Collect(lines.clone())), || {
        log::minted(&record);
        log::payload_rejected(&record);
        log::failed(&report, &record);
        log::not_delivered(&"reason", &record);
        log::error_not_delivered(&"reason");
        log::start_failed(&report);
        log::stopped(&"reason");
        log::clock_corrected(1);
        log::endpoint_without_tls("ssm");
        log::connection_not_opened("github");
    });
    let mut lines = lines.lock().unwrap().clone();
    // `panic_logs_its_location_and_nothing_else` tests this one, in a process of its own.
    lines.push((
        "ERROR".to_owned(),
        "panicked".to_owned(),
        BTreeSet::from(["location".to_owned()]),
    ));
    lines
}

#[test]
fn page_has_every_message_with_its_level() {
    let page = read(PAGE);
    let (_, section) = page.split_once("## Messages").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let on_page: BTreeSet<_> = rows(section)
        .map(|cells| (cells[0].to_owned(), cells[1].trim_matches('`').to_owned()))
        .collect();
    let from_code: BTreeSet<_> = lines()
        .into_iter()
        .map(|(level, message, _)| (level, message))
        .collect();
    assert_eq!(on_page, from_code, "{PAGE} (left) and the code (right)");
}

#[test]
fn page_has_every_field_and_no_other() {
    let page = read(PAGE);
    let mentioned: BTreeSet<_> = in_backticks(&page).collect();
    let mut known = BTreeSet::new();
    for (_, message, fields) in lines() {
        for field in fields {
            assert!(
                mentioned.contains(field.as_str()),
                "{PAGE} lacks the field {field} of \"{message}\""
            );
            known.insert(field);
        }
    }
    let (_, section) = page.split_once("## Fields of an invocation").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut seen = 0;
    for cells in rows(section) {
        for field in in_backticks(cells[0]) {
            seen += 1;
            assert!(
                known.contains(field),
                "{PAGE}: no line has the field {field}"
            );
        }
    }
    assert!(seen > 15, "{PAGE}: the table of fields was not found");
}

#[test]
fn page_has_every_metric_with_its_unit() {
    let metrics = Metrics::new(
        "Namespace".to_owned(),
        "function".to_owned(),
        "INFO".to_owned(),
    );
    let line = metrics.line(Outcome::Unproven("TokenNotProven"), &full_record());
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let from_code: BTreeSet<_> = directives
        .iter()
        .flat_map(|directive| {
            let dimensions = directive["Dimensions"][0].as_array().unwrap();
            let dimensions: Vec<_> = dimensions
                .iter()
                .map(|name| format!("`{}`", text(name)))
                .collect();
            let metrics = directive["Metrics"].as_array().unwrap();
            metrics
                .iter()
                .map(|metric| {
                    (
                        text(&metric["Name"]),
                        text(&metric["Unit"]),
                        dimensions.join(", "),
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let page = read(PAGE);
    let (_, section) = page.split_once("## Metrics").unwrap();
    let on_page: BTreeSet<_> = rows(section)
        .flat_map(|cells| {
            in_backticks(cells[0])
                .map(|name| (name.to_owned(), cells[1].to_owned(), cells[2].to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(on_page, from_code, "{PAGE} (left) and the code (right)");
    for (name, ..) in &from_code {
        assert!(line.get(name).is_some(), "the line has no value for {name}");
    }
}

/// The queries for CloudWatch that pages print use fields that a line has.
#[test]
fn queries_use_fields_that_lines_have() {
    let page = read(PAGE);
    let known: BTreeSet<_> = in_backticks(&page).collect();
    let mut seen = 0;
    for file in files(&["docs/src/how-to"], &["md"]) {
        let text = fs::read_to_string(&file).unwrap();
        for query in text.split("```text\n").skip(1) {
            let query = query.split("```").next().unwrap();
            let is_query = query.starts_with("fields ") || query.starts_with("filter ");
            // CloudTrail has its own fields.
            if !is_query || query.contains("eventSource") {
                continue;
            }
            for field in fields_of_query(query) {
                seen += 1;
                assert!(
                    known.contains(field),
                    "{}: a query uses `{field}`, which no log line has",
                    file.display()
                );
            }
        }
    }
    assert!(seen > 20, "the queries were not found");
}

/// The field names of a query: neither its commands and functions, nor quoted text, nor CloudWatch's own `@timestamp` and
/// the like, nor a name that the query assigns with `as`. `milliseconds.total` counts as two names.
fn fields_of_query(query: &str) -> Vec<&str> {
    const WORDS: [&str; 12] = [
        "fields", "filter", "stats", "count", "pct", "bin", "by", "as", "and", "or", "sort",
        "limit",
    ];
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let assigned: Vec<_> = query
        .split(" as ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !is_word(c)).next())
        .collect();
    query
        .split('"')
        .step_by(2)
        .flat_map(|text| text.split(|c: char| !(is_word(c) || c == '@')))
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter(|word| !WORDS.contains(word) && !assigned.contains(word))
        .collect()
}

#[test]
fn field_names_of_a_query_are_found() {
    let query = "fields @timestamp, a_b\n| filter message = \"c d\" or e = 1\n| stats count() as n, pct(f.g, 99) by bin(1h), h";
    assert_eq!(
        fields_of_query(query),
        ["a_b", "message", "e", "f", "g", "h"]
    );
}
