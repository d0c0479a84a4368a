//! What a person and a program read of a run. Comes in: the findings. Goes out: the table as text, `bench.json`, and, in
//! the docs, the picture and the part of the performance page that stands between two marks.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ROUND;
use crate::program::{CONDITIONS, Program};
use crate::statistics::milliseconds;
use crate::svg;
use crate::table::{Findings, Row};

const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";
const FOLDER: &str = "docs/src/explanation";

/// A run, told.
pub(crate) struct Report {
    rows: Vec<Row>,
    /// How it was measured, in one sentence each.
    notes: Vec<String>,
    json: Value,
    picture: String,
}

impl Report {
    pub(crate) fn of(findings: &Findings<'_>, share: &str) -> Self {
        let rows = findings.rows();
        let programs: Vec<_> = [Some(findings.ours), findings.peer]
            .into_iter()
            .flatten()
            .collect();
        let signature = milliseconds(findings.ours.warm_cpu().signature);
        let beside_starts = milliseconds(findings.ours.start_cpu().signature);
        let machine = machine();
        let notes = vec![
            format!(
                "F = {signature:.3} ms of CPU beside the warm invocations, {beside_starts:.3} ms beside the starts; G = 20 ms."
            ),
            format!("The machine: {machine}, load {} at the end.", load()),
            format!("128 MB's share was held by {share}."),
            format!(
                "Medians of {} starts in each condition; {} warm invocations, in rounds of {ROUND}.",
                findings.ours.colds[0].len(),
                findings.ours.warm.len()
            ),
        ];
        let figures: serde_json::Map<_, _> = programs
            .iter()
            .map(|program| (program.name.to_owned(), figures(program)))
            .collect();
        let json = json!({
            "machine": machine,
            "load": load(),
            "share": share,
            "signature_cpu_ms": signature,
            "signature_beside_starts_cpu_ms": beside_starts,
            "rows": rows,
            "programs": figures,
        });
        Self {
            rows,
            notes,
            json,
            picture: picture(&programs),
        }
    }

    /// The table for a terminal and for a page: Markdown is readable in both.
    pub(crate) fn text(&self) -> String {
        let with_peer = self.rows.iter().any(|row| row.peer.is_some());
        let peer = |cell: &str| {
            if with_peer {
                format!(" {cell} |")
            } else {
                String::new()
            }
        };
        let mut text = format!(
            "| what | target | found | |{}\n|---|---|---|---|{}\n",
            peer("peer"),
            if with_peer { "---|" } else { "" }
        );
        for row in &self.rows {
            let verdict = match (&row.found, row.pass) {
                (None, _) => "not measured",
                (_, None) => "not judged",
                (_, Some(true)) => "pass",
                (_, Some(false)) => "miss",
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {verdict} |{}",
                row.what,
                row.target,
                row.found.as_deref().unwrap_or("not built here"),
                peer(row.peer.as_deref().unwrap_or(""))
            );
        }
        let _ = writeln!(text, "\n{}", self.notes.join("\n"));
        text
    }

    /// Writes `bench.json`, and the docs of a project where one is given. Goes out what was written.
    pub(crate) fn write(
        &self,
        folder: &Path,
        project: Option<&PathBuf>,
    ) -> io::Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder)?;
        let mut written = vec![folder.join("bench.json"), folder.join("performance.svg")];
        std::fs::write(&written[0], format!("{:#}\n", self.json))?;
        if let Some(project) = project {
            written[1] = project.join(FOLDER).join("performance.svg");
            let page = project.join(FOLDER).join("performance.md");
            let text = std::fs::read_to_string(&page)?;
            std::fs::write(
                &page,
                self.put_into(&text).ok_or(io::ErrorKind::InvalidData)?,
            )?;
            written.push(page);
        }
        std::fs::write(&written[1], &self.picture)?;
        Ok(written)
    }

    /// The page with the table and the picture between its marks; nothing where it has none.
    fn put_into(&self, page: &str) -> Option<String> {
        let (before, rest) = page.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        let text = self.text();
        let picture = "![Where the time of a start goes](performance.svg)";
        Some(format!(
            "{before}{BEGIN}\n{text}\n{picture}\n\n{END}{after}"
        ))
    }
}

fn figures(program: &Program) -> Value {
    let conditions: serde_json::Map<_, _> = CONDITIONS
        .iter()
        .enumerate()
        .map(|(index, condition)| {
            let ms = |figure: fn(&crate::measure::Cold) -> std::time::Duration| {
                milliseconds(program.cold(index, figure))
            };
            let phases: serde_json::Map<_, _> = program
                .phases(index)
                .into_iter()
                .map(|(name, takes)| (name.to_owned(), json!(milliseconds(takes))))
                .collect();
            let figures = json!({
                "starts": program.colds[index].len(),
                "start_to_answer_ms": ms(|cold| cold.to_answer),
                "first_invocation_ms": ms(|cold| cold.first),
                "cpu_ms": ms(|cold| cold.cpu),
                "init_cpu_ms": ms(|cold| cold.init_cpu),
                "phases_ms": phases,
            });
            (condition.name.to_owned(), figures)
        })
        .collect();
    json!({
        "conditions": conditions,
        "long_after_init_ms": milliseconds(program.late()),
        "warm_invocations": program.warm.len(),
        "warm_cpu_ms": milliseconds(program.warm_cpu().cpu),
        "warm_ms": milliseconds(program.warm_took()),
        "warm_at_share_ms": milliseconds(program.warm_limited()),
        "peak_memory_bytes": program.peak_memory(),
    })
}

fn picture(programs: &[&Program]) -> String {
    let mut bars = Vec::new();
    for (index, condition) in CONDITIONS.iter().enumerate() {
        for program in programs {
            let name = if programs.len() > 1 {
                format!("{}, {}", program.name, condition.name)
            } else {
                condition.name.to_owned()
            };
            bars.push((name, program.phases(index)));
        }
    }
    svg::draw("From the start of the process to the first answer", &bars)
}

/// The kind of machine, without its name.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, {}", std::env::consts::ARCH)
}

/// The load average of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
