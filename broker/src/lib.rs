//! github-token-broker: an AWS Lambda function that returns a GitHub App installation token for one repository.
//!
//! The map, in reading order. An arrow is a type that only the step before it can make:
//!
//! ```text
//! environment -> Config -> AppCredentials -> AppJwt -> ConfirmedInstallation -> GrantedToken -> ProvenToken -> JSON
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`lambda`] | receives an invocation, checks that its payload is empty, posts the result |
//! | [`broker`] | the story of an invocation: load, sign, confirm, mint, prove, revoke |
//! | [`failure`], [`error_type`] | why an invocation returned no token: message, stable name, remedy |
//! | [`config`] | environment to settings; every variable with its rule |
//! | [`proof`] | compares what GitHub granted with the configured scope |
//! | [`github`] | the four calls to GitHub, and what GitHub's errors mean |
//! | [`app`] | the GitHub App: credentials, private key, signer, JWT, clock |
//! | [`aws`] | the signed calls to SSM and KMS |
//! | [`telemetry`] | log lines and metrics |
//! | [`scope`] | what a token is for: repository and permissions |
//! | [`http`] | the HTTP client |
//! | [`retry`] | deadlines, attempts, waits |
//!
//! A module imports only modules below it in this table, and `main` imports all. [`scope`], [`http`] and [`retry`] import
//! nothing of ours. `make check` enforces both. Each folder has its own error type; [`failure`] turns it into a message.
//!
//! Only [`aws`] calls AWS, only [`app::private_key`] uses the key, only [`http`] opens connections, only [`telemetry`] writes to
//! stdout, and only [`proof::ProvenToken`] serializes a token.
//!
//! A token cannot be minted before the installation is confirmed:
//!
//! ```compile_fail,E0451
//! # use broker::{app::{InstallationId, jwt::AppJwt}, github::{client::GitHub, token::ConfirmedInstallation}, scope::TokenScope};
//! async fn mint(github: &GitHub<'_>, jwt: &AppJwt, id: InstallationId, scope: &TokenScope) {
//!     let confirmed = ConfirmedInstallation { id, permissions: None };
//!     github.mint(jwt, &confirmed, scope).await;
//! }
//! ```
//!
//! and a token that is not proven cannot be returned:
//!
//! ```compile_fail,E0308
//! # use broker::{github::token::GrantedToken, lambda::runtime_api::*};
//! async fn respond(api: &RuntimeApi, invocation: &Invocation, granted: &GrantedToken) {
//!     api.respond(invocation, granted).await;
//! }
//! ```
//!
//! The same two compile with the right types:
//!
//! ```
//! # use broker::{app::jwt::AppJwt, github::{client::GitHub, token::ConfirmedInstallation}, lambda::runtime_api::*, proof::ProvenToken, scope::TokenScope};
//! async fn mint(github: &GitHub<'_>, jwt: &AppJwt, confirmed: &ConfirmedInstallation, scope: &TokenScope) {
//!     github.mint(jwt, confirmed, scope).await;
//! }
//! async fn respond(api: &RuntimeApi, invocation: &Invocation, proven: &ProvenToken) {
//!     api.respond(invocation, proven).await;
//! }
//! ```

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")
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
