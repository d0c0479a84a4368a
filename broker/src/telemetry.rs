//! What the function writes to stdout: log lines and metrics. It knows names and numbers, not the types of the layers above.

pub mod log;
pub mod metrics;
pub mod record;
