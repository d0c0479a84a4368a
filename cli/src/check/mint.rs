//! `--mint`: one real token. What came back is compared with the configuration, and the token is revoked.

use std::collections::BTreeMap;

use broker::config::Config;

use super::report::{Finding, Report};
use crate::{
    aws::{AwsError, lambda::Outcome, session::Session},
    github::client::{GitHub, token_hash},
    response::Grant,
    settings::Settings,
    tokens,
};

/// GitHub's tokens live for an hour. The function rejects other lifetimes; this allows for the time in between.
const LIFETIME: std::ops::RangeInclusive<i64> = 50 * 60..=65 * 60;

/// Mints, compares and revokes.
pub async fn check(session: &Session, config: &Config, settings: &Settings, report: &mut Report) {
    let grant = match session.invoke(&settings.function).await {
        Ok(Outcome::Response(body)) => match Grant::parse(&body) {
            Ok(grant) => grant,
            Err(error) => {
                report.add(Finding::fail(
                    "mint.token",
                    error.to_string(),
                    "Deploy a release of github-token-broker",
                ));
                return;
            }
        },
        Ok(Outcome::FunctionError(line)) => {
            report.add(Finding::fail(
                "mint.token",
                line,
                "Follow the message above",
            ));
            return;
        }
        Err(error) => {
            report.add(Finding::fail(
                "mint.token",
                error.to_string(),
                remedy(&error),
            ));
            return;
        }
    };
    report.add(compare(&grant, config));
    let github = GitHub::at(
        &config.api_base.to_string(),
        &settings.host,
        &grant.token,
        settings.diagnostics,
    );
    report.add(match github.revoke().await {
        Ok(()) => Finding::pass("mint.revocation", "the token is revoked"),
        Err(error) => Finding::fail(
            "mint.revocation",
            format!(
                "the token {} was not revoked: {error}",
                token_hash(&grant.token)
            ),
            format!(
                "It expires at {}. Check the way to GitHub",
                grant.expires_at
            ),
        ),
    });
}

fn remedy(error: &AwsError) -> &'static str {
    match error {
        AwsError::InvokeDenied { .. } => "Allow lambda:InvokeFunction to this identity",
        _ => "Follow the message above",
    }
}

fn compare(grant: &Grant, config: &Config) -> Finding {
    let remedy =
        "Treat this as a security event: the function does not do what its configuration says";
    let repository = grant.repository.full_name();
    if !config.scope.repository.matches(repository) {
        return Finding::fail(
            "mint.token",
            format!(
                "the token is for {repository}, not for {}",
                config.scope.repository
            ),
            remedy,
        );
    }
    let wanted: BTreeMap<_, _> = config
        .scope
        .permissions
        .iter()
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .collect();
    if grant.permissions != wanted {
        return Finding::fail(
            "mint.token",
            format!(
                "the token has the permissions {:?}",
                names(&grant.permissions)
            ),
            remedy,
        );
    }
    match grant.expiry().map(|expiry| expiry - tokens::now()) {
        Some(left) if LIFETIME.contains(&left) => Finding::pass(
            "mint.token",
            format!(
                "a token for {repository} with {}, for {} min",
                names(&wanted),
                left / 60
            ),
        ),
        _ => Finding::fail(
            "mint.token",
            format!(
                "the token expires at {}, which is not in an hour",
                crate::output::escape(&grant.expires_at)
            ),
            "Check this machine's clock",
        ),
    }
}

fn names(permissions: &BTreeMap<String, String>) -> String {
    let texts: Vec<_> = permissions
        .iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::function::{self, Function};

    #[test]
    fn only_a_denied_invocation_lacks_a_permission() {
        let denied = AwsError::InvokeDenied {
            function: Function::parse(function::DEFAULT).unwrap(),
            region: "eu-west-1".to_owned(),
        };
        let late = AwsError::InvokeTimedOut {
            host: "lambda.eu-west-1.amazonaws.com".to_owned(),
            after: Duration::from_mins(1),
        };
        assert!(remedy(&denied).starts_with("Allow lambda:InvokeFunction"));
        assert!(!remedy(&late).contains("Allow"));
    }
}
