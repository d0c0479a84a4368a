//! What `check` reports: one finding for each check, as text or as JSON. The IDs are stable.

use serde::Serialize;

/// Where the book explains every check.
const PAGE: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/v",
    env!("CARGO_PKG_VERSION"),
    "/docs/src/how-to/check-a-broker.md"
);

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is right.
    Pass,
    /// It works, and should be changed.
    Warn,
    /// It is wrong.
    Fail,
    /// It could not be checked.
    Skip,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the check, for scripts and for the book.
    pub id: &'static str,
    /// The outcome.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Where to read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl Finding {
    /// It is right.
    pub fn pass(id: &'static str, detail: impl Into<String>) -> Self {
        Self {
            id,
            status: Status::Pass,
            detail: detail.into(),
            remedy: None,
            link: None,
        }
    }

    /// It works, and should be changed.
    pub fn warn(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Warn, detail.into(), remedy.into())
    }

    /// It is wrong.
    pub fn fail(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Fail, detail.into(), remedy.into())
    }

    /// It could not be checked.
    pub fn skip(id: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Skip, detail.into(), remedy.into())
    }

    fn with_remedy(id: &'static str, status: Status, detail: String, remedy: String) -> Self {
        let link = format!("{PAGE}#{}", id.replace(['.', '_'], ""));
        Self {
            id,
            status,
            detail,
            remedy: Some(remedy),
            link: Some(link),
        }
    }
}

/// All findings, in the order of the checks.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The findings.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.checks.push(finding);
    }

    /// Whether a check failed.
    pub fn has_failed(&self) -> bool {
        self.checks
            .iter()
            .any(|finding| finding.status == Status::Fail)
    }

    /// For people: one line for each check, then what to do.
    pub fn text(&self) -> String {
        let width = self
            .checks
            .iter()
            .map(|finding| finding.id.len())
            .max()
            .unwrap_or_default();
        let mut text = String::new();
        for finding in &self.checks {
            let status = match finding.status {
                Status::Pass => "pass",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
                Status::Skip => "skip",
            };
            let line = |text: &str| crate::output::escape(text).into_owned();
            text.push_str(
                &[
                    status,
                    "  ",
                    finding.id,
                    &" ".repeat(width - finding.id.len() + 2),
                    &line(&finding.detail),
                    "\n",
                ]
                .concat(),
            );
            for more in finding.remedy.iter().chain(&finding.link) {
                text.push_str(&[&" ".repeat(width + 8), line(more).as_str(), "\n"].concat());
            }
        }
        let count = |status| {
            self.checks
                .iter()
                .filter(|finding| finding.status == status)
                .count()
        };
        let (failed, warned, skipped) = (
            count(Status::Fail),
            count(Status::Warn),
            count(Status::Skip),
        );
        let passed = count(Status::Pass);
        text + &format!(
            "\n{passed} passed, {failed} failed, {warned} warnings, {skipped} skipped\n"
        )
    }
}
