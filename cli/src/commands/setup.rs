//! `setup`: from nothing to a GitHub App whose private key only KMS or SSM has.
//!
//! Output: the Terraform configuration on stdout; every step on stderr. If a step fails: what exists, and how to remove it.

mod store;
mod terraform;

use std::{
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use broker::app::ClientId;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{failed, print_outcome};
use crate::{
    arguments::{LONGEST_APP_NAME, Setup},
    aws::{self, AwsError, operator::CallError, session::Session},
    check::app::{self, InstallationError, Signer, SigningError},
    error::Error,
    git::repository::Repository,
    interrupt::Interrupt,
    key::AppKey,
    manifest::{self, ManifestError, NewApp, Page, Registration},
    output::print_diagnostic,
    settings::Settings,
};
use store::Store;

/// How often the client asks GitHub whether the App is installed.
const POLL: Duration = Duration::from_secs(3);

/// What `setup` made.
struct Made {
    app: NewApp,
    store: Store,
    installation_id: u64,
    fingerprint: String,
    region: String,
}

/// A failure, and what it leaves behind.
struct Unfinished {
    error: Box<Error>,
    remains: Vec<String>,
    next: Option<String>,
}

impl Unfinished {
    /// Without an App, nothing is worth continuing.
    fn new(error: Error, remains: Vec<String>) -> Self {
        let next = matches!(error, Error::Interrupted)
            .then(|| "To start again, run the same command.".to_owned());
        Self {
            error: Box::new(error),
            remains,
            next,
        }
    }
}

impl<E: Into<Error>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::new(error.into(), Vec::new())
    }
}

pub(super) fn run(settings: &Settings, arguments: &Setup) -> ExitCode {
    let Some(repository) = Repository::parse(&arguments.repository) else {
        return failed(&Error::Usage(format!(
            "{} is not of the form OWNER/REPO",
            crate::output::escape(&arguments.repository)
        )));
    };
    let outcome = aws::block_on(async {
        let session = Session::open(settings).await?;
        let setup = Run {
            settings,
            arguments,
            repository: &repository,
            session,
        };
        setup.to_the_end().await
    });
    match outcome
        .map_err(Unfinished::from)
        .and_then(|outcome| outcome)
    {
        Ok(made) => report(&made, settings, arguments, &repository),
        Err(unfinished) => {
            let code = failed(&unfinished.error);
            for line in &unfinished.remains {
                print_diagnostic(&format!("- {line}"));
            }
            if let Some(next) = &unfinished.next {
                print_diagnostic(next);
            }
            code
        }
    }
}

fn report(
    made: &Made,
    settings: &Settings,
    arguments: &Setup,
    repository: &Repository,
) -> ExitCode {
    let text = if settings.json {
        let mut result = json!({
            "app": made.app.slug,
            "client_id": made.app.client_id,
            "installation_id": made.installation_id,
            "fingerprint": made.fingerprint,
            "repository": repository.full_name(),
        });
        made.store.describe(&mut result);
        format!("{result}\n")
    } else {
        terraform::configuration(made, settings, arguments, repository)
    };
    match print_outcome(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// A setup under way.
struct Run<'a> {
    settings: &'a Settings,
    arguments: &'a Setup,
    repository: &'a Repository,
    session: Session,
}

impl Run<'_> {
    async fn to_the_end(&self) -> Result<Made, Unfinished> {
        let (settings, repository) = (self.settings, self.repository.full_name());
        let name = self.app_name();
        let page = Page::open(&Registration {
            host: &settings.host,
            organization: self.organization(),
            name: &name,
            repository,
            permissions: &self.arguments.permissions,
        })
        .await?;
        // From here on, no signal ends the process: it would leave things behind unreported.
        let mut interrupt = Interrupt::listen()?;
        // GitHub shows the private key once: everything that it needs exists before.
        let mut store = Store::prepare(&self.session, self.arguments, &mut interrupt).await?;
        self.show(&page);
        let created = match interrupt.or(page.created(self.arguments.patience)).await {
            Ok(created) => created,
            Err(error) => {
                let app = format!("If you created the GitHub App {name}, it exists");
                return Err(self.without_app(store, error, &app).await);
            }
        };
        let converted = interrupt.or(manifest::convert(&settings.host, &created.code));
        let app = match converted.await {
            Ok(app) => app,
            Err(error) => {
                created.show_failure().await;
                let app = format!("The GitHub App {name} probably exists");
                return Err(self.without_app(store, error, &app).await);
            }
        };
        let (client_id, signer, fingerprint) = match self.store(&mut store, &app).await {
            Ok(stored) => stored,
            Err(error) => {
                created.show_failure().await;
                return Err(self.without_key(store, &app, error).await);
            }
        };
        print_diagnostic(&format!(
            "The App {} exists, and {} ({fingerprint}).",
            app.slug,
            store.state()
        ));
        let install = self.installation_page(&app);
        print_diagnostic(&format!("Install it on {repository} only: {install}"));
        created
            .show_installation(&app.slug, repository, &install)
            .await;
        let installed = interrupt.or(self.installed(&client_id, &signer)).await;
        let finished = match installed {
            Ok(id) => store
                .finish(&self.session, &app, id)
                .await
                .map(|()| id)
                .map_err(|error| (error, format!("its installation ID is {id}"))),
            Err(error) => Err((error, format!("install it: {install}"))),
        };
        match finished {
            Ok(installation_id) => {
                print_diagnostic(
                    "The App is installed. Apply the Terraform configuration, then run `github-token-broker check`.",
                );
                Ok(Made {
                    app,
                    store,
                    installation_id,
                    fingerprint,
                    region: self.session.region.clone(),
                })
            }
            Err((error, _)) if !store.has_key() => Err(self.without_key(store, &app, error).await),
            Err((error, missing)) => Err(Unfinished {
                error: Box::new(error),
                remains: [vec![self.existing_app(&app)], store.remains()].concat(),
                next: Some(format!(
                    "To continue by hand, {missing}. Then configure Terraform with the client ID {} and {}.",
                    app.client_id,
                    store.terraform_inputs()
                )),
            }),
        }
    }

    /// At most as long as GitHub allows. A shortened name can be changed on GitHub's page.
    fn app_name(&self) -> String {
        self.arguments.name.clone().unwrap_or_else(|| {
            let whole = format!("{}-broker", self.repository.full_name().replace('/', "-"));
            let short: String = whole.chars().take(LONGEST_APP_NAME).collect();
            short.trim_end_matches(['-', '.', '_']).to_owned()
        })
    }

    fn organization(&self) -> Option<&str> {
        let (owner, _) = self.repository.full_name().split_once('/')?;
        (!self.arguments.user).then_some(owner)
    }

    /// Asks the user to create the App.
    fn show(&self, page: &Page) {
        print_diagnostic(&format!("Create the App: {}", page.url()));
        if self.arguments.no_browser {
            print_diagnostic(&format!(
                "If the browser is on a different machine, forward the port first: ssh -L {port}:127.0.0.1:{port} HOST",
                port = page.port()
            ));
        } else {
            open_browser(&page.url());
        }
    }

    async fn store(
        &self,
        store: &mut Store,
        app: &NewApp,
    ) -> Result<(ClientId, Signer, String), Error> {
        let client_id = ClientId::parse(&app.client_id).ok_or(ManifestError::Malformed)?;
        let key = AppKey::parse(&app.pem)?;
        let signer = store.import(&self.session, app, &key).await?;
        Ok((client_id, signer, key.fingerprint()))
    }

    /// Waits until the App is installed on the repository.
    async fn installed(&self, client_id: &ClientId, signer: &Signer) -> Result<u64, Error> {
        let (repository, patience) = (self.repository.full_name(), self.arguments.patience);
        // Without an end if it is too far away for the clock.
        let end = Instant::now().checked_add(patience);
        loop {
            let api = self.settings.host.api();
            let found =
                app::find_installation(&api, client_id, signer, repository, self.settings).await;
            let why = match found {
                Ok(Some(id)) => return Ok(id),
                Ok(None) => None,
                Err(InstallationError::Signing(SigningError::Kms(error))) if is_lasting(&error) => {
                    return Err(error.into());
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = &why {
                self.settings.diagnostics.detail(why);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                let repository = repository.to_owned();
                return Err(match why {
                    None => ManifestError::NotInstalled {
                        repository,
                        patience,
                    },
                    Some(why) => ManifestError::Unconfirmed {
                        repository,
                        patience,
                        why,
                    },
                }
                .into());
            }
            sleep(POLL.min(patience)).await;
        }
    }

    /// `app` says that there might be one, whose name the user can have changed.
    async fn without_app(&self, store: Store, error: Error, app: &str) -> Unfinished {
        let page = self
            .settings
            .host
            .repository_url(&self.owner_path("settings/apps"));
        let app = format!("{app}. To remove it: {page} > the App > Advanced > Delete GitHub App");
        let mut remains = vec![app];
        remains.extend(store.discard(&self.session).await);
        Unfinished::new(error, remains)
    }

    async fn without_key(&self, store: Store, app: &NewApp, error: Error) -> Unfinished {
        let next = format!(
            "To continue by hand, create a private key on the App's page, and pass it to `github-token-broker key import{}`. \
             The client ID is {}.",
            store.import_options(),
            app.client_id
        );
        let mut remains = vec![self.existing_app(app)];
        remains.extend(store.discard(&self.session).await);
        Unfinished {
            error: Box::new(error),
            remains,
            next: Some(next),
        }
    }

    fn existing_app(&self, app: &NewApp) -> String {
        let path = self.owner_path(&format!("settings/apps/{}/advanced", app.slug));
        format!(
            "The GitHub App {} exists. To remove it: {} > Delete GitHub App",
            app.slug,
            self.settings.host.repository_url(&path)
        )
    }

    /// A path of the App's owner.
    fn owner_path(&self, path: &str) -> String {
        self.organization().map_or_else(
            || path.to_owned(),
            |organization| format!("organizations/{organization}/{path}"),
        )
    }

    fn installation_page(&self, app: &NewApp) -> String {
        self.settings
            .host
            .repository_url(&format!("apps/{}/installations/new", app.slug))
    }
}

/// Whether waiting is pointless: the identity is not allowed to sign, or AWS does not accept its credentials. A new key can be
/// unusable for a moment.
fn is_lasting(error: &CallError) -> bool {
    match error {
        CallError::Aws(AwsError::Http(_)) | CallError::Malformed { .. } => false,
        CallError::Aws(_) => true,
        CallError::Refused { .. } => error.is_denied(),
    }
}

/// If there is no browser, the URL on the terminal is enough.
fn open_browser(url: &str) {
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
