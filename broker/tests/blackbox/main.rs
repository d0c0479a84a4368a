//! The built binary, run as Lambda runs it, on the sandbox. One file for each part of the contract.
//!
//! `BROKER_UNDER_TEST=<path>` runs the same tests against any other binary with the same contract. The harness itself
//! checks in every scenario that no secret reaches the output, and that AWS and GitHub are spoken to as agreed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

mod clock;
mod configuration;
mod fault_matrix;
mod installation;
mod main_path;
mod memory;
mod parameters;
mod payload;
mod proof;
mod proxy;
mod survival;
mod trace;
