//! The built binary, run on the sandbox as Lambda runs it. Each file tests one part of the contract.
//!
//! `BROKER_UNDER_TEST=<path>` runs the same tests against a different binary with the same contract. In every scenario the
//! harness checks that no secret reaches the output and that every request to AWS and GitHub follows the contract.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

mod clock;
mod configuration;
mod demo;
mod fault_matrix;
mod installation;
mod kms;
mod main_path;
mod managed_instances;
mod memory;
mod messages;
mod parameters;
mod payload;
mod proof;
mod proxy;
mod runtime_api;
mod soak;
mod survival;
mod trace;
