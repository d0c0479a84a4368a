//! The code, the docs and Terraform agree: a variable, a log field or a metric that exists in only one of them fails here.
//!
//! `BLESS=1 cargo test -p broker --test contract` rewrites the tables that are generated. The tables of the errors page are
//! generated in `broker/src/failure/tests.rs`, next to the messages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap or a panic fails the test"
)]

mod log;
mod project;
mod threats;
mod variables;

use std::{collections::BTreeSet, fs, path::PathBuf};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares the part of a page between `<!-- NAME -->` and `<!-- /NAME -->` with what the code says, or rewrites it.
fn compare_table(page: &str, name: &str, expected: &str) {
    let text = read(page);
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, found, after) = text
        .split_once(&begin)
        .and_then(|(before, rest)| {
            let (found, after) = rest.split_once(&end)?;
            Some((before, found, after))
        })
        .unwrap_or_else(|| panic!("{page} lacks {begin} or {end}"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(path(page), format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    let differs = found
        .lines()
        .zip(expected.lines())
        .find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{page}, table \"{name}\": {differs:?} (left: page, right: code). BLESS=1 cargo test -p broker --test contract rewrites it"
    );
}

/// The names of our variables that a text mentions.
fn mentioned(text: &str) -> BTreeSet<String> {
    const PREFIX: &str = "GITHUB_TOKEN_BROKER_";
    let is_name = |character: char| character.is_ascii_uppercase() || character == '_';
    text.match_indices(PREFIX)
        .map(|(at, _)| {
            text[at..]
                .chars()
                .take_while(|&character| is_name(character))
                .collect::<String>()
        })
        .filter(|name| name != PREFIX)
        .collect()
}

/// The files below `roots` with one of these extensions, except in hidden folders.
fn files(roots: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = roots.iter().map(|root| path(root)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            let extension = entry.extension().and_then(|extension| extension.to_str());
            if entry.is_dir() && !name.starts_with('.') {
                folders.push(entry);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                found.push(entry);
            }
        }
    }
    found
}

/// The rows of all tables in a text, each as its cells, without the header rows.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split("\n|---")
        .skip(1)
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .take_while(|line| line.starts_with('|'))
        })
        .map(|line| line.split('|').skip(1).map(str::trim).collect())
}

/// The words in backticks.
fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
