//! What `check` reports: one finding for each check, as text or as JSON. The IDs are stable.

use std::fmt::Write as _;

use serde::Serialize;

use crate::output::escape;

/// Where the book explains every check.
const PAGE: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/v",
    env!("CARGO_PKG_VERSION"),
    "/docs/src/how-to/check-a-broker.md"
);

/// The name of a check, one of [`IDS`].
pub type Id = &'static str;

/// Every check, in the order of the book's page, which has a section for each. They are stable: scripts use them.
pub const IDS: [Id; 35] = [
    "aws.identity",
    "function.exists",
    "function.runtime",
    "function.timeout",
    "function.code",
    "clock",
    "function.environment",
    "function.invokers",
    "identity.invokers",
    "identity.github_actions",
    "parameters.exist",
    "parameters.client_id",
    "parameters.installation_id",
    "parameters.private_key",
    "parameters.encryption",
    "kms.state",
    "kms.kind",
    "kms.expiry",
    "kms.sign",
    "kms.fingerprint",
    "kms.policy",
    "kms.signers",
    "identity.signers",
    "role.permissions",
    "role.excess",
    "role.alias",
    "app.clock",
    "app.key",
    "app.installation",
    "app.permissions",
    "app.selection",
    "app.excess",
    "app.rate_limit",
    "mint.token",
    "mint.revocation",
];

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
    pub id: Id,
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
    pub fn pass(id: Id, detail: impl Into<String>) -> Self {
        Self {
            id,
            status: Status::Pass,
            detail: detail.into(),
            remedy: None,
            link: None,
        }
    }

    /// It works, and should be changed.
    pub fn warn(id: Id, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Warn, detail.into(), remedy.into())
    }

    /// It is wrong.
    pub fn fail(id: Id, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Fail, detail.into(), remedy.into())
    }

    /// It could not be checked.
    pub fn skip(id: Id, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::with_remedy(id, Status::Skip, detail.into(), remedy.into())
    }

    fn with_remedy(id: Id, status: Status, detail: String, remedy: String) -> Self {
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
        debug_assert!(IDS.contains(&finding.id), "{} is not in IDS", finding.id);
        self.checks.push(finding);
    }

    /// Whether a check failed.
    pub fn has_failed(&self) -> bool {
        self.checks
            .iter()
            .any(|finding| finding.status == Status::Fail)
    }

    /// For people: one line for each check, then what to do. `color` is for a terminal.
    pub fn text(&self, color: bool) -> String {
        let width = self.checks.iter().map(|finding| finding.id.len()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for finding in &self.checks {
            let id = finding.id;
            let status = finding.status.shown(color);
            let detail = escape(&finding.detail);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{status}  {id:width$}  {detail}");
            for more in finding.remedy.iter().chain(&finding.link) {
                let _ = writeln!(text, "{:indent$}{}", "", escape(more), indent = width + 8);
            }
        }
        let count = |status| {
            let findings = self.checks.iter();
            findings.filter(|finding| finding.status == status).count()
        };
        let warned = count(Status::Warn);
        let plural = if warned == 1 { "" } else { "s" };
        let (passed, failed) = (count(Status::Pass), count(Status::Fail));
        let skipped = count(Status::Skip);
        text + &format!(
            "\n{passed} passed, {failed} failed, {warned} warning{plural}, {skipped} skipped\n"
        )
    }
}

impl Status {
    /// Four characters, in the color of the outcome.
    fn shown(self, color: bool) -> String {
        let (word, code) = match self {
            Self::Pass => ("pass", 32),
            Self::Warn => ("WARN", 33),
            Self::Fail => ("FAIL", 31),
            Self::Skip => ("skip", 2),
        };
        if color {
            format!("\x1b[{code}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_section_in_the_book() {
        let page = include_str!("../../../docs/src/how-to/check-a-broker.md");
        let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
        assert_eq!(headings.collect::<Vec<_>>(), IDS);
        for id in IDS.iter().filter(|id| id.contains('_')) {
            // Without this anchor, a heading's anchor keeps the underscore.
            let finding = Finding::fail(id, "", "");
            let link = finding.link.unwrap_or_default();
            let (_, anchor) = link.split_once('#').unwrap_or_default();
            assert!(page.contains(&format!("<a id=\"{anchor}\"></a>")), "{id}");
        }
    }

    #[test]
    fn color_does_not_change_the_columns() {
        let mut report = Report::default();
        report.add(Finding::pass("clock", "right"));
        report.add(Finding::warn("app.clock", "bad\ntext", "Do it"));
        let plain = report.text(false);
        let link = report.checks[1].link.clone().unwrap_or_default();
        let indent = " ".repeat(17);
        assert_eq!(
            plain,
            format!(
                "pass  clock      right\nWARN  app.clock  bad\\ntext\n{indent}Do it\n{indent}{link}\n\n1 passed, 0 failed, 1 warning, 0 skipped\n"
            )
        );
        let colored = report.text(true);
        assert!(
            colored.starts_with("\x1b[32mpass\x1b[0m  clock"),
            "{colored}"
        );
        let stripped = ["\x1b[32m", "\x1b[33m", "\x1b[0m"];
        let stripped = stripped
            .iter()
            .fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(stripped, plain);
    }
}
