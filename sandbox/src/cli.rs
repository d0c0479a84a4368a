//! The command line.

pub(crate) mod demo;
pub(crate) mod serve;
pub(crate) mod timeline;
