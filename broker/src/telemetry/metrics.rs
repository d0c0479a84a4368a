//! One line of metrics for each invocation, in CloudWatch's [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//!
//! Input: the outcome of an invocation. Output: a line that CloudWatch turns into metrics at every log level. It is written
//! only if a namespace is configured.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    log::{timestamp, write_line},
    record::InvocationRecord,
};

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A token was returned.
    Minted,
    /// The payload was rejected, which is the caller's mistake.
    Refused(&'static str),
    /// An error of this type was returned.
    Failed(&'static str),
    /// The granted token did not match the configured scope. It counts as failed, too.
    Unproven(&'static str),
}

/// Where the metrics go, and which function they are about.
pub struct Metrics {
    namespace: String,
    function_name: String,
    /// Lambda's log filter reads it.
    level: String,
}

impl Metrics {
    /// The metrics of a function. `level` must pass Lambda's log filter.
    pub fn new(namespace: String, function_name: String, level: String) -> Self {
        Self {
            namespace,
            function_name,
            level,
        }
    }

    /// Writes the metrics of one invocation.
    pub fn write(&self, outcome: Outcome, record: &InvocationRecord) {
        write_line(self.line(outcome, record).to_string());
    }

    /// The metrics of one invocation, in the embedded metric format.
    pub fn line(&self, outcome: Outcome, record: &InvocationRecord) -> Value {
        let error_type = match outcome {
            Outcome::Minted => None,
            Outcome::Refused(name) | Outcome::Failed(name) | Outcome::Unproven(name) => Some(name),
        };
        let failed = matches!(outcome, Outcome::Failed(_) | Outcome::Unproven(_));
        let figures = [
            ("PrivateKeyAgeDays", record.private_key_age_days()),
            (
                "GitHubRateLimitRemaining",
                record.github_rate_limit_remaining(),
            ),
        ];
        let count = |name| json!({ "Name": name, "Unit": "Count" });
        let mut metrics = vec![
            count("Minted"),
            count("Refused"),
            count("Failed"),
            count("Unproven"),
            json!({ "Name": "Latency", "Unit": "Milliseconds" }),
        ];
        let known = figures.iter().filter(|(_, value)| value.is_some());
        metrics.extend(known.map(|(name, _)| json!({ "Name": name, "Unit": "None" })));
        let mut directives = vec![json!({
            "Namespace": self.namespace,
            "Dimensions": [["FunctionName"]],
            "Metrics": metrics,
        })];
        if failed {
            directives.push(json!({
                "Namespace": self.namespace,
                "Dimensions": [["FunctionName", "ErrorType"]],
                "Metrics": [count("Failed")],
            }));
        }
        let mut line = json!({
            "timestamp": timestamp(),
            "level": self.level,
            "_aws": { "Timestamp": epoch_milliseconds(), "CloudWatchMetrics": directives },
            "FunctionName": self.function_name,
            "Minted": u8::from(outcome == Outcome::Minted),
            "Refused": u8::from(matches!(outcome, Outcome::Refused(_))),
            "Failed": u8::from(failed),
            "Unproven": u8::from(matches!(outcome, Outcome::Unproven(_))),
            "Latency": record.total_milliseconds(),
        });
        for (name, value) in figures {
            if let Some(value) = value {
                line[name] = value.into();
            }
        }
        if let Some(error_type) = error_type {
            line["ErrorType"] = error_type.into();
        }
        line
    }
}

fn epoch_milliseconds() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
