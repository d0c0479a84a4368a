//! An invocation as bars in a terminal.
//!
//! Input: an outcome with its recorded times, all taken outside the function. Output: text.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::net::recorder::Call;
use crate::scenario::outcome::Outcome;

/// The width of the bars, in characters.
const WIDTH: usize = 56;

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// init, load, sign, confirm, mint or respond.
    pub name: &'static str,
    /// When it begins, from the start of the process.
    pub begins: Duration,
    /// How long it takes.
    pub takes: Duration,
}

/// The phases of an invocation that minted a token. The time between two recorded requests is the function's own work.
pub fn phases(outcome: &Outcome) -> Vec<Phase> {
    let timing = outcome.timing;
    let last = |call| {
        outcome
            .requests_of(call)
            .last()
            .map(|request| (request.started, request.ended.unwrap_or(request.started)))
    };
    let mut phases = Vec::new();
    let mut add = |name, from: Instant, to: Instant| {
        let begins = from.saturating_duration_since(timing.spawned);
        phases.push(Phase {
            name,
            begins,
            takes: to.saturating_duration_since(from),
        });
    };
    if let Some(ready) = timing.ready {
        add("init", timing.spawned, ready);
    }
    if let (Some(confirm), Some(mint)) = (last(Call::Confirm), last(Call::Mint)) {
        let mut loaded = timing.delivered;
        if let Some(load) = last(Call::GetParameters) {
            add("load", timing.delivered, load.1);
            loaded = load.1;
        }
        add("sign", loaded, confirm.0);
        add("confirm", confirm.0, confirm.1);
        add("mint", confirm.1, mint.1);
        add("respond", mint.1, timing.finished);
    }
    phases
}

/// The phases as bars.
pub(crate) fn draw(phases: &[Phase]) -> String {
    let end = phases
        .iter()
        .map(|phase| phase.begins + phase.takes)
        .max()
        .unwrap_or_default();
    let column = |at: Duration| {
        let column = at.as_nanos() * WIDTH as u128 / end.as_nanos().max(1);
        usize::try_from(column).unwrap_or(WIDTH)
    };
    let mut text = String::new();
    for Phase {
        name,
        begins,
        takes,
    } in phases
    {
        let from = column(*begins).min(WIDTH - 1);
        let to = column(*begins + *takes).max(from + 1);
        let bar = format!("{}{}", " ".repeat(from), "█".repeat(to - from));
        let _ = writeln!(
            text,
            "  {name:<8}{:>8.2} ms  {bar}",
            takes.as_secs_f64() * 1000.0
        );
    }
    let _ = writeln!(
        text,
        "  {:<8}{:>8.2} ms",
        "total",
        end.as_secs_f64() * 1000.0
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_begins_with_its_phase() {
        let phase = |name, begins, takes| Phase {
            name,
            begins: Duration::from_millis(begins),
            takes: Duration::from_millis(takes),
        };
        let text = draw(&[phase("init", 0, 5), phase("load", 5, 5)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            format!("  init        5.00 ms  {}", "█".repeat(28))
        );
        assert_eq!(
            lines[1],
            format!(
                "  load        5.00 ms  {}{}",
                " ".repeat(28),
                "█".repeat(28)
            )
        );
        assert_eq!(lines[2], "  total      10.00 ms");
    }
}
