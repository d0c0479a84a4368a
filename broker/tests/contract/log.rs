//! What the function writes, as the reference and the how-tos have it: log lines, metrics, queries of their fields.

use std::{collections::BTreeSet, fs};

use crate::{files, first_cells, read};

#[test]
fn the_page_on_the_log_has_every_message_and_field() {
    let page = read("docs/src/reference/log-and-metrics.md");
    let log = read("broker/src/log.rs");
    let macros = [
        "tracing::error!(",
        "tracing::warn!(",
        "tracing::info!(",
        "tracing::debug!(",
    ];
    let calls = macros
        .iter()
        .flat_map(|name| log.split(name).skip(1))
        .map(|call| call.split(");").next().unwrap());
    let messages: Vec<_> = calls
        .filter_map(|call| call.trim_end().rsplit('"').nth(1))
        .collect();
    assert_eq!(
        messages.len(),
        9,
        "the messages of log.rs were not found: {messages:?}"
    );
    for message in messages {
        assert!(
            page.contains(&format!("| `{message}` |")),
            "log-and-metrics.md has no row for the message: {message}"
        );
    }
    for field in fields_of_the_log(&log) {
        assert!(
            page.contains(&format!("`{field}`")),
            "log-and-metrics.md does not mention the field {field}"
        );
    }
    let trace = read("broker/src/trace.rs");
    let fields = trace
        .split("pub struct Trace {")
        .nth(1)
        .unwrap()
        .split("#[serde(skip)]")
        .next()
        .unwrap();
    for field in fields
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name)
    {
        if !field.starts_with("///") {
            assert!(
                page.contains(&format!("`{field}`")),
                "log-and-metrics.md does not mention the field {field}"
            );
        }
    }
}

/// The names that log.rs itself gives: entries of a line, arguments of a message, and fields of the structs that it serialises.
fn fields_of_the_log(log: &str) -> BTreeSet<String> {
    let (of_the_struct, _) = log
        .split_once("struct Failed<'a> {")
        .unwrap()
        .1
        .split_once("#[serde(flatten)]")
        .unwrap();
    let of_failures = of_the_struct
        .lines()
        .filter(|line| !line.trim().starts_with('#'))
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name.to_owned());
    let of_lines = log
        .split("line.add(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned());
    let of_spans = log
        .split("\"invocation\", ")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().to_owned());
    let of_messages = log
        .split("(target: TARGET, ")
        .skip(1)
        .filter(|arguments| !arguments.starts_with(['"', '%']))
        .map(|arguments| {
            arguments
                .split(|character: char| !(character.is_ascii_lowercase() || character == '_'))
                .next()
                .unwrap()
                .to_owned()
        })
        .filter(|name| name != "fields");
    let found: BTreeSet<_> = of_failures
        .chain(of_lines)
        .chain(of_spans)
        .chain(of_messages)
        .map(|name| match name.as_str() {
            "error_type" => "errorType".to_owned(),
            "error_message" => "errorMessage".to_owned(),
            _ => name,
        })
        .collect();
    for known in [
        "errorType",
        "retryable",
        "security_event",
        "timestamp",
        "level",
        "requestId",
        "drift_seconds",
        "upstream",
        "place",
        "reason",
    ] {
        assert!(
            found.contains(known),
            "the fields of log.rs were not found: {found:?}"
        );
    }
    found
}

#[test]
fn the_page_on_the_log_has_no_field_that_the_code_does_not_write() {
    let code = read("broker/src/trace.rs") + &read("broker/src/log.rs");
    let page = read("docs/src/reference/log-and-metrics.md");
    let (_, fields) = page.split_once("## Fields of an invocation").unwrap();
    let (fields, metrics) = fields.split_once("## Metrics").unwrap();
    let mut seen = 0;
    for name in first_cells(fields) {
        seen += 1;
        assert!(
            code.contains(&format!("{name}: ")),
            "log-and-metrics.md: the code writes no field `{name}`; take its row out"
        );
    }
    assert!(seen > 10, "the table of fields was not found");
    let code = read("broker/src/metrics.rs");
    for name in first_cells(metrics) {
        assert!(
            code.contains(&format!("\"{name}\"")),
            "log-and-metrics.md: the code writes no metric `{name}`; take it out"
        );
    }
}

#[test]
fn the_page_on_the_log_has_every_metric() {
    let page = read("docs/src/reference/log-and-metrics.md");
    let code = read("broker/src/metrics.rs");
    let counts = code.split("count(\"").skip(1);
    let others = code.split("\"Name\": \"").skip(1);
    let names: BTreeSet<_> = counts
        .chain(others)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(names.len(), 5, "the metrics were not found: {names:?}");
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "log-and-metrics.md does not mention the metric {name}; add its row"
        );
    }
}

/// The queries that pages print for CloudWatch name fields that a line has.
#[test]
fn queries_name_fields_that_lines_have() {
    let page = read("docs/src/reference/log-and-metrics.md");
    let mut seen = 0;
    for file in files(&["docs/src/how-to"], &["md"]) {
        let text = fs::read_to_string(&file).unwrap();
        for query in text.split("```text\n").skip(1) {
            let query = query.split("```").next().unwrap();
            // CloudTrail's fields are not ours.
            if !(query.starts_with("fields ") || query.starts_with("filter "))
                || query.contains("eventSource")
            {
                continue;
            }
            for field in fields_of_a_query(query) {
                seen += 1;
                assert!(
                    page.contains(&format!("`{field}`")),
                    "{}: a query names `{field}`, which no line of the log has",
                    file.display()
                );
            }
        }
    }
    assert!(seen > 20, "the queries were not found");
}

/// The words of a query that are names of fields: not its commands and functions, what stands in quotes, CloudWatch's own
/// `@timestamp` and the like, or a name that the query gives by `as`. Of `milliseconds.total` both parts are named.
fn fields_of_a_query(query: &str) -> Vec<&str> {
    const WORDS: [&str; 12] = [
        "fields", "filter", "stats", "count", "pct", "bin", "by", "as", "and", "or", "sort",
        "limit",
    ];
    let is_of_a_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let given: Vec<_> = query
        .split(" as ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !is_of_a_word(c)).next())
        .collect();
    query
        .split('"')
        .step_by(2)
        .flat_map(|text| text.split(|c: char| !(is_of_a_word(c) || c == '@')))
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter(|word| !WORDS.contains(word) && !given.contains(word))
        .collect()
}

#[test]
fn the_fields_of_a_query_are_found() {
    let query = "fields @timestamp, a_b\n| filter message = \"c d\" or e = 1\n| stats count() as n, pct(f.g, 99) by bin(1h), h";
    assert_eq!(
        fields_of_a_query(query),
        ["a_b", "message", "e", "f", "g", "h"]
    );
}
