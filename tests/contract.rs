//! The code, the docs and Terraform say the same: a variable, an error or a log field that stands in only one of them
//! fails here, with the line to change. `BLESS=1 cargo test --test contract` rewrites the tables of the docs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use github_token_broker::{error_type::ErrorType, variables::VARIABLES};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
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
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(
            found, expected,
            "\n{page} and the code differ in this line; BLESS=1 rewrites it"
        );
    }
    assert_eq!(
        found.lines().count(),
        expected.lines().count(),
        "{page}: a row too many or too few; BLESS=1 rewrites it"
    );
}

#[test]
fn the_page_on_errors_has_the_table_of_the_code() {
    let mut table = String::from(
        "| `errorType` | Try again? | How the `errorMessage` begins | What to do |\n|---|---|---|---|\n",
    );
    for row in ErrorType::ALL.iter().map(|error_type| error_type.row()) {
        let retryable = if row.retryable { "yes" } else { "no" };
        let messages: Vec<_> = row
            .messages
            .iter()
            .map(|text| format!("`{text}`"))
            .collect();
        writeln!(
            table,
            "| <a id=\"{name}\"></a>`{name}` | {retryable} | {} | {}. |",
            messages.join("<br>"),
            row.remedy,
            name = row.name,
        )
        .unwrap();
    }
    hold("docs/src/reference/errors.md", "error types", &table);
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
fn every_mention_of_a_variable_is_of_one_that_the_code_reads() {
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for file in files(
        &["docs/src", "terraform", "src"],
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
fn the_page_on_the_log_has_every_message_and_field() {
    let page = read("docs/src/reference/log-and-metrics.md");
    let log = read("src/log.rs");
    let macros = [
        "tracing::error!(",
        "tracing::warn!(",
        "tracing::info!(",
        "tracing::debug!(",
    ];
    let calls = macros
        .iter()
        .flat_map(|name| log.split(name).skip(1))
        .map(|call| call.split(");").next().unwrap());
    let messages: Vec<_> = calls
        .filter_map(|call| call.trim_end().rsplit('"').nth(1))
        .collect();
    assert_eq!(
        messages.len(),
        9,
        "the messages of log.rs were not found: {messages:?}"
    );
    for message in messages {
        assert!(
            page.contains(message),
            "log-and-metrics.md does not mention the message: {message}"
        );
    }
    let trace = read("src/trace.rs");
    let fields = trace
        .split("pub struct Trace {")
        .nth(1)
        .unwrap()
        .split("#[serde(skip)]")
        .next()
        .unwrap();
    for field in fields
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name)
    {
        if !field.starts_with("///") {
            assert!(
                page.contains(&format!("`{field}`")),
                "log-and-metrics.md does not mention the field {field}"
            );
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
