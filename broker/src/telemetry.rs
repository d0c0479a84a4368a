//! What an invocation writes to stdout.

pub mod log;
pub mod metrics;
pub mod record;
