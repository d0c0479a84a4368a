//! GitHub's JSON: an installation, a token, a repository.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::GitHub;
use super::model::{Installation, Repository};
use super::token::Token;
use crate::clock;

/// A response with this JSON body.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let content_type = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, content_type, body.to_string()).into_response()
}

pub(crate) fn installation(github: &GitHub, installation: &Installation) -> Value {
    let app = github.apps.iter().find(|app| app.id == installation.app_id);
    json!({
        "id": installation.id,
        "account": { "login": installation.account, "id": 1, "type": "Organization" },
        "app_id": installation.app_id,
        "app_slug": app.map(|app| app.slug.as_str()),
        "client_id": app.map(|app| app.client_id.as_str()),
        "target_type": "Organization",
        "repository_selection": selection(installation.repository_ids.as_deref()),
        "permissions": installation.permissions,
        "events": [],
        "suspended_at": installation.suspended.then(|| clock::rfc3339(github.now() - 3600)),
    })
}

pub(crate) fn token(github: &GitHub, token: &Token) -> Value {
    let mut body = json!({
        "token": token.value,
        "expires_at": clock::rfc3339(token.expires_at),
        "permissions": token.permissions,
        "repository_selection": selection(token.repository_ids.as_deref()),
    });
    if token.repository_ids.is_some() {
        body["repositories"] = github
            .accessible(token)
            .into_iter()
            .map(repository)
            .collect();
    }
    body
}

pub(crate) fn repository_list(github: &GitHub, token: &Token, per_page: usize) -> Value {
    let accessible = github.accessible(token);
    let page: Value = accessible
        .iter()
        .take(per_page)
        .map(|accessible| repository(accessible))
        .collect();
    json!({
        "total_count": accessible.len(),
        "repository_selection": selection(token.repository_ids.as_deref()),
        "repositories": page,
    })
}

pub(crate) fn repository(repository: &Repository) -> Value {
    json!({
        "id": repository.id,
        "name": repository.name,
        "full_name": repository.full_name(),
        "private": repository.private,
        "owner": { "login": repository.owner, "id": 1, "type": "Organization" },
        "html_url": format!("https://github.com/{}", repository.full_name()),
        "default_branch": "main",
    })
}

fn selection(repository_ids: Option<&[u64]>) -> &'static str {
    if repository_ids.is_some() {
        "selected"
    } else {
        "all"
    }
}
