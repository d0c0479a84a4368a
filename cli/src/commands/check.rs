//! `check`: reports what is right and wrong with a broker.

use std::process::ExitCode;

use super::{failed, print};
use crate::{
    arguments::Check,
    aws,
    check::{self, Options},
    error::FAILURE,
    output::{self, Progress},
    settings::Settings,
};

pub(super) fn run(settings: &Settings, arguments: &Check) -> ExitCode {
    let options = Options {
        as_app: arguments.as_app,
        mint: arguments.mint,
        checksums: arguments.checksums.clone(),
    };
    let progress = Progress::start(format!("Checking {}", settings.function));
    let checked = aws::block_on(check::run(settings, &options));
    drop(progress);
    let report = match checked {
        Ok(report) => report,
        Err(error) => return failed(&error.into()),
    };
    let text = if settings.json {
        serde_json::to_string(&report)
            .map(|json| json + "\n")
            .unwrap_or_default()
    } else {
        report.text(output::stdout_has_color())
    };
    match print(&text) {
        Err(error) => failed(&error),
        Ok(()) if report.has_failed() => ExitCode::from(FAILURE),
        Ok(()) => ExitCode::SUCCESS,
    }
}
