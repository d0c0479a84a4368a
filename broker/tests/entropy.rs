//! AWS-LC's jitter entropy costs more CPU than the rest of a start, so `.cargo/config.toml` turns it off.
//!
//! This test program links AWS-LC with the same setting as a release, and it is not stripped: it shows what is linked.
#![expect(clippy::unwrap_used, reason = "a failed test")]

use std::{env, fs, path::Path, process::Command};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The function that starts the jitter entropy source.
const JITTER_ENTROPY: &str = "jent_entropy_init";
/// Part of the same random number generator, so it is linked in any case.
const ALWAYS_LINKED: &str = "RAND_bytes";

#[test]
fn linked_aws_lc_has_no_jitter_entropy() {
    SystemRandom::new().fill(&mut [0; 32]).unwrap(); // without a call, the linker drops the generator
    let program = fs::read(env::current_exe().unwrap()).unwrap();
    // This program's own texts have the name too, but the linker ends each symbol with a zero byte and AWS-LC gives it a prefix.
    let has_symbol = |name: &str| {
        let mut texts = program.split(|byte| *byte == 0);
        texts.any(|text| {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            text.starts_with(b"aws_lc_")
                && text.ends_with(name.as_bytes())
                && text.iter().all(is_name)
        })
    };
    assert!(
        has_symbol(ALWAYS_LINKED),
        "this program has no symbols to search"
    );
    assert!(!has_symbol(JITTER_ENTROPY));
}

#[test]
fn aws_lc_sources_have_the_name_that_is_searched() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages
        .find(|package| package["name"] == "aws-lc-sys")
        .unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let source = "aws-lc/third_party/jitterentropy/jitterentropy-library/src/jitterentropy-base.c";
    let source = fs::read_to_string(manifest.with_file_name(source)).unwrap();
    assert!(source.contains(&format!("{JITTER_ENTROPY}(")));
}
