//! The calls to AWS.

pub mod endpoint;
pub mod ssm;
