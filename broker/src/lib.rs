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
//! | [`config::env`], [`config::parse`], [`aws::endpoint`], [`config`] | the environment | `Config`, or every fault in it |
//! | [`scope`] | JSON | permission names and levels |
//! | [`lambda::runtime_api`] | Lambda's Runtime API | an invocation, and its answer back |
//! | [`lambda::payload`] | an invocation's bytes | nothing was asked for, or something was |
//! | [`lambda::handler`] | an invocation | a token's JSON or a typed error |
//! | [`broker`] | the time there is | a `ProvenToken`: the story, top to bottom |
//! | [`app::credentials`] | three SSM parameters | `AppCredentials` |
//! | [`aws::ssm`] | names of parameters | SSM's answer |
//! | [`app::private_key`] | a PEM as people paste it | an RSA key |
//! | [`app::jwt`] | client ID, time, key | `AppJwt` |
//! | [`github::client`], [`github::request`] | `AppJwt` | `ConfirmedInstallation`, then `GrantedToken` |
//! | [`github::error`] | an answer that says no | what it means |
//! | [`proof`], [`proof::mismatch`] | `GrantedToken` | `ProvenToken`, or what differs |
//! | [`http::client`], [`http::tls`] | a request | an answer: the one HTTPS client |
//! | [`retry`] | a failure, the time left | a wait, or the end |
//! | [`failure`], [`error_type`] | a failure | `errorType` and `errorMessage` |
//! | [`telemetry::record`] | the steps | the fields of a log line |
//! | [`telemetry::log`], [`telemetry::metrics`] | outcomes | lines on stdout |
//!
//! Who may name what: only [`aws::ssm`] speaks to SSM, only [`app::private_key`] parses and uses the key, only
//! [`http::client`] opens connections, only [`telemetry::log`] and [`telemetry::metrics`] write to stdout, and only [`proof::ProvenToken`] turns
//! a token into a response.
//!
//! A token cannot be minted before the installation is confirmed:
//!
//! ```compile_fail,E0423
//! # use broker::{github::client::*, app::jwt::AppJwt, app::credentials::InstallationId, telemetry::record::Trace};
//! async fn mint(github: &GitHub<'_>, jwt: &AppJwt, id: InstallationId, trace: &mut Trace) {
//!     github.mint(jwt, &ConfirmedInstallation(id), trace).await;
//! }
//! ```
//!
//! and a token that was not proven cannot be returned:
//!
//! ```compile_fail,E0308
//! # use broker::{github::client::GrantedToken, lambda::runtime_api::*};
//! async fn answer(api: &RuntimeApi, invocation: &Invocation, granted: &GrantedToken) {
//!     api.respond(invocation, granted).await;
//! }
//! ```
//!
//! The same two with the right types compile:
//!
//! ```
//! # use broker::{github::client::*, app::jwt::AppJwt, proof::ProvenToken, lambda::runtime_api::*, telemetry::record::Trace};
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

pub mod app;
pub mod aws;
pub mod broker;
pub mod config;
pub mod error_type;
pub mod failure;
pub mod github;
pub mod http;
pub mod lambda;
pub mod proof;
pub mod retry;
pub mod scope;
pub mod telemetry;
