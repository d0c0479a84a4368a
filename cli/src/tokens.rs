//! A token: from the cache if a fresh one is there, otherwise from one invocation of the function.
//!
//! Input: the settings. Output: a [`Grant`]. With a fresh token in the cache, this loads no AWS configuration and starts no
//! asynchronous runtime.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    aws::{self, AwsError, lambda::Outcome, session::Session},
    cache::Entry,
    error::Error,
    output::Progress,
    response::Grant,
    settings::Settings,
};

/// A token from the cache, or a new one, which then is in the cache.
///
/// # Errors
/// The cache is not safe, or no token can be minted.
pub fn obtain(settings: &Settings) -> Result<Grant, Error> {
    let Some(entry) = Entry::open(settings)? else {
        return mint(settings);
    };
    if let Some(grant) = fresh(settings, &entry)? {
        return Ok(grant);
    }
    let waiting = Progress::start(
        "Waiting for another github-token-broker process that mints the same token",
    );
    let lock = entry.lock(settings.timeout)?;
    drop(waiting);
    // Another process might have minted one while this one waited.
    if let Some(grant) = fresh(settings, &entry)? {
        return Ok(grant);
    }
    let grant = mint(settings)?;
    if grant.expiry().is_none() {
        settings
            .diagnostics
            .detail("the token's expiry cannot be read: it is not cached");
    } else {
        match entry.write(&grant) {
            Err(error) if error.is_lack_of_space() => settings.diagnostics.detail(error),
            Err(error) => settings.diagnostics.warn(error),
            Ok(()) => {}
        }
    }
    drop(lock);
    Ok(grant)
}

/// A new token, which is not in the cache.
///
/// # Errors
/// No token can be minted.
pub fn mint(settings: &Settings) -> Result<Grant, Error> {
    let progress = Progress::start(format!("Invoking {}", settings.function));
    let outcome = aws::block_on(async {
        let session = Session::open(settings).await?;
        session.invoke(&settings.function).await
    });
    drop(progress);
    match outcome.and_then(|outcome: Result<Outcome, AwsError>| outcome)? {
        Outcome::Response(body) => Ok(Grant::parse(&body)?),
        Outcome::FunctionError(line) => Err(Error::Function(line)),
    }
}

/// The time in epoch seconds.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn fresh(settings: &Settings, entry: &Entry) -> Result<Option<Grant>, Error> {
    let Some(grant) = entry.read()? else {
        return Ok(None);
    };
    let Some(expiry) = grant.expiry() else {
        return Ok(None);
    };
    let left = expiry.saturating_sub(now());
    let wanted = i64::try_from(settings.min_ttl.as_secs()).unwrap_or(i64::MAX);
    let is_fresh = left > 0 && left >= wanted;
    let decision = if is_fresh { "is used" } else { "is replaced" };
    settings
        .diagnostics
        .detail(format!("the cached token has {left} s left and {decision}"));
    Ok(is_fresh.then_some(grant))
}
