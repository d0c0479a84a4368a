//! GitHub's JSON: what it says of an installation, a token, a repository.

use serde_json::{Value, json};

use crate::clock;
use crate::github::GitHub;
use crate::github::model::{Installation, Repository};
use crate::github::token::Token;

pub(crate) fn installation(github: &GitHub, installation: &Installation) -> Value {
    let app = github.apps.iter().find(|app| app.id == installation.app_id);
    json!({
        "id": installation.id,
        "account": { "login": installation.account, "id": 1, "type": "Organization" },
        "app_id": installation.app_id,
        "app_slug": app.map(|app| app.slug.as_str()),
        "client_id": app.map(|app| app.client_id.as_str()),
        "target_type": "Organization",
        "repository_selection": if installation.repository_ids.is_some() { "selected" } else { "all" },
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
        "repository_selection": if token.repository_ids.is_some() { "selected" } else { "all" },
    });
    if token.repository_ids.is_some() {
        body["repositories"] = github
            .reachable(token)
            .into_iter()
            .map(repository)
            .collect();
    }
    body
}

pub(crate) fn list(github: &GitHub, token: &Token, per_page: usize) -> Value {
    let reachable = github.reachable(token);
    let selection = if token.repository_ids.is_some() {
        "selected"
    } else {
        "all"
    };
    let page: Value = reachable
        .iter()
        .take(per_page)
        .map(|reachable| repository(reachable))
        .collect();
    json!({ "total_count": reachable.len(), "repository_selection": selection, "repositories": page })
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
