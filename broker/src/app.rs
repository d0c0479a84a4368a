//! The GitHub App: its identifiers, its key and the JWT that it signs.

pub mod credentials;
pub mod jwt;
pub mod private_key;
