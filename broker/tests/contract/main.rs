//! The code, the docs and Terraform say the same: a variable, an error or a log field that stands in only one of them
//! fails here, with the line to change. `BLESS=1 cargo test --test contract` rewrites the tables of the docs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

mod code;
mod log;
mod project;
mod threats;

use std::{collections::BTreeSet, fs, path::PathBuf};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Holds the part of a page between `<!-- NAME -->` and `<!-- /NAME -->` to what the code says.
fn hold(page: &str, name: &str, expected: &str) {
    let text = read(page);
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{page} has no {begin}"));
    let (found, after) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("{page} has no {end}"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(path(page), format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    let first = before.lines().count() + 2;
    let (mut lines, mut wanted) = (found.lines(), expected.lines());
    for number in first.. {
        match (lines.next(), wanted.next()) {
            (None, None) => break,
            (line, should) if line == should => {}
            (line, should) => panic!(
                "\n{page}:{number} is\n  {}\nand should be\n  {}\nBLESS=1 cargo test --test contract rewrites it",
                line.unwrap_or("(nothing)"),
                should.unwrap_or("(nothing)")
            ),
        }
    }
}

fn mentioned(text: &str) -> BTreeSet<String> {
    const PREFIX: &str = "GITHUB_TOKEN_BROKER_";
    let of_a_name = |character: char| character.is_ascii_uppercase() || character == '_';
    text.match_indices(PREFIX)
        .map(|(at, _)| {
            text[at..]
                .chars()
                .take_while(|&character| of_a_name(character))
                .collect::<String>()
        })
        .filter(|name| name != PREFIX)
        .collect()
}

fn files(roots: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = roots
        .iter()
        .map(|root| path(root))
        .filter(|root| root.is_dir())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            let hidden = entry
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if entry.is_dir() && !hidden {
                folders.push(entry);
            } else if entry
                .extension()
                .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
            {
                found.push(entry);
            }
        }
    }
    found
}

/// What stands in backticks in the first cell of each row of the tables, but for their headings.
fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n|---")
        .skip(1)
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .take_while(|line| line.starts_with('|'))
        })
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}
