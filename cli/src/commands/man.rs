//! `man`: prints the man page: one page, with a section for each command.

use std::io;

use clap::CommandFactory as _;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::print;
use crate::{arguments::Arguments, error::Error};

pub(super) fn run() -> Result<(), Error> {
    let page = page().map_err(|source| Error::Stdio {
        what: "cannot write the man page",
        source,
    })?;
    print(&String::from_utf8_lossy(&page))
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Arguments::command();
    command.build();
    let (mut page, man) = (Vec::new(), Man::new(command.clone()));
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        let mut heading = Roff::new();
        heading.control(
            "SH",
            [format!("COMMAND {}", subcommand.get_name())
                .to_uppercase()
                .as_str()],
        );
        heading.to_writer(&mut page)?;
        Man::new(own_options_only(subcommand)).render_synopsis_section(&mut page)?;
        let about = subcommand.get_long_about().or(subcommand.get_about());
        let mut text = Roff::new();
        for paragraph in about
            .map(ToString::to_string)
            .unwrap_or_default()
            .split("\n\n")
        {
            text.control("PP", []);
            text.text([roman(paragraph.replace('\n', " "))]);
        }
        for argument in subcommand
            .get_arguments()
            .filter(|argument| !argument.is_global_set())
        {
            if argument.get_id() == "help" {
                continue;
            }
            text.control("TP", []);
            text.text([bold(argument.to_string())]);
            text.text([roman(
                argument
                    .get_help()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            )]);
        }
        text.to_writer(&mut page)?;
    }
    Ok(page)
}

/// The global options stand once, at the top of the page.
fn own_options_only(command: &clap::Command) -> clap::Command {
    command.clone().mut_args(|argument| {
        let is_global = argument.is_global_set();
        argument.hide(is_global)
    })
}
