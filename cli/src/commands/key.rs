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

use super::print;
use crate::{arguments::Key, error::Error, settings::Settings};

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
    let source: Box<dyn Read> = match file {
        Some(path) => {
            let opened = File::open(path);
            Box::new(opened.map_err(|source| Error::Stdio {
                what: "cannot open the PEM file",
                source,
            })?)
        }
        None => Box::new(io::stdin()),
    };
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let read = source.take(LARGEST_PEM).read_to_string(&mut text);
    read.map_err(|source| Error::Stdio {
        what: "cannot read the PEM",
        source,
    })?;
    Ok(SecretString::from(text.as_str()))
}
