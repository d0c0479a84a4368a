//! `setup`: from nothing to a GitHub App whose private key only KMS has.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use broker::app::ClientId;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{key::import, print};
use crate::{
    arguments::Setup,
    aws::{self, session::Session},
    check::app::{self, Signer},
    error::Error,
    git::repository::Repository,
    github::host::Host,
    key::{AppKey, KeyError},
    manifest::{self, ManifestError, NewApp, Page},
    settings::Settings,
};

/// GitHub creates keys of this kind for Apps.
const SPEC: &str = "RSA_2048";

/// How often GitHub is asked whether the App is installed.
const POLL: Duration = Duration::from_secs(3);

/// What `setup` made.
struct Made {
    app: NewApp,
    arn: String,
    installation_id: u64,
    fingerprint: String,
}

pub(super) fn run(settings: &Settings, arguments: &Setup) -> Result<(), Error> {
    let repository = Repository::parse(&arguments.repository).ok_or_else(|| {
        Error::Usage(format!(
            "{} is not of the form OWNER/REPO",
            crate::output::escape(&arguments.repository)
        ))
    })?;
    let made = aws::block_on(set_up(settings, arguments, &repository))??;
    if settings.json {
        return print(&format!(
            "{}\n",
            json!({
                "app": made.app.slug, "client_id": made.app.client_id, "installation_id": made.installation_id,
                "key_arn": made.arn, "fingerprint": made.fingerprint, "repository": repository.full_name(),
            })
        ));
    }
    print(&terraform(&made, &repository, arguments, &settings.host))
}

async fn set_up(
    settings: &Settings,
    arguments: &Setup,
    repository: &Repository,
) -> Result<Made, Error> {
    let session = Session::open(settings).await?;
    let (owner, name) = repository.full_name().split_once('/').unwrap_or_default();
    let app_name = arguments
        .name
        .clone()
        .unwrap_or_else(|| format!("{owner}-{name}-broker"));
    let organization = (!arguments.user).then_some(owner);
    let homepage = settings.host.repository_url(repository.full_name());
    let page = Page::open(
        &settings.host,
        organization,
        &app_name,
        &homepage,
        &arguments.permissions,
    )
    .await?;
    // GitHub shows the private key once: everything that it needs exists before.
    let arn = import::create_key(&session, SPEC).await?;
    let parameters = match import::import_parameters(&session, &arn).await {
        Ok(parameters) => parameters,
        Err(error) => return Err(import::clean_up(&session, &arn, true, error).await),
    };
    let patience = arguments.patience;
    let created = until_interrupted(create(settings, arguments, &page, patience)).await;
    let app = match created {
        Ok(app) => app,
        Err(error) => return Err(import::clean_up(&session, &arn, true, error).await),
    };
    let exists = |error: Error| {
        let settings_page = app_settings(&settings.host, organization, &app.slug);
        let left = format!(
            "The App exists: delete it on {settings_page} (Advanced), or continue by hand with the KMS key {arn}"
        );
        Error::from(KeyError::Unfinished {
            source: Box::new(error),
            left,
        })
    };
    let key = AppKey::parse(&app.pem).map_err(|error| exists(error.into()))?;
    import::import_material(&session, &arn, &parameters, &key)
        .await
        .map_err(exists)?;
    say(
        settings,
        &format!(
            "The App {} exists, and its private key is in KMS.",
            app.slug
        ),
    )?;
    let install = settings
        .host
        .repository_url(&format!("apps/{}/installations/new", app.slug));
    say(
        settings,
        &format!("Install it on {} only: {install}", repository.full_name()),
    )?;
    open_browser(&install, arguments);
    let client_id =
        ClientId::parse(&app.client_id).ok_or_else(|| exists(ManifestError::Malformed.into()))?;
    let signer = Signer::Kms {
        session: Box::new(session.clone()),
        id: arn.clone(),
    };
    let installed =
        until_interrupted(wait(settings, &client_id, &signer, repository, patience)).await;
    let installation_id = installed.map_err(exists)?;
    Ok(Made {
        app,
        arn,
        installation_id,
        fingerprint: key.fingerprint(),
    })
}

async fn create(
    settings: &Settings,
    arguments: &Setup,
    page: &Page,
    patience: Duration,
) -> Result<NewApp, Error> {
    say(settings, &format!("Create the App: {}", page.url()))?;
    open_browser(&page.url(), arguments);
    let code = page.code(patience).await?;
    Ok(manifest::convert(&settings.host, &code).await?)
}

async fn wait(
    settings: &Settings,
    client_id: &ClientId,
    signer: &Signer,
    repository: &Repository,
    patience: Duration,
) -> Result<u64, Error> {
    let end = Instant::now() + patience;
    loop {
        let found = app::find_installation(
            &settings.host.api(),
            client_id,
            signer,
            repository.full_name(),
            settings,
        )
        .await;
        match found {
            Ok(Some(id)) => return Ok(id),
            Ok(None) => {}
            Err(finding) => settings
                .diagnostics
                .detail(format!("{}: {}", finding.id, finding.detail)),
        }
        if Instant::now() >= end {
            return Err(ManifestError::TooLate(patience).into());
        }
        sleep(POLL).await;
    }
}

/// Ctrl-C ends the waiting, and not the report of what exists.
async fn until_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Err(ManifestError::Interrupted.into()),
    }
}

fn say(settings: &Settings, text: &str) -> Result<(), Error> {
    // With --json, standard output is for the result.
    if settings.json {
        crate::output::print_diagnostic(text);
        return Ok(());
    }
    print(&format!(
        "{text}
"
    ))
}

fn app_settings(host: &Host, organization: Option<&str>, slug: &str) -> String {
    let owner = organization
        .map(|organization| format!("organizations/{organization}/"))
        .unwrap_or_default();
    host.repository_url(&format!("{owner}settings/apps/{slug}"))
}

/// Tries to. The URL is on the terminal as well.
fn open_browser(url: &str, arguments: &Setup) {
    if arguments.no_browser {
        return;
    }
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let _ = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

fn terraform(made: &Made, repository: &Repository, arguments: &Setup, host: &Host) -> String {
    let (owner, name) = repository.full_name().split_once('/').unwrap_or_default();
    let permissions: Vec<_> = arguments
        .permissions
        .iter()
        .map(|(name, level)| format!("{name} = \"{level}\""))
        .collect();
    let source = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://");
    let version = env!("CARGO_PKG_VERSION");
    let api = if host.is_default() {
        String::new()
    } else {
        format!("  github_api_base_url = \"{}\"\n", host.api())
    };
    format!(
        "\nThe App is installed. Its fingerprint is {}.\n\nmodule \"broker\" {{\n  source = \"{source}//terraform?ref=v{version}\"\n\n  \
         function_name    = \"github-token-broker\"\n  repository_owner = \"{owner}\"\n  repository_name  = \"{name}\"\n  permissions      = {{ {} }}\n{api}  \
         client_id        = \"{}\"\n  installation_id  = \"{}\"\n  signing_key_arns = [\"{}\"]\n\n  \
         lambda_artifact = {{ release_version = \"v{version}\" }}\n}}\n\n\
         After `terraform apply`, run `github-token-broker check`.\n",
        made.fingerprint,
        permissions.join(", "),
        made.app.client_id,
        made.installation_id,
        made.arn,
    )
}
