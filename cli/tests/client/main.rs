//! The client as its users run it: the real binary against AWS and GitHub on loopback, and the real git.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where its own setup fails"
)]

mod action;
mod aws;
mod cache;
mod check;
mod exec;
mod git;
mod help;
mod key;
mod network;
mod permissions;
mod setup;
mod setup_git;
mod support;
mod token;
