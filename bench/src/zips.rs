//! The sizes of the packages. Comes in: `dist/` and the release build. Goes out: a size for each architecture, or nothing
//! where there is no package of the present code: one older than the build may be of anything.

use std::fs::Metadata;
use std::path::Path;

/// A package.
#[derive(Debug)]
pub(crate) struct Zip {
    pub(crate) architecture: &'static str,
    pub(crate) bytes: Option<u64>,
}

/// Looks for both.
pub(crate) fn in_folder(dist: &Path, bootstrap: &Path) -> Vec<Zip> {
    let built = bootstrap.metadata().and_then(|file| file.modified()).ok();
    let is_new =
        |zip: &Metadata| built.is_some_and(|built| zip.modified().is_ok_and(|zip| zip >= built));
    let of = |architecture, name| Zip {
        architecture,
        bytes: dist
            .join(name)
            .metadata()
            .ok()
            .filter(is_new)
            .map(|zip| zip.len()),
    };
    vec![
        of("arm64", "github-token-broker.zip"),
        of("x86_64", "github-token-broker-x86_64.zip"),
    ]
}
