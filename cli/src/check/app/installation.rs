//! `app.installation` and `app.selection`: what the App is installed on.

use broker::{app::InstallationId, scope::Repository};
use http::StatusCode;
use serde_json::Value;

use super::caller::Caller;
use crate::check::report::{Finding, Report};

/// Checks the installation on the repository. Returns it if it is right.
pub(super) async fn check(
    github: &Caller,
    repository: &Repository,
    configured: InstallationId,
    report: &mut Report,
) -> Option<Value> {
    let path = format!(
        "/repos/{}/{}/installation",
        repository.owner(),
        repository.name()
    );
    let answer = match github.get(&path).await {
        Ok(answer) => answer,
        Err(error) => {
            report.add(Finding::skip(
                "app.installation",
                error.to_string(),
                "Retry",
            ));
            return None;
        }
    };
    let id = answer.body["id"].as_u64().unwrap_or_default();
    let account = answer.body["account"]["login"].as_str().unwrap_or_default();
    let (detail, remedy) = match answer.status {
        StatusCode::OK if id != configured.get() => (
            format!("the installation on {repository} is {id}, and {configured} is configured"),
            format!("Store {id} as the installation ID"),
        ),
        StatusCode::OK if !account.eq_ignore_ascii_case(repository.owner()) => (
            format!("{repository} belongs to a different account now"),
            "Find out who moved it before you change repository_owner".to_owned(),
        ),
        StatusCode::OK if !answer.body["suspended_at"].is_null() => (
            format!("the installation {id} is suspended"),
            "Unsuspend it: the organization's settings > GitHub Apps > Configure".to_owned(),
        ),
        StatusCode::OK => {
            report.add(Finding::pass(
                "app.installation",
                format!("installation {id} of {account} covers {repository}"),
            ));
            return Some(answer.body);
        }
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::PERMANENT_REDIRECT
        | StatusCode::TEMPORARY_REDIRECT => (
            format!("{repository} was renamed or transferred"),
            "Find out who moved it, then change repository_owner and repository_name".to_owned(),
        ),
        StatusCode::NOT_FOUND => (
            format!("the App is not installed on {repository}, or that name is misspelled"),
            "Select the repository: the organization's settings > GitHub Apps > Configure"
                .to_owned(),
        ),
        StatusCode::FORBIDDEN if answer.says("suspended") => (
            "the installation is suspended".to_owned(),
            "Unsuspend it: the organization's settings > GitHub Apps > Configure".to_owned(),
        ),
        StatusCode::FORBIDDEN
            if answer.says("IP allow list") || answer.says("correct authorization credentials") =>
        {
            (
                "the organization's IP allow list does not contain this machine".to_owned(),
                "Run the check from an allowed network. The function needs an allowed address too"
                    .to_owned(),
            )
        }
        status => (
            format!("GitHub returned HTTP {status} for GET {path}"),
            "Retry".to_owned(),
        ),
    };
    report.add(Finding::fail("app.installation", detail, remedy));
    None
}

/// Whether the installation is limited to selected repositories.
pub(super) fn selection(installation: &Value) -> Finding {
    if installation["repository_selection"] == "all" {
        return Finding::warn(
            "app.selection",
            "the installation covers all repositories of the account",
            "Select the one repository: anyone who has the key can mint for all of them",
        );
    }
    Finding::pass(
        "app.selection",
        "the installation covers selected repositories only",
    )
}
