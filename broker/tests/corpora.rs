//! Replays the corpora of the fuzz targets: what was once found, or is likely to be, never breaks again.
#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../../fuzz/properties.rs"]
mod properties;

use std::{fs, path::Path};

fn replay(target: &str, property: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        property(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 5, "{target} has only {inputs} inputs");
}

#[test]
fn payload() {
    replay("payload", properties::payload);
}

#[test]
fn configuration() {
    replay("configuration", properties::configuration);
}

#[test]
fn private_key() {
    replay("private_key", properties::private_key);
}

#[test]
fn github_response() {
    replay("github_response", properties::github_response);
}

#[test]
fn aws_response() {
    replay("aws_response", properties::aws_response);
}

#[test]
fn retry() {
    replay("retry", properties::retry);
}
