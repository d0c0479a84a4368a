//! Lambda's side of an invocation.

pub mod handler;
pub mod payload;
pub mod runtime_api;
