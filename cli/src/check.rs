//! `check`: what is right and wrong with a broker, seen with an operator's identity. It changes nothing.
//!
//! Input: an AWS session, the function's name. Output: a [`Report`] with one [`Finding`] for each check. What the operator's
//! identity is not allowed to see is skipped with the reason, and never counts as right.
//!
//! Reading order: [`report`] is the output, and the table of all checks. [`function`]: the function and its environment, parsed by
//! the function's own code. [`invokers`]: who is allowed to invoke it. [`role`]: what its role is allowed to do. [`parameters`]:
//! SSM. [`signing_key`]: KMS. [`app`]: the GitHub App, with `--as-app`. [`mint`]: one real token, with `--mint`. [`policy`] reads
//! policy documents, [`principals`] and [`identities`] judge them, and [`xml`] reads IAM's responses.

pub mod app;
pub mod function;
pub mod identities;
pub mod invokers;
pub mod mint;
pub mod parameters;
pub mod policy;
pub mod principals;
pub mod report;
pub mod role;
pub mod signing_key;
pub mod xml;

use broker::{app::credentials::KeySetting, config::Config};

use crate::{
    aws::{
        operator::{self, CallError},
        session::Session,
    },
    settings::Settings,
};
use function::Deployed;
use report::{Finding, Report};

/// What to check in addition.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Act as the App: needs the right to read its key, or to sign with it.
    pub as_app: bool,
    /// Mint a token and revoke it.
    pub mint: bool,
    /// A release's `checksums.txt`, to compare the function's code with.
    pub checksums: Option<std::path::PathBuf>,
}

/// Runs all checks.
pub async fn run(settings: &Settings, options: &Options) -> Report {
    let mut report = Report::default();
    let session = match Session::open(settings).await {
        Ok(session) => session,
        Err(error) => {
            report.add(Finding::fail(
                "aws.identity",
                error.to_string(),
                "Fix this first: every other check needs AWS",
            ));
            return report;
        }
    };
    report.add(identity(&session).await);
    let Some(deployed) = function::check(&session, settings, options, &mut report).await else {
        return report;
    };
    let identities = identities::read(&session).await;
    invokers::check(&session, &deployed, &identities, &mut report).await;
    if let Some(config) = deployed.configuration(&mut report) {
        let keys = parameters::check(&session, &config, &deployed, &mut report).await;
        if let KeySetting::Kms(id, endpoint) = &config.app.key {
            let in_region = session.in_region(&endpoint.region);
            let key =
                signing_key::check(&in_region, id.as_str(), &deployed, &identities, &mut report)
                    .await;
            role::check(
                &session,
                &config,
                &deployed,
                &keys,
                key.as_deref(),
                &mut report,
            )
            .await;
        } else {
            role::check(&session, &config, &deployed, &keys, None, &mut report).await;
        }
        if options.as_app {
            app::check(&session, &config, settings, &mut report).await;
        }
        if options.mint {
            mint::check(&session, &config, settings, &mut report).await;
        }
    }
    report
}

async fn identity(session: &Session) -> Finding {
    match session.caller().await {
        Ok(arn) => Finding::pass("aws.identity", format!("{arn} in {}", session.region)),
        Err(error) => Finding::fail(
            "aws.identity",
            error.to_string(),
            "Sign in again, and check --profile and --role-arn",
        ),
    }
}

/// A check that could not be made.
fn not_checked(id: report::Id, error: &CallError) -> Finding {
    match error {
        CallError::Refused { action, .. } if error.is_denied() => Finding::skip(
            id,
            format!("this identity is not allowed to call {action}"),
            format!("Allow {action} to the operator"),
        ),
        CallError::Refused { action, code } => Finding::skip(
            id,
            format!("AWS refused {action}: {code}"),
            operator::remedy(action, code),
        ),
        other => Finding::skip(id, other.to_string(), "Follow the message above"),
    }
}

/// The permissions that the function asks GitHub for.
fn wanted_permissions(config: &Config) -> Vec<(String, String)> {
    let permissions = config.scope.permissions.iter();
    permissions
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .collect()
}

/// A function as the operator sees it.
pub(crate) type Subject = Deployed;
