//! Starts the client. Everything is in the library; see its map.

use std::{alloc::System, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// Wipes every allocation when it is freed: tokens pass through buffers of the JSON, TLS and HTTP libraries.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    github_token_broker::run(std::env::args_os())
}
