//! The sandbox's guarantees, tested with a scripted function. One binary for all tests links only once.
#![expect(clippy::expect_used, clippy::panic, reason = "a panic fails the test")]

mod git;
mod github;
mod invoke_api;
mod scenario;
mod scripted;
