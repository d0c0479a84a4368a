//! Compares the figures with the targets. Output: a Markdown table, `bench.json`, and the performance page.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::ROUND;
use crate::client::Client;
use crate::program::{InSignatures, Program};
use crate::statistics::{as_f64, median, ms};

const PAGE: &str = "docs/src/explanation/performance.md";
const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

type Steps = Vec<(&'static str, f64)>;

/// A figure of one program.
#[derive(Debug, Serialize)]
struct Figure {
    text: String,
    value: f64,
    /// Whether it meets the target. `None`: this run cannot tell.
    #[serde(skip)]
    pass: Option<bool>,
}

/// A row of the table.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    target: String,
    /// By program. `None`: not measured.
    found: Vec<Option<Figure>>,
    /// Of our own program.
    pass: Option<bool>,
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
    /// `share` is how 128 MB's share was enforced, or why it was not; `dist` has the packages.
    pub(crate) fn new(
        programs: &[Program],
        client: Option<&Client>,
        share: &str,
        dist: &Path,
    ) -> Self {
        let ours = &programs[0];
        Self {
            programs: with_ssm(programs)
                .iter()
                .map(|program| program.name)
                .collect(),
            rows: rows(programs, client, dist),
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
            let figure = |one: &Option<Figure>| {
                one.as_ref()
                    .map_or("not measured".into(), |one| one.text.clone())
            };
            let found: Vec<_> = row.found.iter().map(figure).collect();
            let result = row
                .pass
                .map_or("not judged", |pass| if pass { "pass" } else { "miss" });
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
    pub(crate) fn write_page(&self, project: &Path) -> io::Result<()> {
        let page = project.join(PAGE);
        let text = std::fs::read_to_string(&page)?;
        let no_marks = || io::Error::other(format!("{PAGE} lacks its two marks"));
        let (before, rest) = text.split_once(BEGIN).ok_or_else(no_marks)?;
        let (_, after) = rest.split_once(END).ok_or_else(no_marks)?;
        let (table, chart) = (self.markdown(), self.chart());
        std::fs::write(
            page,
            format!("{before}{BEGIN}\n{table}\n{chart}\n{END}{after}"),
        )
    }

    /// Whether the bench itself works: how many of its rows have a figure, or a reason to have none, and how many do not.
    pub(crate) fn check(&self, with_share: bool) -> (usize, usize) {
        let works = |row: &&Row| {
            let is_optional = row.what.starts_with("zip")
                || row.what.starts_with("client")
                || row.what.contains("128 MB") && !with_share;
            let has_figures = row
                .found
                .iter()
                .all(|one| one.as_ref().is_some_and(|one| one.value.is_finite()));
            (is_optional || has_figures)
                && (!row.what.ends_with(REQUESTS) || row.pass == Some(true))
        };
        for row in self.rows.iter().filter(|row| !works(row)) {
            println!("FAILED: {}", row.what);
        }
        let has_chart = self.chart().matches(" ms :").count() >= 7;
        let passed = self.rows.iter().filter(works).count() + usize::from(has_chart);
        (passed, self.rows.len() + 1 - passed)
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

fn rows(programs: &[Program], client: Option<&Client>, dist: &Path) -> Vec<Row> {
    let (ours, kms) = (&programs[..1], &programs[programs.len() - 1..]);
    let mut rows = path_rows(with_ssm(programs), "", &SSM);
    for (architecture, suffix) in [("arm64", ""), ("x86_64", "-x86_64")] {
        let size = size(&dist.join(format!("github-token-broker{suffix}.zip")));
        let figure = |_: &Program| at_most(3.0, size, format!("{size:.2} MB"));
        rows.push(Row::new(
            &format!("zip, {architecture}"),
            "<= 3.0 MB",
            ours,
            figure,
        ));
    }
    rows.extend(path_rows(kms, "KMS: ", &KMS));
    for (what, limit, unit, value) in client.into_iter().flat_map(client_figures) {
        let figure = |_: &Program| at_most(limit, value, format!("{value:.3} {unit}"));
        let target = format!("<= {limit} {unit}");
        rows.push(Row::new(&format!("client: {what}"), &target, ours, figure));
    }
    for row in &mut rows {
        row.found.resize_with(programs.len() - 1, || None);
    }
    rows
}

impl Row {
    fn new(
        what: &str,
        target: &str,
        programs: &[Program],
        figure: impl Fn(&Program) -> Option<Figure>,
    ) -> Self {
        let found: Vec<_> = programs.iter().map(figure).collect();
        Self {
            what: what.to_owned(),
            target: target.to_owned(),
            pass: found.first().and_then(|figure| figure.as_ref()?.pass),
            found,
        }
    }
}

/// The rows that each way to sign has.
fn path_rows(programs: &[Program], path: &str, limits: &Limits) -> Vec<Row> {
    let row = |what: &str, target: &str, figure: &dyn Fn(&Program) -> Option<Figure>| {
        Row::new(&format!("{path}{what}"), target, programs, figure)
    };
    let in_signatures = |what, (slow, fast), figure: fn(&Program) -> &InSignatures| {
        let limit = allowance(figure(&programs[0]).signature(), slow, fast);
        row(what, &format!("<= {limit:.2} F"), &|program| {
            let (ratio, cpu) = (figure(program).ratio(), figure(program).cpu());
            at_most(limit, ratio, format!("{ratio:.2} F ({cpu:.2} ms)"))
        })
    };
    let in_time = |what, target, limit, figure: fn(&Program) -> f64| {
        row(what, &format!("<= {target} = {limit:.0} ms"), &|program| {
            at_most(limit, figure(program), format!("{:.1} ms", figure(program)))
        })
    };
    let what = "first invocation after init with 128 MB's share, no delays, connections open";
    let first = row(what, "<= 1.5 x a warm one", &|program| {
        let (first, warm, ratios) = program.first_and_warm();
        let ratio = median(ratios);
        let text = format!("{ratio:.2} x ({first:.1} ms, warm {warm:.1} ms)");
        at_most(1.5, ratio, text)
    });
    let requests = row(
        REQUESTS,
        "exactly 3, on at most 2 connections",
        &|program| {
            let (fewest, most, connections) = program.requests();
            Some(Figure {
                text: format!("{fewest} to {most} on {connections}"),
                value: as_f64(most as u64),
                pass: Some((fewest, most) == (3, 3) && connections <= 2),
            })
        },
    );
    let memory = row("peak memory", "<= 12 MB", &|program| {
        let peak = program.peak_memory();
        at_most(12.0, peak, format!("{peak:.1} MB"))
    });
    let late = "first invocation long after init (connections open), 50 ms to both hosts";
    let usual = "start to first response, 4 ms to AWS and G = 20 ms, full CPU";
    let limited = "the same, with 128 MB's share from the end of init on";
    vec![
        in_signatures(
            "warm invocation, CPU of the whole process",
            limits.warm,
            |program| &program.warm_cpu,
        ),
        in_signatures(
            "start of the process to the first response, CPU",
            limits.start,
            |program| &program.start_cpu,
        ),
        first,
        in_time(usual, "4 G + 10 ms", 90.0, |program| {
            program.of_start(2, |one| one.to_response)
        }),
        in_time(limited, "4 G + 12 ms", 92.0, |program| {
            program.of_start(3, |one| one.to_response)
        }),
        in_time(late, limits.late.0, limits.late.1, |program| {
            median(program.long_after_init.iter().copied().map(ms))
        }),
        requests,
        memory,
    ]
}

/// What is measured of the client, with its limits.
fn client_figures(client: &Client) -> [(&'static str, f64, &'static str, f64); 6] {
    let ratio = client.cached_token / client.aws_lambda_invoke;
    [
        ("cached `token`, wall", 5.0, "ms", client.cached_token),
        (
            "cached `git-credential get`, wall",
            5.0,
            "ms",
            client.git_credential,
        ),
        ("`exec` adds, wall", 8.0, "ms", client.exec_adds),
        ("uncached `token`, CPU", 60.0, "ms", client.uncached_cpu),
        (
            "cached `token` relative to `aws lambda invoke`, wall",
            0.02,
            "x",
            ratio,
        ),
        ("size of the program", 14.0, "MB", client.size),
    ]
}

/// The size of a package in MB, or NaN. A package that is older than the build might be of other sources.
fn size(package: &Path) -> f64 {
    let modified = |path: &Path| path.metadata().and_then(|file| file.modified());
    let built = modified(&sandbox::binary_under_test()).ok();
    match package.metadata() {
        Ok(file) if modified(package).ok() >= built => as_f64(file.len()) / 1e6,
        _ => f64::NAN,
    }
}

/// A figure with an upper limit. Without a sample (NaN) there is no figure.
fn at_most(limit: f64, value: f64, text: String) -> Option<Figure> {
    (!value.is_nan()).then_some(Figure {
        text,
        value,
        pass: Some(value <= limit),
    })
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
