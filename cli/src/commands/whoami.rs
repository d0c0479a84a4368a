//! `whoami`: what the token is good for, and its hash. Never the token.

use serde_json::json;

use super::print;
use crate::{
    aws,
    error::Error,
    github::client::{GitHub, token_hash},
    settings::Settings,
    tokens,
};

pub(super) fn run(settings: &Settings) -> Result<(), Error> {
    let grant = tokens::obtain(settings)?;
    let github = GitHub::new(&settings.host, &grant.token, settings.diagnostics);
    let login = aws::block_on(github.login())??;
    let (repository, hash) = (grant.repository.full_name(), token_hash(&grant.token));
    if settings.json {
        let whoami = json!({
            "login": login,
            "repository": repository,
            "permissions": grant.permissions,
            "expires_at": grant.expires_at,
            "token_hash": hash,
            "host": settings.host.name(),
        });
        return print(&format!("{whoami}\n"));
    }
    let permissions: Vec<_> = grant
        .permissions
        .iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    let left = grant
        .expiry()
        .map(|expiry| expiry.saturating_sub(tokens::now()).max(0) / 60);
    let left = left
        .map(|minutes| format!(" (in {minutes} min)"))
        .unwrap_or_default();
    print(&format!(
        "login:       {login}\nrepository:  {repository}\npermissions: {}\nexpires:     {}{left}\ntoken hash:  {hash}\n",
        permissions.join(", "),
        grant.expires_at,
    ))
}
