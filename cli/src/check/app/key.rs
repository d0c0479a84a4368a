//! `app.key` and `app.clock`: GitHub accepts the JWT.

use broker::app::ClientId;
use http::StatusCode;
use serde_json::Value;

use super::caller::Caller;
use crate::check::report::{Finding, Report};

/// GitHub rejects a JWT that is more than a minute in the future; the function backdates by as much.
const SKEW_TO_WARN: u64 = 30;

/// Whether key and client ID belong together. The App, if so.
pub(super) async fn check(
    github: &Caller,
    client_id: &ClientId,
    report: &mut Report,
) -> Option<Value> {
    let answer = match github.get("/app").await {
        Ok(answer) => answer,
        Err(error) => {
            report.add(Finding::fail(
                "app.key",
                error.to_string(),
                "Check the way to GitHub, and the Terraform input github_api_base_url",
            ));
            return None;
        }
    };
    if let Some(skew) = answer.skew() {
        report.add(if skew > SKEW_TO_WARN {
            Finding::warn(
                "app.clock",
                format!("this machine's clock and GitHub's are {skew} s apart"),
                "Synchronize this machine's clock. AWS synchronizes the function's",
            )
        } else {
            Finding::pass("app.clock", format!("{skew} s apart from GitHub"))
        });
    }
    let id = client_id.as_str();
    let (detail, remedy) = match answer.status {
        StatusCode::OK => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (slug, owner) = (
                text(&answer.body["slug"]),
                text(&answer.body["owner"]["login"]),
            );
            let owner = if owner.is_empty() {
                String::new()
            } else {
                format!(" of {owner}")
            };
            report.add(Finding::pass(
                "app.key",
                format!("the key belongs to the App {slug}{owner} ({id})"),
            ));
            return Some(answer.body);
        }
        StatusCode::NOT_FOUND => (
            format!("GitHub does not know the client ID {id}"),
            "Correct the client ID, or the Terraform input github_api_base_url",
        ),
        StatusCode::UNAUTHORIZED if answer.says("'Issuer' claim") => (
            "this GitHub server does not accept client IDs".to_owned(),
            "Use the numeric App ID instead",
        ),
        StatusCode::UNAUTHORIZED
            if answer.says("'Expiration time'") || answer.says("'Issued at'") =>
        {
            (
                "GitHub rejects the time in the JWT".to_owned(),
                "Synchronize this machine's clock",
            )
        }
        StatusCode::UNAUTHORIZED => (
            format!("the key does not belong to the App {id}"),
            "Store the key and the client ID of the same App. If the key was deleted on GitHub, create a new one",
        ),
        StatusCode::FORBIDDEN if answer.says("IP allow list") => (
            "the IP allow list of the App's owner does not contain this machine".to_owned(),
            "Run the check from an allowed network. The function needs an allowed address too",
        ),
        status => (
            format!("GitHub returned HTTP {status} for GET /app"),
            "Check the Terraform input github_api_base_url: a GitHub Enterprise Server needs /api/v3",
        ),
    };
    report.add(Finding::fail("app.key", detail, remedy));
    None
}
