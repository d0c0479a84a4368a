//! The make targets, the dependencies and the code map, as the docs have them.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use crate::{compare_table, in_backticks, path, read, rows};

#[test]
fn page_on_make_targets_has_the_targets_of_the_makefile() {
    let mut table = String::from("| `make ...` | What it does |\n|---|---|\n");
    for line in read("Makefile").lines() {
        let is_target = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        if let Some((rule, help)) = line.split_once(" ## ")
            && let Some(target) = rule.split(':').next().filter(is_target)
        {
            assert!(
                !help.contains('<'),
                "Makefile: `{target}`: the book would read `<` as HTML: {help}"
            );
            writeln!(table, "| `{target}` | {} |", help.replace('|', "\\|")).unwrap();
        }
    }
    compare_table("docs/src/reference/make-targets.md", "make targets", &table);
}

#[test]
fn contributing_gives_a_reason_for_each_dependency_of_the_function() {
    let manifest = read("broker/Cargo.toml");
    let (_, dependencies) = manifest.split_once("\n[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("\n[").unwrap();
    let from_manifest: BTreeSet<_> = dependencies
        .lines()
        .skip(1)
        .filter_map(|line| line.split([' ', '.']).next())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    assert!(
        from_manifest.len() > 10,
        "broker/Cargo.toml: no dependencies were found"
    );
    let page = read("CONTRIBUTING.md");
    let (_, section) = page.split_once("\n## Dependencies\n").unwrap();
    let (section, _) = section.split_once("\n#").unwrap();
    let on_page: BTreeSet<_> = rows(section)
        .flat_map(|cells| in_backticks(cells[0]).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        on_page, from_manifest,
        "CONTRIBUTING.md (left) and broker/Cargo.toml (right)"
    );
}

#[test]
fn code_map_has_every_module_of_the_function() {
    let page = read("docs/src/explanation/code-map.md");
    let (_, table) = page.split_once("<!-- code map -->").unwrap();
    let (table, _) = table.split_once("<!-- /code map -->").unwrap();
    let on_page: BTreeSet<_> = rows(table)
        .flat_map(|cells| {
            in_backticks(cells[0])
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let from_folder: BTreeSet<_> = fs::read_dir(path("broker/src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| format!("broker/src/{}", entry.file_name().into_string().unwrap()))
        .collect();
    assert_eq!(
        on_page, from_folder,
        "docs/src/explanation/code-map.md (left) and broker/src (right)"
    );
}
