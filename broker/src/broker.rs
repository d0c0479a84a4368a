//! The story of an invocation, top to bottom: load, sign, confirm, mint, prove.
//!
//! In: the time there is. Out: a [`ProvenToken`] or the one [`Failure`] that says why not. Nothing is remembered from
//! one invocation to the next but open connections: a rotated key is used on the very next one.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::{
    app::credentials::{self, AppCredentials},
    app::jwt::AppJwt,
    aws::ssm::Ssm,
    config::Config,
    failure::{Failure, Result, Step},
    github::client::{ConfirmedInstallation, GitHub, GrantedToken, InstallationToken},
    github::error::Refusal,
    http::client::Upstream,
    http::tls::tls,
    proof::{Examination, ProvenToken},
    retry::{correctable_drift, revoke_margin},
    telemetry::log,
    telemetry::record::Trace,
};

/// How long init waits for connections at most: a VPC without a route must not eat Lambda's ten seconds of init.
const OPENING_LIMIT: Duration = Duration::from_secs(1);

/// What is left for saying why a token was refused, when its revocation takes all the time there is.
const SAY_WHY: Duration = Duration::from_millis(50);

/// Everything that an invocation needs and that start-up can prepare.
pub struct Broker {
    config: Config,
    ssm: Ssm,
    github_upstream: Arc<Upstream>,
}

impl Broker {
    /// Prepares the clients. Nothing is sent yet.
    pub fn new(config: Config) -> Self {
        let tls = tls(&config.network);
        let ssm_upstream = Upstream::new(&config.aws.endpoint, &config.network, tls.clone());
        let github_upstream = Upstream::new(&config.api_base, &config.network, tls);
        let ssm = Ssm::new(&config.aws, ssm_upstream);
        Self {
            config,
            ssm,
            github_upstream,
        }
    }

    /// What the deployer decided.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Opens both connections, so that the first invocation finds them open, and waits for SSM's; for GitHub's only if no
    /// invocation is waiting for this to end: else its handshake and the call to SSM, which comes first, overlap. A
    /// failure is no more than a debug line: the invocation will try again, and can tell its caller. So it does when a
    /// freeze comes in the middle of a handshake.
    pub async fn open_connections(&self, invocation_waits: bool) {
        let until = Instant::now() + OPENING_LIMIT;
        let open = |name, upstream: &Arc<Upstream>| {
            let upstream = upstream.clone();
            tokio::spawn(async move {
                // Bounded: the invocation waits for it, and has its own time to connect.
                if !matches!(timeout_at(until, upstream.open()).await, Ok(Ok(()))) {
                    log::connection_not_opened(name);
                }
            })
        };
        let github = open("github", &self.github_upstream);
        let ssm = open("ssm", self.ssm.upstream());
        // Both hosts are called first, and answer while this works.
        yield_now().await;
        self.ssm.rehearse();
        drop(ssm.await);
        if !invocation_waits {
            drop(github.await);
        }
    }

    /// Mints a token and proves it, or says why not before the time is over: each wait within is bounded by it.
    pub async fn token(&self, time_for_work: Duration, trace: &mut Trace) -> Result<ProvenToken> {
        let outcome = self.mint_and_prove(time_for_work, trace).await;
        trace.end();
        outcome
    }

    async fn mint_and_prove(
        &self,
        time_for_work: Duration,
        trace: &mut Trace,
    ) -> Result<ProvenToken> {
        let until = Instant::now() + time_for_work;
        // A token that comes too late to be revoked must not come at all.
        let in_time_to_revoke = until
            .checked_sub(revoke_margin(time_for_work))
            .unwrap_or(until);
        let github = GitHub::new(&self.config, &self.github_upstream, in_time_to_revoke);
        let granted = timeout_at(
            in_time_to_revoke,
            self.mint(&github, in_time_to_revoke, trace),
        )
        .await;
        let granted = granted.unwrap_or_else(|_| Err(Failure::DeadlineNear(trace.step())));
        if let Err(Failure::DeadlineNear(Step::Mint)) = granted {
            trace.unseen_token();
        }
        let granted = granted?;
        trace.granted(&granted);

        trace.enter(Step::Prove);
        let examination = Examination::begin(granted, &self.config, SystemTime::now());
        let (examination, unanswered) = self
            .examine(examination, &github, in_time_to_revoke, trace)
            .await;
        match examination.conclude(&self.config) {
            Ok(proven) => {
                trace.proven(&proven);
                Ok(proven)
            }
            Err((token, differences)) => {
                self.revoke(&token, until, trace).await;
                Err(unanswered.unwrap_or(Failure::TokenNotProven(differences)))
            }
        }
    }

    /// Load, sign, confirm, mint.
    async fn mint(
        &self,
        github: &GitHub<'_>,
        until: Instant,
        trace: &mut Trace,
    ) -> Result<GrantedToken> {
        let credentials = credentials::load(&self.ssm, &self.config.parameters, until).await?;
        trace.installation(credentials.installation_id);

        trace.enter(Step::Sign);
        let mut app = App::new(credentials)?;

        trace.enter(Step::Confirm);
        let installation = app.confirm(github, trace).await?;

        trace.enter(Step::Mint);
        app.mint(github, &installation, trace).await
    }

    /// Asks GitHub what its answer to the mint left out. Beside the examination comes why GitHub could not be asked.
    async fn examine(
        &self,
        examination: Examination,
        github: &GitHub<'_>,
        until: Instant,
        trace: &mut Trace,
    ) -> (Examination, Option<Failure>) {
        if !examination.needs_reach() {
            return (examination, None);
        }
        let reach = timeout_at(until, github.reach(examination.token(), trace)).await;
        match reach.unwrap_or(Err(Failure::DeadlineNear(Step::Prove))) {
            Ok(reach) => (examination.with_reach(&reach, &self.config), None),
            // GitHub answered, and did not say what the token is for: the proof fails.
            Err(
                Failure::UnexpectedAnswer(..)
                | Failure::GitHubRefused(_, _, Refusal::TokenNotYetKnown),
            ) => (examination, None),
            // No answer proves nothing against the token, but nothing for it either.
            Err(failure) => (examination, Some(failure)),
        }
    }

    async fn revoke(&self, token: &InstallationToken, until: Instant, trace: &mut Trace) {
        // Bounded apart, so that a revocation that hangs does not hide why it was asked for.
        let until = until.checked_sub(SAY_WHY).unwrap_or(until);
        let github = GitHub::new(&self.config, &self.github_upstream, until);
        let revoked = timeout_at(until, github.revoke(token, trace)).await;
        trace.revoked(matches!(revoked, Ok(Ok(()))));
    }
}

/// The App, able to sign for itself.
struct App {
    credentials: AppCredentials,
    jwt: AppJwt,
    clock_corrected: bool,
}

impl App {
    fn new(credentials: AppCredentials) -> Result<Self> {
        let jwt = sign(&credentials, SystemTime::now())?;
        Ok(Self {
            credentials,
            jwt,
            clock_corrected: false,
        })
    }

    async fn confirm(
        &mut self,
        github: &GitHub<'_>,
        trace: &mut Trace,
    ) -> Result<ConfirmedInstallation> {
        let configured = self.credentials.installation_id;
        match github.confirm(&self.jwt, configured, trace).await {
            Err(failure) if self.corrects_clock(&failure)? => {
                github.confirm(&self.jwt, configured, trace).await
            }
            outcome => outcome,
        }
    }

    async fn mint(
        &mut self,
        github: &GitHub<'_>,
        installation: &ConfirmedInstallation,
        trace: &mut Trace,
    ) -> Result<GrantedToken> {
        match github.mint(&self.jwt, installation, trace).await {
            Err(failure) if self.corrects_clock(&failure)? => {
                github.mint(&self.jwt, installation, trace).await
            }
            outcome => outcome,
        }
    }

    /// Signs anew with GitHub's time, once, where GitHub refused the JWT for ours.
    fn corrects_clock(&mut self, failure: &Failure) -> Result<bool> {
        let Failure::GitHubRefused(
            _,
            _,
            Refusal::ClockSkew {
                github_time: Some(time),
            },
        ) = failure
        else {
            return Ok(false);
        };
        let now = SystemTime::now();
        if self.clock_corrected || !correctable_drift(now, *time) {
            return Ok(false);
        }
        log::clock_corrected(*time, now);
        self.jwt = sign(&self.credentials, *time)?;
        self.clock_corrected = true;
        Ok(true)
    }
}

fn sign(credentials: &AppCredentials, now: SystemTime) -> Result<AppJwt> {
    AppJwt::sign(&credentials.client_id, now, &credentials.private_key).ok_or(Failure::Internal)
}
