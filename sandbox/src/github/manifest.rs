//! The pages of GitHub on which an App is created from a manifest, is installed, and gets another private key.
//!
//! Input: the form that a setup tool posts, and the clicks of a user. Output: pages, a redirect with a code, and the new
//! App's credentials in exchange for the code, once. A private key is a download.
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::GitHub;
use super::error::GitHubError;
use super::model::{App, Installation};
use super::private_key::PrivateKey;
use super::responses::{self, json_response};
use super::routes::SharedGitHub;
use super::token::alphanumeric;
use crate::lock;

/// A code can be converted for one hour.
const CODE_LIFETIME: i64 = 3600;

/// An App that was created and whose credentials were not fetched yet.
#[derive(Debug, Clone)]
pub(crate) struct PendingApp {
    code: String,
    app_id: u64,
    key: PrivateKey,
    expires_at: i64,
}

/// The parts of a manifest that the sandbox uses.
#[derive(Debug, Deserialize)]
struct Manifest {
    name: String,
    #[serde(rename = "url")]
    _homepage: Url,
    redirect_url: Url,
    #[serde(default)]
    default_permissions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Parameters {
    state: Option<String>,
}

/// The pages, at the root of the host.
pub(crate) fn pages(github: &SharedGitHub) -> Router {
    Router::new()
        .route("/settings/apps/new", post(new_app_of_user))
        .route("/organizations/{owner}/settings/apps/new", post(new_app))
        .route(
            "/apps/{slug}/installations/new",
            get(installation_page).post(install),
        )
        .route("/settings/apps/{slug}", get(app_page).post(generate_key))
        .route(
            "/organizations/{owner}/settings/apps/{slug}",
            get(app_page).post(generate_key),
        )
        .with_state(std::sync::Arc::clone(github))
}

async fn new_app_of_user(
    state: State<SharedGitHub>,
    parameters: Query<Parameters>,
    uri: Uri,
    body: Bytes,
) -> Response {
    // The user who is signed in owns the repositories.
    let owner = lock(&state.0).installation_account();
    new_app(state, Path(owner), parameters, uri, body).await
}

/// The first request shows what will be created. The button on that page sends the second one.
async fn new_app(
    State(github): State<SharedGitHub>,
    Path(owner): Path<String>,
    Query(parameters): Query<Parameters>,
    uri: Uri,
    body: Bytes,
) -> Response {
    let form = form(&body);
    let text = form.get("manifest").map_or("", String::as_str);
    let manifest: Manifest = match serde_json::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let page = page(&format!(
                "<p>Invalid GitHub App manifest: {}</p>",
                escape(&error.to_string())
            ));
            return (StatusCode::UNPROCESSABLE_ENTITY, page).into_response();
        }
    };
    if !form.contains_key("confirmed") {
        let (name, owner) = (escape(&manifest.name), escape(&owner));
        let action = escape(uri.path_and_query().map_or("", |path| path.as_str()));
        return page(&format!(
            "<h1>Create GitHub App for {owner}</h1><p>{name}</p><form method=\"post\" action=\"{action}\">\
             <input type=\"hidden\" name=\"manifest\" value=\"{}\">\
             <button name=\"confirmed\" value=\"1\">Create GitHub App for {owner}</button></form>",
            escape(text)
        ))
        .into_response();
    }
    let mut redirect = manifest.redirect_url.clone();
    let code = lock(&github).create_app(&owner, &manifest);
    redirect.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = &parameters.state {
        redirect.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(redirect.as_str()).into_response()
}

async fn installation_page(
    State(github): State<SharedGitHub>,
    Path(slug): Path<String>,
) -> Response {
    let github = lock(&github);
    let Some(app) = github.apps.iter().find(|app| app.slug == slug) else {
        return (StatusCode::NOT_FOUND, page("<p>Not Found</p>")).into_response();
    };
    let owned = github
        .repositories
        .iter()
        .filter(|repository| repository.owner == app.owner);
    let choices = owned.map(|repository| {
        let name = escape(&repository.full_name());
        format!(
            "<label><input type=\"checkbox\" name=\"repository\" value=\"{name}\">{name}</label>"
        )
    });
    page(&format!(
        "<h1>Install {}</h1><form method=\"post\">{}<button>Install</button></form>",
        escape(&slug),
        choices.collect::<String>()
    ))
    .into_response()
}

async fn install(
    State(github): State<SharedGitHub>,
    Path(slug): Path<String>,
    body: Bytes,
) -> Response {
    let fields = url::form_urlencoded::parse(&body).into_owned();
    let chosen: Vec<_> = fields
        .filter(|(name, _)| name == "repository")
        .map(|(_, full_name)| full_name)
        .collect();
    match lock(&github).install(&slug, &chosen) {
        Some(id) => page(&format!("<p>Installed, with the ID {id}.</p>")).into_response(),
        None => (StatusCode::NOT_FOUND, page("<p>Not Found</p>")).into_response(),
    }
}

/// The last part of the path, with or without an owner in front.
#[derive(Deserialize)]
struct Slug {
    slug: String,
}

/// The App's settings: the fingerprints of its keys, and the button for a new one.
async fn app_page(State(github): State<SharedGitHub>, Path(Slug { slug }): Path<Slug>) -> Response {
    let github = lock(&github);
    let Some(app) = github.apps.iter().find(|app| app.slug == slug) else {
        return (StatusCode::NOT_FOUND, page("<p>Not Found</p>")).into_response();
    };
    let keys = app.keys.iter().map(|key| {
        let fingerprint = escape(&key.fingerprint());
        format!("<li>SHA256:{fingerprint}</li>")
    });
    page(&format!(
        "<h1>{}</h1><p>Client ID: {}</p><h2>Private keys</h2><ul>{}</ul>\
         <form method=\"post\"><button>Generate a private key</button></form>",
        escape(&slug),
        escape(&app.client_id),
        keys.collect::<String>()
    ))
    .into_response()
}

/// GitHub keeps the public key; the browser downloads the PEM.
async fn generate_key(
    State(github): State<SharedGitHub>,
    Path(Slug { slug }): Path<Slug>,
) -> Response {
    let mut github = lock(&github);
    let Some(app) = github.apps.iter_mut().find(|app| app.slug == slug) else {
        return (StatusCode::NOT_FOUND, page("<p>Not Found</p>")).into_response();
    };
    let key = PrivateKey::fresh(2048);
    app.keys.push(key.public());
    let headers = [
        (CONTENT_TYPE, "application/x-pem-file".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{slug}.private-key.pem\""),
        ),
    ];
    (headers, key.pem()).into_response()
}

/// `POST /app-manifests/{code}/conversions`: needs no credential but the code.
pub(crate) async fn convert(
    State(github): State<SharedGitHub>,
    Path(code): Path<String>,
) -> Result<Response, GitHubError> {
    let mut github = lock(&github);
    let now = github.now();
    let pending = github.pending_apps.iter().position(|app| app.code == code);
    let pending = pending.map(|index| github.pending_apps.remove(index));
    let pending = pending.filter(|app| app.expires_at > now);
    let pending = pending.ok_or(GitHubError::NotFound)?;
    let app = github.apps.iter().find(|app| app.id == pending.app_id);
    let app = app.ok_or(GitHubError::NotFound)?;
    let mut body = responses::app(&github, app);
    body["pem"] = pending.key.pem().into();
    body["client_secret"] = alphanumeric(40).into();
    body["webhook_secret"] = json!(alphanumeric(40));
    Ok(json_response(StatusCode::CREATED, &body))
}

impl GitHub {
    /// The account of the first repository.
    fn installation_account(&self) -> String {
        let first = self.repositories.first();
        first.map_or_else(String::new, |repository| repository.owner.clone())
    }

    /// Creates an App. Returns the code for its credentials.
    fn create_app(&mut self, owner: &str, manifest: &Manifest) -> String {
        let id = self.apps.iter().map(|app| app.id).max().unwrap_or(123_455) + 1;
        let key = PrivateKey::fresh(2048);
        let slug: String = manifest
            .name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        self.apps.push(App {
            id,
            client_id: format!("Iv23li{}", alphanumeric(14)),
            slug,
            owner: owner.to_owned(),
            permissions: manifest.default_permissions.clone(),
            keys: vec![key.public()],
        });
        let code = hex::encode(alphanumeric(20));
        self.pending_apps.push(PendingApp {
            code: code.clone(),
            app_id: id,
            key,
            expires_at: self.now() + CODE_LIFETIME,
        });
        code
    }

    /// Installs an App on repositories of its owner, with all permissions that it requests. Returns the installation ID.
    fn install(&mut self, slug: &str, chosen: &[String]) -> Option<u64> {
        let app = self.apps.iter().find(|app| app.slug == slug)?.clone();
        let repositories = self.repositories.iter();
        let ids: Vec<_> = repositories
            .filter(|repository| repository.owner == app.owner)
            .filter(|repository| chosen.iter().any(|name| repository.is_named(name)))
            .map(|repository| repository.id)
            .collect();
        if ids.is_empty() {
            return None;
        }
        let highest = self.installations.iter().map(|found| found.id).max();
        let id = highest.unwrap_or(12_345_677) + 1;
        let mut permissions = app.permissions;
        permissions.insert("metadata".to_owned(), "read".to_owned());
        self.installations.push(Installation {
            id,
            app_id: app.id,
            account: app.owner,
            repository_ids: Some(ids),
            permissions,
            suspended: false,
            ip_allow_list: false,
        });
        Some(id)
    }
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn page(content: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html><title>GitHub of the sandbox</title>{content}"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
