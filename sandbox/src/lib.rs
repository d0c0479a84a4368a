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

mod answer;
mod aws;
mod certificate;
mod client;
mod clock;
mod delay;
mod demo;
mod desk;
mod environment;
mod fault;
mod github;
mod github_http;
mod github_json;
mod healthy;
mod inject;
mod installation;
mod invocation;
mod jwt;
mod key;
mod lambda;
mod lambda_http;
mod outcome;
mod output;
mod process;
mod random;
mod record;
mod refusal;
mod running;
mod runtime_api;
mod sandbox;
mod scenario;
mod schedule;
mod secrets;
mod serve;
mod server;
mod sigv4;
mod source;
mod ssm;
mod timeline;
mod token;
mod variables;
mod watch;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::Answer;
pub use clock::Clock;
pub use demo::demo;
pub use fault::{Answer as CannedAnswer, Edit, Fault};
pub use github::GitHub;
pub use healthy::{CLIENT_ID, INSTALLATION_ID, PARAMETERS};
pub use installation::{App, Installation, Repository};
pub use key::{PrivateKey, PublicKey};
pub use outcome::{Outcome, Times};
pub use record::{Call, Recorded};
pub use running::{Running, binary_under_test};
pub use scenario::Scenario;
pub use schedule::Schedule;
pub use serve::{Options as ServeOptions, serve};
pub use ssm::{Parameter, Ssm};
pub use timeline::{Phase, phases};
pub use token::{Token, TokenShape};

/// Takes a lock. A test that panicked while it held one does not make the state any worse for the clean-up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
