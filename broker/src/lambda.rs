//! Lambda's side of an invocation: receive it, check that its payload is empty, post its result.

pub mod handler;
pub mod payload;
pub mod runtime_api;
