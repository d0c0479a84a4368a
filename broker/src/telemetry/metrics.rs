//! One line of metrics for each invocation, in CloudWatch's embedded metric format.
//!
//! In: the outcome of an invocation. Out: a line that CloudWatch turns into metrics, whatever the log level is, ours or
//! Lambda's; written only where a namespace is configured. The format is that of "Specification: Embedded metric format".

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::{
    config::Config,
    failure::Failure,
    telemetry::log::{timestamp, write_line},
};

/// Where the metrics go, and of which function they are.
pub struct Metrics {
    namespace: String,
    function_name: String,
    /// Lambda's own filter looks at it.
    level: String,
}

impl Metrics {
    /// The metrics of a function; `None` where its deployer wants none. `level` is one that passes Lambda's own filter.
    pub fn for_function(function_name: String, level: String, config: &Config) -> Option<Self> {
        let namespace = config.metrics_namespace.clone()?;
        Some(Self {
            namespace,
            function_name,
            level,
        })
    }

    /// Writes the metrics of one invocation: its failure, if it has one, and how long it took.
    pub fn write(&self, failure: Option<&Failure>, milliseconds: f64) {
        let refused = matches!(failure, Some(Failure::InputRefused));
        let failed = failure.is_some() && !refused;
        let count = |name| json!({ "Name": name, "Unit": "Count" });
        let mut directives = vec![json!({
            "Namespace": self.namespace,
            "Dimensions": [["FunctionName"]],
            "Metrics": [
                count("Minted"), count("Refused"), count("Failed"), count("Unproven"),
                { "Name": "Latency", "Unit": "Milliseconds" },
            ],
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
            "Minted": u8::from(failure.is_none()),
            "Refused": u8::from(refused),
            "Failed": u8::from(failed),
            "Unproven": u8::from(matches!(failure, Some(Failure::TokenNotProven(_)))),
            "Latency": milliseconds,
        });
        if let Some(failure) = failure {
            line["ErrorType"] = failure.error_type().row().name.into();
        }
        write_line(line.to_string());
    }
}

fn epoch_milliseconds() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
