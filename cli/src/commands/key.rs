//! `key`: the App's private key, from a PEM into KMS or SSM.

mod fingerprint;
pub(super) mod import;
mod rotate;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{print, print_outcome};
use crate::{arguments::Key, error::Error, key::KeyError, settings::Settings};

/// A PEM of an RSA key has at most 13,000 characters.
const LARGEST_PEM: u64 = 64 * 1024;

pub(super) fn run(settings: &Settings, arguments: &Key) -> Result<(), Error> {
    match arguments {
        Key::Import(arguments) => import::run(settings, arguments),
        Key::Rotate(arguments) => rotate::run(settings, arguments),
        Key::Fingerprint(arguments) => fingerprint::run(settings, arguments),
    }
}

fn read(file: Option<&Path>) -> Result<SecretString, Error> {
    let unreadable = |source| KeyError::Unreadable {
        file: file.map_or_else(
            || "the PEM on standard input".to_owned(),
            |path| path.display().to_string(),
        ),
        source,
    };
    let source: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path).map_err(unreadable)?),
        None => Box::new(io::stdin()),
    };
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let read = source.take(LARGEST_PEM).read_to_string(&mut text);
    read.map_err(unreadable)?;
    Ok(SecretString::from(text.as_str()))
}
