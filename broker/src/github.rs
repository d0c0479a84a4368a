//! The calls to GitHub.

pub mod client;
pub mod error;
pub mod request;
