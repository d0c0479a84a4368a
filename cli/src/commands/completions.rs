//! `completions`: prints a completion script.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::print;
use crate::{arguments::Arguments, error::Error};

pub(super) fn run(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    generate(
        shell,
        &mut Arguments::command(),
        "github-token-broker",
        &mut script,
    );
    print(&String::from_utf8_lossy(&script))
}
