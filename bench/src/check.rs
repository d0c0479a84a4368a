//! Whether the bench itself works. Comes in: what a run wrote. Goes out: how many of these checks passed and failed, in the
//! words that `make test` counts. No figure is judged here.

use std::path::Path;

use serde_json::Value;

use crate::program::CONDITIONS;

/// Reads back what was written, checks it, and prints the counts. Whether all is well.
pub(crate) fn passes(folder: &Path, programs: usize) -> bool {
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let json: Value = serde_json::from_str(&read("bench.json")).unwrap_or_default();
    let picture = read("performance.svg");
    let is_time = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    let mut checks = vec![
        ("F was measured", is_time(&json["signature_cpu_ms"])),
        (
            "F was measured beside the starts",
            is_time(&json["signature_beside_starts_cpu_ms"]),
        ),
        ("the machine has a kind", json["machine"].as_str().is_some()),
        (
            "there is a row for each target",
            json["rows"].as_array().is_some_and(|rows| rows.len() == 11),
        ),
        (
            "each program was measured",
            json["programs"].as_object().map_or(0, serde_json::Map::len) == programs,
        ),
        (
            "there is a bar for each program and condition",
            picture.matches(">mint ").count() == CONDITIONS.len() * programs,
        ),
    ];
    for row in json["rows"].as_array().into_iter().flatten() {
        let is_zip = row["what"]
            .as_str()
            .is_some_and(|what| what.starts_with("zip"));
        let holds = is_zip || row["found"].as_str().is_some_and(|found| !found.is_empty());
        checks.push(("a row has a figure", holds));
        if row["what"] == "requests of an invocation" {
            checks.push(("three requests were seen", row["pass"] == true));
        }
    }
    for program in json["programs"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
    {
        for condition in CONDITIONS {
            let figures = &program["conditions"][condition.name];
            let phases = figures["phases_ms"]
                .as_object()
                .map_or(0, serde_json::Map::len);
            checks.push(("a start has six phases", phases == 6));
            let init = figures["init_cpu_ms"].as_f64().unwrap_or_default();
            let all = figures["cpu_ms"].as_f64().unwrap_or_default();
            checks.push((
                "a start uses CPU in init and after it",
                0.0 < init && init < all,
            ));
        }
    }
    let failed: Vec<_> = checks.iter().filter(|(_, holds)| !holds).collect();
    for (what, _) in &failed {
        println!("FAILED: {what}");
    }
    println!(
        "{} passed, {} failed",
        checks.len() - failed.len(),
        failed.len()
    );
    failed.is_empty()
}
