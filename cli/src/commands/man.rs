//! `man`: prints the man page: one page, with a section for each command.

use std::io;

use clap::{Arg, Command, CommandFactory as _};
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
    for (name, subcommand) in leaves(&command) {
        let mut heading = Roff::new();
        heading.control("SH", [format!("COMMAND {name}").to_uppercase().as_str()]);
        heading.to_writer(&mut page)?;
        Man::new(own_options_only(subcommand)).render_synopsis_section(&mut page)?;
        description(subcommand).to_writer(&mut page)?;
    }
    Ok(page)
}

/// What a command does, and its own arguments.
fn description(command: &Command) -> Roff {
    let mut text = Roff::new();
    let about = command.get_long_about().or(command.get_about());
    for paragraph in about
        .map(ToString::to_string)
        .unwrap_or_default()
        .split("\n\n")
    {
        text.control("PP", []);
        text.text([roman(paragraph.replace('\n', " "))]);
    }
    let is_own = |argument: &&Arg| !argument.is_global_set() && argument.get_id() != "help";
    for argument in command.get_arguments().filter(is_own) {
        text.control("TP", []);
        text.text([bold(argument.to_string())]);
        text.text([roman(
            argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default(),
        )]);
    }
    text
}

/// The commands that do something, with their whole names.
fn leaves(command: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help")
    {
        let (name, below) = (subcommand.get_name(), leaves(subcommand));
        if below.is_empty() {
            found.push((name.to_owned(), subcommand));
        }
        found.extend(
            below
                .into_iter()
                .map(|(leaf, command)| (format!("{name} {leaf}"), command)),
        );
    }
    found
}

/// The global options stand once, at the top of the page.
fn own_options_only(command: &Command) -> Command {
    command.clone().mut_args(|argument| {
        let is_global = argument.is_global_set();
        argument.hide(is_global)
    })
}
