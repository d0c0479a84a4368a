//! `token`: prints the token and nothing else.

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::print;
use crate::{error::Error, settings::Settings, tokens};

pub(super) fn run(settings: &Settings) -> Result<(), Error> {
    let grant = tokens::obtain(settings)?;
    let text = if settings.json {
        grant.body()
    } else {
        grant.token.expose_secret()
    };
    print(&Zeroizing::new(format!("{text}\n")))
}
