//! `version`: prints the version.

use serde_json::json;

use super::print;
use crate::{error::Error, settings::Settings};

pub(super) fn run(settings: &Settings) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    print(&if settings.json {
        format!("{}\n", json!({ "version": version }))
    } else {
        format!("github-token-broker {version}\n")
    })
}
