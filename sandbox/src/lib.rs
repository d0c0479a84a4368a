//! AWS and GitHub on loopback, so that anyone can try the broker without an account.
//!
//! The sandbox knows the broker only by its contract and shares no code with it: a mistake in one cannot hide in the other.
//! Each folder imitates one world. Read them in this order:
//!
//! - [`scenario`](Scenario) describes one run of the function, runs it, and checks what must hold in every run.
//! - `github` is GitHub: its state as plain data, its REST API, its tokens, git over HTTP, and the pages that create an App.
//! - `aws` is AWS: Parameter Store, KMS, IAM and STS, and the one place that verifies a signature.
//! - `lambda` runs the function as Lambda does: a process, the Runtime API, the Invoke API.
//! - `net` is the network: servers on loopback whose connections can be delayed, throttled or broken.
//! - `faults` is what can go wrong with a call, and when.
//! - `sandbox.rs` starts the two servers.
//! - `cli` is the command line: `sandbox demo` and `sandbox serve`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test harness: a setup failure must panic with its location"
)]

mod aws;
mod cli;
mod clock;
mod faults;
mod github;
mod lambda;
mod net;
mod sandbox;
mod scenario;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use aws::iam::Iam;
pub use aws::kms::Kms;
pub use aws::sigv4::{Signer, sign};
pub use aws::ssm::{Parameter, Ssm};
pub use cli::demo::demo;
pub use cli::serve::{Options as ServeOptions, serve};
pub use cli::timeline::{Phase, phases};
pub use clock::Clock;
pub use faults::schedule::Schedule;
pub use faults::{CannedResponse, Edit, Fault};
pub use github::GitHub;
pub use github::model::{App, Installation, Repository};
pub use github::private_key::{PrivateKey, PublicKey};
pub use github::token::{Token, TokenFormat};
pub use lambda::invoke_result::InvokeResult;
pub use net::certificates::SelfSigned;
pub use net::client::send;
pub use net::recorder::{Call, RecordedRequest};
pub use scenario::Scenario;
pub use scenario::fixtures::{
    CLIENT_ID, INSTALLATION_ID, KMS_ALIAS, KMS_KEY_ARN, KMS_KEY_ID, PARAMETERS,
};
pub use scenario::outcome::{Outcome, Timing};
pub use scenario::running::{Running, binary_under_test};

/// Locks a mutex. A test that panicked with the lock does not make the state any worse for cleanup.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
