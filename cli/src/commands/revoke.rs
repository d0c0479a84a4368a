//! `revoke`: revokes the cached token, or the one on standard input, and forgets it.

use std::{
    io::{self, Read as _},
    time::Duration,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{
    arguments::Revoke, aws, cache::Entry, error::Error, github::client::GitHub, settings::Settings,
};

/// No token is this long. It limits what is read from a wrong file.
const LARGEST_TOKEN: u64 = 16 * 1024;

/// Another process might be minting: its token must not be forgotten unrevoked.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(settings: &Settings, arguments: &Revoke) -> Result<(), Error> {
    if arguments.stdin {
        return revoke(settings, &from_stdin()?);
    }
    let Some(entry) = Entry::open(settings)? else {
        return Ok(());
    };
    let _lock = entry.lock(LOCK_PATIENCE)?;
    let Some(grant) = entry.read()? else {
        return Ok(());
    };
    revoke(settings, &grant.token)?;
    Ok(entry.forget()?)
}

fn from_stdin() -> Result<SecretString, Error> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = io::stdin().take(LARGEST_TOKEN).read_to_string(&mut text);
    read.map_err(|source| Error::Stdio {
        what: "cannot read standard input",
        source,
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Error::Input(
            "standard input is empty. Write one token to it",
        ));
    }
    if token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::Input(
            "standard input holds more than one token. Write one token to it",
        ));
    }
    Ok(SecretString::from(token))
}

pub(super) fn revoke(settings: &Settings, token: &SecretString) -> Result<(), Error> {
    let github = GitHub::new(&settings.host, token, settings.diagnostics);
    Ok(aws::block_on(github.revoke())??)
}
