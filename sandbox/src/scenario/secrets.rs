//! The search for secrets in what a function wrote. Comes in: every secret there was, and a text. It fails a scenario, and
//! names what leaked by kind, never by value.

use std::collections::BTreeSet;

/// Shorter texts are in any log by chance.
const SHORTEST: usize = 8;
/// Any leak of twice this length holds one of the pieces that a long secret is cut into.
const PIECE: usize = 24;

/// The secrets of a scenario, each with the name of its kind.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    known: BTreeSet<(String, &'static str)>,
}

impl Secrets {
    /// Adds a secret.
    pub(crate) fn add(&mut self, kind: &'static str, value: &str) {
        if value.len() >= SHORTEST {
            self.known.insert((value.to_owned(), kind));
        }
    }

    /// Adds a value of many lines: each of them is secret, but for the armour of a PEM file, which is the same in all.
    pub(crate) fn add_lines(&mut self, kind: &'static str, value: &str) {
        for line in value.split(['\n', '\r']).flat_map(|line| line.split("\\n")) {
            if line.contains("-----") {
                continue;
            }
            self.add(kind, line.trim());
            // A part of a long line is as secret as the line.
            for piece in line.trim().as_bytes().chunks_exact(PIECE) {
                self.add(kind, &String::from_utf8_lossy(piece));
            }
        }
    }

    /// Adds a JWT: whole, and each of its parts but the header, which is no secret.
    pub(crate) fn add_jwt(&mut self, jwt: &str) {
        self.add("a JWT", jwt);
        jwt.split('.')
            .skip(1)
            .for_each(|part| self.add("a part of a JWT", part));
    }

    /// The kinds of secrets in this text.
    pub(crate) fn found_in(&self, text: &str) -> BTreeSet<&'static str> {
        self.known
            .iter()
            .filter(|(secret, _)| text.contains(secret))
            .map(|(_, kind)| *kind)
            .collect()
    }
}
