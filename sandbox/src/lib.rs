//! AWS and GitHub on loopback, so that anyone can see the broker work without an account.
//!
//! It knows the broker by its contract alone and shares no code with it, so that a mistake there is seen here. Modules, in
//! the order to read them:
//!
//! - [`Scenario`] (`scenario.rs`) says what a run is like, [`Running`] runs it, [`Outcome`] tells what came of it;
//!   `secrets.rs` looks for leaks.
//! - [`GitHub`] (`github.rs`) is GitHub as plain data, with `jwt.rs`, `token.rs` and `refusal.rs`; `github_http.rs` shows it.
//! - [`Ssm`] (`ssm.rs`) is Parameter Store as plain data; `aws.rs` shows it; `sigv4.rs` reads signatures.
//! - `lambda.rs` has the functions (`lambda_http.rs` shows them, `source.rs` gets them from elsewhere), `environment.rs` runs a process as Lambda does, with `invocation.rs`, `answer.rs`, `variables.rs`, `output.rs`, `process.rs` and the
//!   Runtime API in `runtime_api.rs`.
//! - [`Fault`] (`fault.rs`) says what goes wrong, `inject.rs` does it to answers, `server.rs` and `wire.rs` to connections,
//!   `delay.rs` puts them far away, `certificate.rs` has TLS.
//! - `sandbox.rs` puts the servers together; `record.rs` keeps what they were asked.
//! - `demo.rs`, `serve.rs`, `timeline.rs`: what `make demo` shows.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test equipment: where its own footing gives way, the test has to stop and say where"
)]

mod aws;
mod cli;
mod clock;
mod faults;
mod github;
mod lambda;
mod net;
mod random;
mod sandbox;
mod scenario;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use aws::ssm::{Parameter, Ssm};
pub use cli::demo::demo;
pub use cli::serve::{Options as ServeOptions, serve};
pub use cli::timeline::{Phase, phases};
pub use clock::Clock;
pub use faults::schedule::Schedule;
pub use faults::{Answer as CannedAnswer, Edit, Fault};
pub use github::GitHub;
pub use github::model::{App, Installation, Repository};
pub use github::private_key::{PrivateKey, PublicKey};
pub use github::token::{Token, TokenShape};
pub use lambda::invoke_result::Answer;
pub use net::recorder::{Call, Recorded};
pub use scenario::Scenario;
pub use scenario::fixtures::{CLIENT_ID, INSTALLATION_ID, PARAMETERS};
pub use scenario::outcome::{Outcome, Times};
pub use scenario::running::{Running, binary_under_test};

/// Takes a lock. A test that panicked while it held one does not make the state any worse for the clean-up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
