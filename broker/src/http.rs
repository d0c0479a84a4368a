//! The HTTP client.

pub mod client;
pub mod tls;
