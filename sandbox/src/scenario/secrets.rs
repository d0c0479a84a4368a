//! The search for secrets in a function's output.
//!
//! Input: every secret of a scenario, and a text. Output: the kinds of secrets in the text, never their values.

use std::collections::BTreeSet;

/// A shorter text might be in any log by chance.
const MIN_LENGTH: usize = 8;
/// Long secrets are cut into pieces of this length: any leak of twice the length contains a whole piece.
const PIECE: usize = 24;

/// The secrets of a scenario, each with its kind.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    known: BTreeSet<(String, &'static str)>,
}

impl Secrets {
    /// Adds a secret.
    pub(crate) fn add(&mut self, kind: &'static str, value: &str) {
        if value.len() >= MIN_LENGTH {
            self.known.insert((value.to_owned(), kind));
        }
    }

    /// Adds each line of a secret, except the BEGIN and END lines of a PEM, which are the same in every key.
    pub(crate) fn add_lines(&mut self, kind: &'static str, value: &str) {
        for line in value.split(['\n', '\r']).flat_map(|line| line.split("\\n")) {
            if line.contains("-----") {
                continue;
            }
            self.add(kind, line.trim());
            for piece in line.trim().as_bytes().chunks_exact(PIECE) {
                self.add(kind, &String::from_utf8_lossy(piece));
            }
        }
    }

    /// Adds a JWT: the whole and each part, except the header, which is not secret.
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
