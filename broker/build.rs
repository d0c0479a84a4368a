//! Tells the program which target it was built for, and looks at how AWS-LC was built: a release of ours holds none of
//! its jitter entropy, which costs about 22 ms of CPU at each start. `.cargo/config.toml` leaves it out; builds that do not
//! read that file (`cargo install --git`, `--manifest-path` from elsewhere) work all the same, and are warned.

use std::{env, fs, path::Path};

/// A function of the jitter entropy's, by a name that only its object code has.
const JITTER_ENTROPY: &[u8] = b"jent_entropy_init";

/// A function that every AWS-LC has: what is looked into is the library, and its names can be read.
const ALWAYS_THERE: &[u8] = b"RSA_sign";

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RELEASE_RECIPE");

    let library = aws_lc();
    // For the test that looks into the same library.
    println!(
        "cargo::rustc-env=AWS_LC={}",
        library.as_deref().unwrap_or_default()
    );
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // The Makefile sets it for what we hand out.
    let kind = if env::var_os("RELEASE_RECIPE").is_some() {
        "error"
    } else {
        "warning"
    };
    match library.and_then(|library| has_jitter_entropy(Path::new(&library))) {
        Some(false) => {}
        Some(true) => println!(
            "cargo::{kind}=AWS-LC was built with its jitter entropy: each start will take some 22 ms of CPU more. \
             Set AWS_LC_SYS_NO_JITTER_ENTROPY=1, as .cargo/config.toml does, and build again"
        ),
        None => println!(
            "cargo::{kind}=AWS-LC was not found where aws-lc-rs says that it is; see build.rs"
        ),
    }
}

/// The folder of the library that is about to be linked; aws-lc-rs hands it on.
fn aws_lc() -> Option<String> {
    env::vars_os()
        .filter_map(|(name, folder)| Some((name.into_string().ok()?, folder.into_string().ok()?)))
        .find(|(name, _)| name.starts_with("DEP_AWS_LC_RS_") && name.ends_with("_SYS_ROOT"))
        .map(|(_, folder)| folder)
}

/// Whether it is in the library; nothing where there is no library, or none of AWS-LC's.
fn has_jitter_entropy(folder: &Path) -> Option<bool> {
    let holds = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    let mut found = None;
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.extension().is_some_and(|extension| extension == "a") {
            let bytes = fs::read(path).ok()?;
            if holds(&bytes, ALWAYS_THERE) {
                found = Some(found == Some(true) || holds(&bytes, JITTER_ENTROPY));
            }
        }
    }
    found
}
