//! github-token-broker: an AWS Lambda function that returns a GitHub App installation token for one repository.
//!
//! The map, in the order in which data flows. An arrow is a type that only the step before can make:
//!
//! ```text
//! environment -> Config ┐
//!                       ├-> AppJwt -> ConfirmedInstallation -> GrantedToken -> ProvenToken -> JSON
//! SSM -> AppCredentials ┘
//! ```
//!
//! | module | from | to |
//! |---|---|---|
//! | [`variables`], [`rules`], [`ssm_endpoint`], [`config`] | the environment | `Config`, or every fault in it |
//! | [`permissions`] | JSON | permission names and levels |
//! | [`runtime`] | Lambda's Runtime API | an invocation, and its answer back |
//! | [`payload`] | an invocation's bytes | nothing was asked for, or something was |
//! | [`handler`] | an invocation | a token's JSON or a typed error |
//! | [`broker`] | the time there is | a `ProvenToken`: the story, top to bottom |
//! | [`parameters`] | three SSM parameters | `AppCredentials` |
//! | [`ssm`] | names of parameters | SSM's answer |
//! | [`private_key`] | a PEM as people paste it | an RSA key |
//! | [`jwt`] | client ID, time, key | `AppJwt` |
//! | [`github`], [`rest`] | `AppJwt` | `ConfirmedInstallation`, then `GrantedToken` |
//! | [`refusal`] | an answer that says no | what it means |
//! | [`proof`], [`difference`] | `GrantedToken` | `ProvenToken`, or what differs |
//! | [`connect`], [`tls`] | a request | an answer: the one HTTPS client |
//! | [`retry`] | a failure, the time left | a wait, or the end |
//! | [`error`], [`error_type`] | a failure | `errorType` and `errorMessage` |
//! | [`trace`] | the steps | the fields of a log line |
//! | [`log`], [`metrics`] | outcomes | lines on stdout |
//!
//! Who may name what: only [`ssm`] speaks to SSM, only [`private_key`] parses and uses the key, only
//! [`connect`] opens connections, only [`log`] and [`metrics`] write to stdout, and only [`proof::ProvenToken`] turns
//! a token into a response.
//!
//! A token cannot be minted before the installation is confirmed:
//!
//! ```compile_fail,E0423
//! # use broker::{github::*, jwt::AppJwt, parameters::InstallationId, trace::Trace};
//! async fn mint(github: &GitHub<'_>, jwt: &AppJwt, id: InstallationId, trace: &mut Trace) {
//!     github.mint(jwt, &ConfirmedInstallation(id), trace).await;
//! }
//! ```
//!
//! and a token that was not proven cannot be returned:
//!
//! ```compile_fail,E0308
//! # use broker::{github::GrantedToken, runtime::*};
//! async fn answer(api: &RuntimeApi, invocation: &Invocation, granted: &GrantedToken) {
//!     api.respond(invocation, granted).await;
//! }
//! ```
//!
//! The same two with the right types compile:
//!
//! ```
//! # use broker::{github::*, jwt::AppJwt, proof::ProvenToken, runtime::*, trace::Trace};
//! async fn mint(github: &GitHub<'_>, jwt: &AppJwt, confirmed: &ConfirmedInstallation, trace: &mut Trace) {
//!     github.mint(jwt, confirmed, trace).await;
//! }
//! async fn answer(api: &RuntimeApi, invocation: &Invocation, proven: &ProvenToken) {
//!     api.respond(invocation, proven).await;
//! }
//! ```

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that fails here has failed")
)]

pub mod broker;
pub mod config;
pub mod connect;
pub mod difference;
pub mod error;
pub mod error_type;
pub mod github;
pub mod handler;
pub mod jwt;
pub mod log;
pub mod metrics;
pub mod parameters;
pub mod payload;
pub mod permissions;
pub mod private_key;
pub mod proof;
pub mod refusal;
pub mod rest;
pub mod retry;
pub mod rules;
pub mod runtime;
pub mod ssm;
pub mod ssm_endpoint;
pub mod tls;
pub mod trace;
pub mod variables;
