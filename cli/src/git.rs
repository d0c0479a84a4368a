//! Git. [`protocol`]: what git and its credential helpers say to each other. [`config`]: the entries in git's
//! configuration that make git call the helper. [`repository`]: `OWNER/REPO`, and what a URL's path names.

pub mod config;
pub mod protocol;
pub mod repository;
