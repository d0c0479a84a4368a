//! The command line: `sandbox demo` and `sandbox serve`.

pub(crate) mod demo;
pub(crate) mod serve;
pub(crate) mod timeline;
