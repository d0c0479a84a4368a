//! Each row of the security model's table names its tests, and they exist.

use crate::read;

const PAGE: &str = "docs/src/explanation/security-model.md";

#[test]
fn each_threat_names_existing_tests() {
    let page = read(PAGE);
    let (_, section) = page.split_once("\n## Threats\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > 15, "{PAGE}: the table was not found");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let tested_by = cells.last().unwrap();
        let named = tests(tested_by);
        assert!(!named.is_empty(), "{PAGE}: no test in this row:\n{row}");
        for (file, test) in named {
            assert!(
                has_test(&read(file), test),
                "{PAGE} names a test that {file} does not have: {test}"
            );
        }
    }
}

/// Pairs of a file and a test out of "`file`: `test`, `test`; `file`: `test`".
fn tests(cell: &str) -> Vec<(&str, &str)> {
    let mut file = None;
    let mut named = Vec::new();
    for word in cell.split('`').skip(1).step_by(2) {
        if word.contains('/') {
            file = Some(word);
        } else if let Some(file) = file {
            named.push((file, word));
        }
    }
    named
}

/// Tests in Rust, Python and Terraform begin differently.
fn has_test(source: &str, test: &str) -> bool {
    if test.starts_with("compile_fail") {
        return source.contains(&format!("```{test}"));
    }
    let begins = |line: &str| {
        line == format!("fn {test}() {{")
            || line == format!("async fn {test}() {{")
            || line.starts_with(&format!("def {test}("))
            || line == format!("run \"{test}\" {{")
    };
    source.lines().any(|line| begins(line.trim()))
}

#[test]
fn removed_test_is_noticed() {
    let source =
        "#[test]\nfn here() {\n}\nfn helper(x: u8) {}\nrun \"plan\" {\ndef test_it(aws):\n";
    for (test, expected) in [
        ("here", true),
        ("her", false),
        ("helper", false),
        ("plan", true),
        ("test_it", true),
        ("compile_fail,E0308", false),
    ] {
        assert_eq!(has_test(source, test), expected, "{test}");
    }
}
