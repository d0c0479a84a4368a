//! What the function reads and answers, as the reference pages have it: variables and errors.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use broker::{config::Config, config::env::VARIABLES, error_type::ErrorType};

use crate::{files, first_cells, hold, mentioned, path, read};

#[test]
fn the_page_on_errors_has_the_tables_of_the_code() {
    let mut types = String::from("| `errorType` | Try again? | What to do |\n|---|---|---|\n");
    let mut messages = String::from("| `errorType` | How `errorMessage` begins |\n|---|---|\n");
    for row in ErrorType::ALL.iter().map(|error_type| error_type.row()) {
        let retryable = if row.retryable { "yes" } else { "no" };
        writeln!(
            types,
            "| <a id=\"{name}\"></a>`{name}` | {retryable} | {}. |",
            row.remedy,
            name = row.name,
        )
        .unwrap();
        for message in row.messages {
            writeln!(messages, "| `{}` | `{message}` |", row.name).unwrap();
        }
    }
    hold("docs/src/reference/errors.md", "error types", &types);
    hold("docs/src/reference/errors.md", "messages", &messages);
}

#[test]
fn the_page_on_variables_has_the_variables_and_defaults_of_the_code() {
    let page = read("docs/src/reference/environment-variables.md");
    for variable in VARIABLES {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", variable.name)));
        let row = row
            .unwrap_or_else(|| panic!("environment-variables.md has no row on {}", variable.name));
        if let Some(default) = variable.default {
            assert!(
                row.contains(&format!("`{default}`")),
                "{row}\nshould say the default {default}"
            );
        }
    }
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for name in mentioned(&page) {
        assert!(
            known.contains(name.as_str()),
            "environment-variables.md speaks of {name}, which the code does not read"
        );
    }
}

#[test]
fn the_page_on_variables_says_which_are_required_in_the_order_of_the_code() {
    let page = read("docs/src/reference/environment-variables.md");
    let faults = Config::from_lookup(|_| None).err().unwrap().to_string();
    let of_the_code: Vec<_> = VARIABLES
        .iter()
        .map(|variable| {
            let required = faults.contains(&format!("{} is required", variable.name));
            (variable.name, if required { "yes" } else { "no" })
        })
        .collect();
    let of_the_page: Vec<_> = page
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`'), cells[2])
        })
        .collect();
    assert_eq!(
        of_the_page, of_the_code,
        "environment-variables.md (left) and the code (right) differ in a row, or in their order"
    );
}

/// The standard variables are read by name, in quotes or as a `Variable`.
#[test]
fn the_page_on_variables_has_the_standard_variables_that_the_code_reads() {
    let page = read("docs/src/reference/environment-variables.md");
    let (_, standard) = page.split_once("## Standard variables").unwrap();
    let code = read("broker/src/config.rs") + &read("broker/src/main.rs");
    let names: BTreeSet<_> = ["optional(", "text(", "lookup(", "name: "]
        .iter()
        .flat_map(|before| code.split(before).skip(1))
        .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
        .collect();
    assert!(
        names.len() > 12,
        "the variables that config.rs and main.rs read were not found: {names:?}"
    );
    for name in &names {
        assert!(
            standard.contains(&format!("`{name}`")),
            "environment-variables.md does not list {name}, which the code reads"
        );
    }
    for name in first_cells(standard) {
        assert!(
            names.contains(name),
            "environment-variables.md lists {name}, which the code does not read"
        );
    }
}

#[test]
fn every_mention_of_a_variable_is_of_one_that_the_code_reads() {
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for file in files(
        &["docs/src", "terraform", "broker/src"],
        &["md", "tf", "hcl", "rs"],
    ) {
        for name in mentioned(&fs::read_to_string(&file).unwrap()) {
            let whole = known.contains(name.as_str());
            let stem = name.ends_with('_') && known.iter().any(|known| known.starts_with(&name));
            assert!(
                whole || stem,
                "{} speaks of {name}, which the code does not read",
                file.display()
            );
        }
    }
}

#[test]
fn terraform_can_set_every_variable() {
    let module: String = files(&["terraform"], &["tf"])
        .iter()
        .filter(|file| file.parent() == Some(&path("terraform")))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for variable in VARIABLES
        .iter()
        .filter(|variable| variable.name != "AWS_REGION")
    {
        assert!(
            module.contains(variable.name),
            "terraform/*.tf never sets {}",
            variable.name
        );
    }
}

#[test]
fn troubleshooting_speaks_of_error_types_that_there_are() {
    let page = read("docs/src/how-to/troubleshoot.md");
    let known: BTreeSet<_> = ErrorType::ALL
        .iter()
        .map(|error_type| error_type.row().name)
        .collect();
    let (_, table) = page.split_once("## By what you see").unwrap();
    let (table, _) = table.split_once("## Without").unwrap();
    let mut seen = 0;
    for name in first_cells(table) {
        seen += 1;
        assert!(
            known.contains(name),
            "troubleshoot.md speaks of `{name}`, which is no errorType"
        );
    }
    assert!(seen > 10, "the table was not found");
}
