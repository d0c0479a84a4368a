//! `--as-app`: what GitHub reports to the App itself. Needs permission to read the App's key, or to sign with it. It mints nothing.
//!
//! [`caller`] calls GitHub with a JWT, [`credentials`] are the function's. Each other file is what it checks.

mod caller;
mod credentials;
mod installation;
mod key;
mod permissions;

use broker::{app::ClientId, config::Config};
use http::StatusCode;

use super::{
    report::{Finding, Report},
    wanted_permissions,
};
use crate::{aws::session::Session, http::HttpError, settings::Settings};
use caller::Caller;
pub use caller::{Signer, SigningError};
use credentials::Credentials;

/// With fewer requests left in the hour, a busy broker can reach the limit.
const FEW_REQUESTS: u64 = 500;

/// Checks the App.
pub async fn check(session: &Session, config: &Config, settings: &Settings, report: &mut Report) {
    if let Err(finding) = try_check(session, config, settings, report).await {
        report.add(finding);
    }
}

async fn try_check(
    session: &Session,
    config: &Config,
    settings: &Settings,
    report: &mut Report,
) -> Result<(), Finding> {
    let Credentials {
        client_id,
        installation_id,
        signer,
    } = credentials::read(session, config).await?;
    let api = config.api_base.to_string();
    let github = Caller::new(&api, &client_id, &signer, settings).await?;
    let Some(app) = key::check(&github, &client_id, report).await else {
        return Ok(());
    };
    let (wanted, requested) = (wanted_permissions(config), permissions::levels(&app));
    let repository = &config.scope.repository;
    if let Some(found) = installation::check(&github, repository, installation_id, report).await {
        let granted = permissions::levels(&found);
        report.add(permissions::check(
            &wanted,
            &granted,
            &requested,
            repository.owner(),
        ));
        report.add(installation::selection(&found));
    }
    report.add(permissions::excess(&wanted, &requested));
    report.add(rate_limit(&github).await);
    Ok(())
}

/// Why it is not known whether the App is installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// There is nothing to send to GitHub.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// There is no response.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It takes GitHub a few seconds until all of its servers know a new App.
    #[error("GitHub does not accept the App's key: HTTP 401")]
    UnknownKey,
    /// GitHub refuses, for example because of a rate limit.
    #[error("GitHub returned HTTP {0}")]
    Refused(StatusCode),
}

/// The App's installation on a repository. `None` if there is none yet.
///
/// # Errors
/// GitHub does not accept the key, or there is no answer.
pub async fn find_installation(
    api: &str,
    client_id: &ClientId,
    signer: &Signer,
    repository: &str,
    settings: &Settings,
) -> Result<Option<u64>, InstallationError> {
    let github = Caller::new(api, client_id, signer, settings).await?;
    let path = format!("/repos/{repository}/installation");
    let answer = github.get(&path).await?;
    match answer.status {
        StatusCode::OK => Ok(answer.body["id"].as_u64()),
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::UNAUTHORIZED => Err(InstallationError::UnknownKey),
        status => Err(InstallationError::Refused(status)),
    }
}

/// Whether GitHub accepts this key for the App.
///
/// # Errors
/// It does not: the finding says why.
pub async fn verify_key(
    session: &Session,
    config: &Config,
    settings: &Settings,
    signer: &Signer,
) -> Result<(), Finding> {
    let client_id = credentials::client_id(session, config).await?;
    let api = config.api_base.to_string();
    let github = Caller::new(&api, &client_id, signer, settings).await?;
    let mut report = Report::default();
    if key::check(&github, &client_id, &mut report).await.is_some() {
        return Ok(());
    }
    let unknown = || Finding::skip("app.key", "GitHub did not answer", "Retry");
    let mut findings = report.checks.into_iter();
    Err(findings
        .find(|finding| finding.id == "app.key")
        .unwrap_or_else(unknown))
}

async fn rate_limit(github: &Caller) -> Finding {
    const ID: &str = "app.rate_limit";
    let remaining = match github.get("/rate_limit").await {
        Ok(answer) => answer.body["resources"]["core"]["remaining"].as_u64(),
        Err(_) => None,
    };
    let Some(remaining) = remaining else {
        return Finding::skip(ID, "GitHub's response has no rate limit", "Retry");
    };
    let text = format!("{remaining} requests are left in this hour");
    if remaining < FEW_REQUESTS {
        Finding::warn(ID, text, "Find out what else uses the App")
    } else {
        Finding::pass(ID, text)
    }
}
