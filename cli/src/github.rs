//! GitHub, as the client of a token sees it. [`host`]: the server and its URLs. [`client`]: revoke, and the bot's login.

pub mod client;
pub mod host;
