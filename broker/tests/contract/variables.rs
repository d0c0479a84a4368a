//! The variables of the function, as the reference pages and Terraform have them.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use broker::config::{
    Config,
    env::{STANDARD_VARIABLES, VARIABLES},
};

use crate::{compare_table, files, in_backticks, mentioned, path, read, rows};

const PAGE: &str = "docs/src/reference/environment-variables.md";

#[test]
fn page_on_variables_has_names_requirements_and_defaults_in_order() {
    let missing = Config::from_lookup(|_| None)
        .map(drop)
        .unwrap_err()
        .to_string();
    let from_code: Vec<_> = VARIABLES
        .iter()
        .map(|variable| {
            let required = missing.contains(&format!("{} is required", variable.name));
            let required = if required { "yes" } else { "no" };
            (format!("`{}`", variable.name), required)
        })
        .collect();
    let page = read(PAGE);
    let (ours, _) = page.split_once("## Standard variables").unwrap();
    let on_page: Vec<_> = rows(ours)
        .map(|cells| (cells[0].to_owned(), cells[1]))
        .collect();
    assert_eq!(on_page, from_code, "{PAGE} (left) and the code (right)");
    for (cells, variable) in rows(ours).zip(&VARIABLES) {
        if let Some(default) = variable.default {
            assert_eq!(
                cells[2],
                format!("`{default}`"),
                "{PAGE}: {}",
                variable.name
            );
        }
    }
}

#[test]
fn page_on_variables_has_the_standard_variables() {
    let page = read(PAGE);
    let (_, standard) = page.split_once("## Standard variables").unwrap();
    let on_page: BTreeSet<_> = rows(standard)
        .flat_map(|cells| in_backticks(cells[0]).collect::<Vec<_>>())
        .collect();
    let from_code: BTreeSet<_> = STANDARD_VARIABLES
        .iter()
        .map(|variable| variable.name)
        .collect();
    assert_eq!(on_page, from_code, "{PAGE} (left) and the code (right)");
}

/// The client has variables of its own.
#[test]
fn every_mentioned_variable_exists() {
    let mut known: BTreeSet<_> = VARIABLES
        .iter()
        .map(|variable| variable.name.to_owned())
        .collect();
    known.extend(mentioned(&read("cli/src/arguments.rs")));
    for file in files(
        &["docs/src", "terraform", "broker/src"],
        &["md", "tf", "hcl", "rs"],
    ) {
        for name in mentioned(&fs::read_to_string(&file).unwrap()) {
            let is_prefix =
                name.ends_with('_') && known.iter().any(|known| known.starts_with(&name));
            assert!(
                known.contains(&name) || is_prefix,
                "{}: no code reads {name}",
                file.display()
            );
        }
    }
}

#[test]
fn terraform_sets_every_variable_with_the_input_that_messages_name() {
    let module_files = |extension| -> String {
        files(&["terraform"], &[extension])
            .iter()
            .filter(|file| {
                file.parent().unwrap().canonicalize().unwrap()
                    == path("terraform").canonicalize().unwrap()
            })
            .map(|file| fs::read_to_string(file).unwrap())
            .collect()
    };
    let module = module_files("tf");
    for variable in VARIABLES
        .iter()
        .filter(|variable| variable.name != "AWS_REGION")
    {
        let name = variable.name;
        assert!(module.contains(name), "terraform/*.tf never sets {name}");
        let input = variable.terraform_input.unwrap();
        assert!(
            module.contains(&format!("variable \"{input}\" {{")),
            "the error messages name the Terraform input {input} for {name}, which the module does not have"
        );
    }
}

#[test]
fn page_on_parameters_has_the_default_names() {
    let mut table =
        String::from("| Name, unless configured | Variable | Type | Holds |\n|---|---|---|---|\n");
    for (variable, kind, content) in [
        (
            "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM",
            "String",
            "the App's client ID",
        ),
        (
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM",
            "String",
            "the ID of the App's installation",
        ),
        (
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            "SecureString",
            "the App's private key",
        ),
    ] {
        let known = VARIABLES
            .iter()
            .find(|known| known.name == variable)
            .unwrap();
        let name = known.default.unwrap();
        writeln!(table, "| `{name}` | `{variable}` | `{kind}` | {content} |").unwrap();
    }
    compare_table("docs/src/reference/ssm-parameters.md", "parameters", &table);
}
