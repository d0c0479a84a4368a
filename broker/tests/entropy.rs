//! AWS-LC's jitter entropy costs more CPU than all the rest of a start. `build.rs` looks for it in the library that is
//! linked; here `build.rs` is compiled and run by itself, on libraries with and without it, and on the one of this build.
#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// `build.rs`, compiled.
static SCRIPT: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = folder("script").join("build-script");
    let compiled = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition", "2024", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs"))
        .status()
        .unwrap();
    assert!(compiled.success());
    program
});

/// What it says of a library, for a release of ours (`recipe`) or for somebody else's build.
fn verdict(library: Option<&Path>, profile: &str, recipe: bool) -> &'static str {
    let mut script = Command::new(SCRIPT.as_path());
    script.env_clear().env("PROFILE", profile);
    if let Some(library) = library {
        script.env("DEP_AWS_LC_RS_1_0_0_SYS_ROOT", library);
    }
    if recipe {
        script.env("RELEASE_RECIPE", "1");
    }
    let said = String::from_utf8(script.output().unwrap().stdout).unwrap();
    let says = |kind| said.contains(&format!("cargo::{kind}="));
    match (says("error"), says("warning")) {
        (true, false) => "fails",
        (false, true) => "warns",
        (false, false) => "passes",
        (true, true) => "both",
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("entropy")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn library(name: &str, symbols: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("libaws_lc_crypto.a"), symbols).unwrap();
    folder
}

#[test]
fn a_release_of_ours_with_jitter_entropy_is_not_built() {
    let with = library("with", "\0aws_lc_0_0_0_jent_entropy_init\0RSA_sign\0");
    assert_eq!(verdict(Some(&with), "release", true), "fails");
    assert_eq!(verdict(Some(&with), "release", false), "warns");
    assert_eq!(verdict(Some(&with), "debug", false), "passes");
}

#[test]
fn a_release_of_ours_is_looked_at_or_not_built() {
    let without = library("without", "\0RSA_sign\0");
    assert_eq!(verdict(Some(&without), "release", true), "passes");
    assert_eq!(verdict(Some(&folder("empty")), "release", true), "fails");
    assert_eq!(verdict(None, "release", true), "fails");
    assert_eq!(verdict(None, "release", false), "warns");
}

/// The name that is looked for is still the one that AWS-LC's sources give the function.
#[test]
fn the_sources_of_this_build_have_the_name() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let manifest = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "aws-lc-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .unwrap();
    let entropy = Path::new(manifest).with_file_name(
        "aws-lc/third_party/jitterentropy/jitterentropy-library/src/jitterentropy-base.c",
    );
    assert!(
        fs::read_to_string(entropy)
            .unwrap()
            .contains("jent_entropy_init(")
    );
}

/// The library of this very build has what `.cargo/config.toml` asks for: the same setting makes the release's.
#[test]
fn this_build_has_none() {
    let library = Path::new(env!("AWS_LC"));
    assert!(library.is_dir());
    assert_eq!(verdict(Some(library), "release", true), "passes");
}
