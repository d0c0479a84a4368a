//! GitHub's JSON: an App, an installation, a token, a repository, with every field that GitHub's OpenAPI description requires.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Value, json};

use super::GitHub;
use super::model::{App, Installation, Repository};
use super::token::Token;
use crate::clock;

/// The fields of a repository that are the same for all, except for its name. From the example in GitHub's description.
const REPOSITORY: &str = include_str!("repository.json");

/// A response with this JSON body.
pub(crate) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let content_type = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    let body = serde_json::to_string(body).expect("it can be written as JSON");
    (status, content_type, body).into_response()
}

pub(crate) fn app(github: &GitHub, app: &App) -> Value {
    let installations = github.installations.iter();
    json!({
        "id": app.id,
        "slug": app.slug,
        "client_id": app.client_id,
        "node_id": format!("A_{}", app.id),
        "owner": account(&app.owner),
        "name": app.slug,
        "description": "",
        "external_url": "https://github.com",
        "html_url": format!("https://github.com/apps/{}", app.slug),
        "created_at": "2026-01-26T19:01:12Z",
        "updated_at": "2026-01-26T19:14:43Z",
        "permissions": app.permissions,
        "events": [],
        "installations_count": installations.filter(|found| found.app_id == app.id).count(),
    })
}

pub(crate) fn installation(github: &GitHub, installation: &Installation) -> Value {
    let app = github.apps.iter().find(|app| app.id == installation.app_id);
    let Installation { id, account, .. } = installation;
    json!({
        "id": id,
        "account": self::account(account),
        "access_tokens_url": format!("https://api.github.com/app/installations/{id}/access_tokens"),
        "repositories_url": "https://api.github.com/installation/repositories",
        "html_url": format!("https://github.com/organizations/{account}/settings/installations/{id}"),
        "app_id": installation.app_id,
        "app_slug": app.map(|app| app.slug.as_str()),
        "client_id": app.map(|app| app.client_id.as_str()),
        "target_id": 1,
        "target_type": "Organization",
        "repository_selection": selection(installation.repository_ids.as_deref()),
        "permissions": installation.permissions,
        "events": [],
        "created_at": "2026-01-26T19:01:12Z",
        "updated_at": "2026-01-26T19:14:43Z",
        "single_file_name": null,
        "suspended_at": installation.suspended.then(|| clock::rfc3339(github.now() - 3600)),
        "suspended_by": installation.suspended.then(|| self::account(account)),
    })
}

/// The response to a mint, with its fields in GitHub's order: what stays in a client's buffers depends on it.
#[derive(Serialize)]
pub(crate) struct TokenBody<'a> {
    token: &'a str,
    expires_at: String,
    permissions: &'a BTreeMap<String, String>,
    repository_selection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<Vec<Value>>,
}

pub(crate) fn token<'a>(github: &GitHub, token: &'a Token) -> TokenBody<'a> {
    let repositories = token.repository_ids.as_ref().map(|_| {
        let accessible = github.accessible(token).into_iter();
        accessible.map(repository).collect()
    });
    TokenBody {
        token: &token.value,
        expires_at: clock::rfc3339(token.expires_at),
        permissions: &token.permissions,
        repository_selection: selection(token.repository_ids.as_deref()),
        repositories,
    }
}

pub(crate) fn repository_list(github: &GitHub, token: &Token, per_page: usize) -> Value {
    let accessible = github.accessible(token);
    let page = accessible.iter().take(per_page);
    json!({
        "total_count": accessible.len(),
        "repository_selection": selection(token.repository_ids.as_deref()),
        "repositories": page.map(|accessible| repository(accessible)).collect::<Value>(),
    })
}

pub(crate) fn repository(repository: &Repository) -> Value {
    let visibility = if repository.private {
        "private"
    } else {
        "public"
    };
    let body = REPOSITORY
        .replace("FULL_NAME", &repository.full_name())
        .replace("VISIBILITY", visibility);
    let mut body: Value = serde_json::from_str(&body).expect("the template is JSON");
    body["id"] = repository.id.into();
    body["name"] = repository.name.as_str().into();
    body["full_name"] = repository.full_name().into();
    body["private"] = repository.private.into();
    body["owner"] = account(&repository.owner);
    body
}

/// The state of the hourly rate limit, which every resource shares in the sandbox.
pub(crate) fn rate_limit(github: &GitHub) -> Value {
    let (limit, remaining, reset) = github.rate_limit();
    let rate = json!({ "limit": limit, "remaining": remaining, "used": limit - remaining, "reset": reset });
    let resources = json!({ "core": rate, "search": rate, "graphql": rate });
    json!({ "resources": resources, "rate": rate })
}

/// An organization, as GitHub's "simple user".
fn account(login: &str) -> Value {
    let api = format!("https://api.github.com/users/{login}");
    json!({
        "login": login,
        "id": 1,
        "node_id": "O_1",
        "avatar_url": "https://avatars.githubusercontent.com/u/1?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": format!("https://github.com/{login}"),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": "Organization",
        "user_view_type": "public",
        "site_admin": false,
    })
}

fn selection(repository_ids: Option<&[u64]>) -> &'static str {
    if repository_ids.is_some() {
        "selected"
    } else {
        "all"
    }
}
