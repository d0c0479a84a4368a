//! What the project is made of, as the book has it: parameters, the role's actions, make targets, files.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use broker::variables::VARIABLES;

use crate::{hold, path, read};

#[test]
fn the_page_on_parameters_has_the_names_of_the_code() {
    let mut table =
        String::from("| Name, unless configured | Variable | Type | Holds |\n|---|---|---|---|\n");
    for variable in VARIABLES
        .iter()
        .filter(|variable| variable.name.ends_with("_PARAM"))
    {
        let (kind, holds) = match variable.name {
            "GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM" => ("`String`", "the App's client ID"),
            "GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM" => {
                ("`String`", "the ID of the App's installation")
            }
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM" => ("`SecureString`", "the App's private key"),
            other => panic!("say here what the parameter of {other} holds"),
        };
        let name = variable.default.unwrap();
        writeln!(
            table,
            "| `{name}` | `{}` | {kind} | {holds} |",
            variable.name
        )
        .unwrap();
    }
    hold("docs/src/reference/ssm-parameters.md", "parameters", &table);
}

/// The whole policy is held to what an apply makes, by `terraform/tests/test_agreement.py`; this needs no Terraform.
#[test]
fn the_page_on_the_policy_has_the_actions_of_the_role() {
    let code = read("terraform/iam.tf");
    let (_, role) = code
        .split_once("resource \"aws_iam_role_policy\" \"lambda\"")
        .unwrap();
    let (role, _) = role.split_once("\nresource ").unwrap();
    let of_the_code = actions(role);
    let page = read("docs/src/reference/iam-policy.md");
    let (role_page, _) = page.split_once("## What the deployer needs").unwrap();
    let of_the_page = actions(role_page);
    assert!(of_the_code.len() >= 4, "iam.tf: no actions were found");
    assert_eq!(
        of_the_page, of_the_code,
        "docs/src/reference/iam-policy.md (left) and terraform/iam.tf (right) allow different actions"
    );
}

/// `service:Action` in quotes, but for conditions' keys and the trust policy.
fn actions(text: &str) -> BTreeSet<&str> {
    text.split('"')
        .filter(|word| {
            word.split_once(':').is_some_and(|(service, action)| {
                ["ssm", "kms", "logs"].contains(&service)
                    && action.starts_with(|first: char| first.is_ascii_uppercase())
                    && !["ViaService", "EncryptionContext:PARAMETER_ARN"].contains(&action)
            })
        })
        .collect()
}

#[test]
fn the_page_on_make_targets_has_the_targets_of_the_makefile() {
    let mut table = String::from("| `make ...` | What it does |\n|---|---|\n");
    for line in read("Makefile").lines() {
        let named = |target: &&str| {
            target
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        if let Some((rule, what)) = line.split_once(" ## ")
            && let Some(target) = rule.split(':').next().filter(named)
        {
            assert!(
                !what.contains('<'),
                "Makefile: `{target}`: the book would take what begins with < for HTML: {what}"
            );
            writeln!(table, "| `{target}` | {} |", what.replace('|', "\\|")).unwrap();
        }
    }
    hold("docs/src/reference/make-targets.md", "make targets", &table);
}

#[test]
fn the_table_of_dependencies_has_those_of_cargo_toml() {
    let manifest = read("Cargo.toml");
    let (_, named) = manifest.split_once("\n[dependencies]").unwrap();
    let (named, _) = named.split_once("\n[").unwrap();
    let of_the_manifest: BTreeSet<_> = named
        .lines()
        .skip(1)
        .filter_map(|line| line.split([' ', '.']).next())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    let page = read("CONTRIBUTING.md");
    let (_, table) = page.split_once("| Crate | Why |\n|---|---|\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let of_the_page: BTreeSet<_> = table
        .lines()
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(
        of_the_manifest.len() > 10,
        "Cargo.toml: no dependencies were found"
    );
    assert_eq!(
        of_the_page, of_the_manifest,
        "CONTRIBUTING.md (left) and Cargo.toml (right) name different dependencies"
    );
}

#[test]
fn the_code_map_has_every_file_of_the_product() {
    let page = read("docs/src/explanation/code-map.md");
    let (_, table) = page.split_once("<!-- code map -->").unwrap();
    let (table, _) = table.split_once("<!-- /code map -->").unwrap();
    let on_the_page: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let there: BTreeSet<_> = fs::read_dir(path("broker/src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| format!("broker/src/{}", entry.file_name().into_string().unwrap()))
        .collect();
    let differs: Vec<_> = on_the_page.symmetric_difference(&there).collect();
    assert!(
        differs.is_empty(),
        "docs/src/explanation/code-map.md and src/ differ in {differs:?}: add or remove the row"
    );
}
