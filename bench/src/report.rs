//! Compares the figures with the targets. Output: a Markdown table, `bench.json`, and the performance page.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::ROUND;
use crate::client::Measured;
use crate::measure::Start;
use crate::program::{InSignatures, Program};
use crate::statistics::{as_f64, median, ms};

const PAGE: &str = "docs/src/explanation/performance.md";
const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

type Steps = Vec<(&'static str, f64)>;

/// A figure of one program. The value is NaN if there is no sample.
#[derive(Clone, Serialize)]
struct Figure {
    value: f64,
    text: String,
}

fn figure(value: f64, text: String) -> Figure {
    Figure { value, text }
}

/// What is measured, the target in words, and the largest value that meets it.
type Target = (String, String, f64);

/// A row of the table.
#[derive(Serialize)]
struct Row {
    what: String,
    target: String,
    limit: f64,
    /// By program. `None`: not measured.
    found: Vec<Option<Figure>>,
}

impl Row {
    fn new((what, target, limit): Target, found: Vec<Figure>) -> Self {
        let measured = |figure: Figure| Some(figure).filter(|one| !one.value.is_nan());
        let found = found.into_iter().map(measured).collect();
        Self {
            what,
            target,
            limit,
            found,
        }
    }

    /// Whether our own program meets the target.
    fn passes(&self) -> Option<bool> {
        Some(self.found.first()?.as_ref()?.value <= self.limit)
    }
}

/// What a run found.
#[derive(Serialize)]
pub(crate) struct Report {
    programs: Vec<&'static str>,
    rows: Vec<Row>,
    notes: Vec<String>,
    /// The steps of starts with delays, in milliseconds.
    steps: Vec<(&'static str, Steps)>,
}

impl Report {
    /// `share` is how 128 MB's share was enforced, or why it was not.
    pub(crate) fn new(programs: &[Program], client: &[Measured], share: &str) -> Self {
        let ours = &programs[0];
        Self {
            programs: with_ssm(programs)
                .iter()
                .map(|program| program.name)
                .collect(),
            rows: rows(programs, client),
            notes: vec![
                format!(
                    "F = {:.3} ms of CPU next to the warm invocations, {:.3} ms next to the starts; G = 20 ms.",
                    ours.warm_cpu.signature(),
                    ours.start_cpu.signature()
                ),
                format!("The machine: {}.", machine()),
                format!("128 MB's share: {share}."),
                format!(
                    "Medians of {} starts in each condition and of {} warm invocations, in rounds of {ROUND}.",
                    ours.starts[0].len(),
                    ours.warm.len()
                ),
            ],
            steps: vec![
                ("SSM", ours.steps(2)),
                ("SSM, 128 MB", ours.steps(3)),
                ("KMS", with_kms(programs).steps(2)),
            ],
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "| what | target | {} | result |\n",
            self.programs.join(" | ")
        );
        let _ = writeln!(text, "|---|---|---|{}", "---|".repeat(self.programs.len()));
        for row in &self.rows {
            let found = row.found.iter().map(|one| one.as_ref());
            let found: Vec<_> = found
                .map(|one| one.map_or("not measured", |one| &one.text))
                .collect();
            let result = row
                .passes()
                .map_or("not judged", |passes| if passes { "pass" } else { "miss" });
            let _ = writeln!(
                text,
                "| {} | {} | {} | {result} |",
                row.what,
                row.target,
                found.join(" | ")
            );
        }
        let _ = writeln!(text, "\n{}", self.notes.join("\n"));
        text
    }

    /// The starts as a timeline, drawn by the book's own Mermaid. Its resolution is 1 ms; the text of a bar is exact.
    fn chart(&self) -> String {
        let mut text =
            "```mermaid\ngantt\n    title From the start of the process to the first response\n"
                .to_owned();
        text += "    dateFormat x\n    axisFormat %L ms\n    todayMarker off\n";
        for (name, steps) in &self.steps {
            let _ = writeln!(text, "    section {name}");
            let mut begins = 0.0;
            for (step, took) in steps {
                let ends = begins + took.max(1.0);
                let _ = writeln!(text, "    {step} {took:.1} ms :{begins:.0}, {ends:.0}");
                begins += took;
            }
        }
        text + "```\n"
    }

    pub(crate) fn write_json(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(
            folder.join("bench.json"),
            format!("{:#}\n", serde_json::json!(self)),
        )
    }

    /// Puts the table and the chart between the marks of the performance page.
    pub(crate) fn write_page(&self) -> io::Result<()> {
        let text = std::fs::read_to_string(PAGE)?;
        let no_marks = || io::Error::other(format!("{PAGE} lacks its two marks"));
        let (before, rest) = text.split_once(BEGIN).ok_or_else(no_marks)?;
        let (_, after) = rest.split_once(END).ok_or_else(no_marks)?;
        let (table, chart) = (self.markdown(), self.chart());
        std::fs::write(
            PAGE,
            format!("{before}{BEGIN}\n{table}\n{chart}\n{END}{after}"),
        )
    }

    /// Whether the bench itself works: how many of its rows have a figure, or a reason to have none, and how many do not.
    pub(crate) fn check(&self, with_share: bool) -> (usize, usize) {
        let works = |row: &&Row| {
            let is_optional =
                row.what.starts_with("zip") || row.what.contains("128 MB") && !with_share;
            is_optional || row.passes().is_some() && row.found.iter().all(Option::is_some)
        };
        for row in self.rows.iter().filter(|row| !works(row)) {
            println!("FAILED: {}", row.what);
        }
        let passed = self.rows.iter().filter(works).count();
        (passed, self.rows.len() - passed)
    }
}

const REQUESTS: &str = "requests of an invocation";

fn with_ssm(programs: &[Program]) -> &[Program] {
    &programs[..programs.len() - 1]
}

/// The last program: ours, with a key in KMS.
fn with_kms(programs: &[Program]) -> &Program {
    &programs[programs.len() - 1]
}

/// The limits of a path. For the CPU times, how many F are allowed if F is 0.65 ms, and if it is 0.48 ms.
struct Limits {
    warm: (f64, f64),
    start: (f64, f64),
    late: (&'static str, f64),
}

const SSM: Limits = Limits {
    warm: (1.5, 2.0),
    start: (7.5, 10.0),
    late: ("3 round trips + 15 ms", 165.0),
};
/// KMS signs, so that none of the function's own work is a signature.
const KMS: Limits = Limits {
    warm: (0.65, 0.65),
    start: (4.5, 4.5),
    late: ("3 round trips + 10 ms", 160.0),
};

fn rows(programs: &[Program], client: &[Measured]) -> Vec<Row> {
    let mut rows = path_rows(with_ssm(programs), "", &SSM);
    for (architecture, suffix) in [("arm64", ""), ("x86_64", "-x86_64")] {
        let size = size(&format!("dist/github-token-broker{suffix}.zip"));
        let target = (format!("zip, {architecture}"), "<= 3.0 MB".into(), 3.0);
        rows.push(Row::new(
            target,
            vec![figure(size, format!("{size:.2} MB"))],
        ));
    }
    rows.extend(path_rows(&programs[programs.len() - 1..], "KMS: ", &KMS));
    for &(what, limit, unit, value) in client {
        let target = (
            format!("client: {what}"),
            format!("<= {limit} {unit}"),
            limit,
        );
        rows.push(Row::new(
            target,
            vec![figure(value, format!("{value:.3} {unit}"))],
        ));
    }
    for row in &mut rows {
        row.found.resize_with(programs.len() - 1, || None);
    }
    rows
}

/// The rows that each way to sign has.
fn path_rows(programs: &[Program], path: &str, limits: &Limits) -> Vec<Row> {
    let figures: Vec<_> = programs.iter().map(figures).collect();
    let of_row = |row: usize| figures.iter().map(|figures| figures[row].clone()).collect();
    let targets = targets(&programs[0], limits).into_iter().enumerate();
    targets
        .map(|(row, (what, target, limit))| {
            Row::new((format!("{path}{what}"), target, limit), of_row(row))
        })
        .collect()
}

/// In the order of [`figures`].
fn targets(ours: &Program, limits: &Limits) -> [(&'static str, String, f64); 8] {
    let in_signatures = |cpu: &InSignatures, (slow, fast)| {
        let limit = allowance(cpu.signature(), slow, fast);
        (format!("<= {limit:.2} F"), limit)
    };
    let (warm, warm_limit) = in_signatures(&ours.warm_cpu, limits.warm);
    let (start, start_limit) = in_signatures(&ours.start_cpu, limits.start);
    let (late, late_limit) = limits.late;
    let first = "first invocation after init with 128 MB's share, no delays, connections open";
    let usual = "start to first response, 4 ms to AWS and G = 20 ms, full CPU";
    let limited = "the same, with 128 MB's share from the end of init on";
    let long_after = "first invocation long after init (connections open), 50 ms to both hosts";
    [
        (
            "warm invocation, CPU of the whole process",
            warm,
            warm_limit,
        ),
        (
            "start of the process to the first response, CPU",
            start,
            start_limit,
        ),
        (first, "<= 1.5 x a warm one".into(), 1.5),
        (usual, "<= 4 G + 10 ms = 90 ms".into(), 90.0),
        (limited, "<= 4 G + 12 ms = 92 ms".into(), 92.0),
        (
            long_after,
            format!("<= {late} = {late_limit} ms"),
            late_limit,
        ),
        (REQUESTS, "exactly 3, on at most 2 connections".into(), 0.0),
        ("peak memory", "<= 12 MB".into(), 12.0),
    ]
}

/// In the order of [`targets`].
fn figures(program: &Program) -> [Figure; 8] {
    let in_signatures = |cpu: &InSignatures| {
        let ratio = cpu.ratio();
        figure(ratio, format!("{ratio:.2} F ({:.2} ms)", cpu.cpu()))
    };
    let in_time = |took: f64| figure(took, format!("{took:.1} ms"));
    let (first, warm, ratios) = program.first_and_warm();
    let ratio = median(ratios);
    let (fewest, most, connections) = program.requests();
    let wrong = (fewest, most) != (3, 3) || connections > 2;
    let peak = program.peak_memory();
    [
        in_signatures(&program.warm_cpu),
        in_signatures(&program.start_cpu),
        figure(
            ratio,
            format!("{ratio:.2} x ({first:.1} ms, warm {warm:.1} ms)"),
        ),
        in_time(program.of_start(2, Start::to_response)),
        in_time(program.of_start(3, Start::to_response)),
        in_time(median(program.long_after_init.iter().copied().map(ms))),
        figure(
            f64::from(wrong),
            format!("{fewest} to {most} on {connections}"),
        ),
        figure(peak, format!("{peak:.1} MB")),
    ]
}

/// The size of a package in MB, or NaN. A package that is older than the build might be of other sources.
fn size(package: &str) -> f64 {
    let built = sandbox::binary_under_test().metadata();
    let built = built.and_then(|file| file.modified()).ok();
    match std::fs::metadata(package) {
        Ok(file) if file.modified().ok() >= built => as_f64(file.len()) / 1e6,
        _ => f64::NAN,
    }
}

/// How many F are allowed: more of a smaller F, because the rest of the work costs the same. `slow` is for F = 0.65 ms,
/// `fast` for F = 0.48 ms; between the two it is a straight line.
fn allowance(f: f64, slow: f64, fast: f64) -> f64 {
    let share = ((f - 0.48) / (0.65 - 0.48)).clamp(0.0, 1.0);
    fast + share * (slow - fast)
}

/// The kind of machine, without its name.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, {}, load {load} at the end",
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_f_allows_more_of_them() {
        for (f, expected) in [
            (0.7, 1.5),
            (0.65, 1.5),
            (0.565, 1.75),
            (0.48, 2.0),
            (0.1, 2.0),
        ] {
            assert!((allowance(f, 1.5, 2.0) - expected).abs() < 1e-9, "{f}");
        }
    }
}
