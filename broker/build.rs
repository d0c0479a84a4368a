//! Passes the target to the program, and checks that AWS-LC is built without its jitter entropy.
//!
//! Jitter entropy costs about 22 ms of CPU at each start; without it, AWS-LC uses the kernel's generator. `.cargo/config.toml`
//! turns it off. A build that does not read that file (`cargo install --git`, `--manifest-path` from another folder) works,
//! with a warning. `tests/entropy.rs` checks that the setting has its effect in the AWS-LC that `Cargo.lock` names.

use std::env;

const SETTING: &str = "AWS_LC_SYS_NO_JITTER_ENTROPY";
/// The Makefile sets it for the builds that we release.
const RELEASE_RECIPE: &str = "RELEASE_RECIPE";

fn main() {
    println!(
        "cargo::rustc-env=TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={SETTING}");
    println!("cargo::rerun-if-env-changed={RELEASE_RECIPE}");

    let is_release = env::var("PROFILE").as_deref() == Ok("release");
    if is_release && env::var(SETTING).as_deref() != Ok("1") {
        let kind = if env::var_os(RELEASE_RECIPE).is_some() {
            "error"
        } else {
            "warning"
        };
        println!(
            "cargo::{kind}=AWS-LC is built with jitter entropy, which costs about 22 ms of CPU at each start. \
             Set {SETTING}=1, as .cargo/config.toml does, and build again"
        );
    }
}
