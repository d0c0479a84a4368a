//! The story of an invocation, from top to bottom: load, sign, confirm, mint, prove. Or revoke.
//!
//! Input: Lambda's deadline. Output: a [`ProvenToken`], or the one [`Failure`] that says why there is none.
//! Invariant: it remembers nothing from one invocation to the next except open connections, so a rotated key is used by the
//! very next invocation.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use http::Uri;
use tokio::{
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::{
    app::{
        clock::Clock,
        credentials::{AppCredentials, CredentialLoader, CredentialsError},
        jwt::AppJwt,
        signer::SignError,
    },
    aws::{AwsError, client::AwsClient},
    config::Config,
    failure::{AwsLocation, Failure, Result, Step},
    github::{
        Call,
        client::GitHub,
        error::{GitHubError, Rejection},
        token::{ConfirmedInstallation, GrantedToken, InstallationToken},
    },
    http::{
        client::{HostClient, RESPONSE_LIMIT},
        tls::client_config,
    },
    proof::{ProvenToken, ScopeCheck},
    retry::{RESPONSE_MARGIN, TimeWindow, revocation_reserve, time_for_work},
    scope::TokenScope,
    telemetry::{
        log,
        record::{CallRecord, InvocationRecord, Server},
    },
};

/// How long init waits for connections: a VPC without a route must not use up Lambda's ten seconds for init.
const OPENING_LIMIT: Duration = Duration::from_secs(1);

/// Time reserved for reporting why a token was rejected, even if revoking it uses up the rest.
const REPORT_MARGIN: Duration = Duration::from_millis(50);

/// Everything that an invocation needs and that start-up can prepare.
pub struct Broker {
    scope: TokenScope,
    signer: &'static str,
    credentials: CredentialLoader,
    api_base: Uri,
    github: Arc<HostClient>,
    #[cfg(test)]
    panics_in: Option<Step>,
}

impl Broker {
    /// Prepares the clients. Nothing is sent yet.
    pub fn new(config: &Config) -> Self {
        let tls = client_config(&config.network);
        let host = |url: &Uri| HostClient::new(url, &config.network, tls.clone(), RESPONSE_LIMIT);
        Self {
            scope: config.scope.clone(),
            signer: config.app.signer(),
            credentials: CredentialLoader::new(&config.app, &config.ssm, |endpoint| {
                AwsClient::new(
                    endpoint.clone(),
                    host(&endpoint.url),
                    config.aws_credentials.clone(),
                )
            }),
            api_base: config.api_base.clone(),
            github: host(&config.api_base),
            #[cfg(test)]
            panics_in: None,
        }
    }

    /// The record of an invocation that begins now.
    pub fn new_record(&self, request_id: &str, trace_id: Option<&str>) -> InvocationRecord {
        InvocationRecord::new(&self.scope, self.signer, request_id, trace_id)
    }

    /// Opens the connections that an invocation needs ahead of the first one, and waits for those to AWS. Waits for GitHub's
    /// only under provisioned concurrency; on an on-demand start its handshake overlaps with the first AWS call. Failures are
    /// logged at debug level: the invocation reconnects and reports them. The same applies if a freeze interrupts a handshake.
    pub async fn open_connections(&self, is_on_demand_start: bool) {
        let until = Instant::now() + OPENING_LIMIT;
        let open = |name, host: &Arc<HostClient>| {
            let host = host.clone();
            tokio::spawn(async move {
                // Bounded, because the invocation waits for it and has its own time to connect.
                if !matches!(timeout_at(until, host.open()).await, Ok(Ok(()))) {
                    log::connection_not_opened(name);
                }
            })
        };
        let github = open("github", &self.github);
        let clients = self.credentials.clients();
        let aws: Vec<_> = clients
            .iter()
            .map(|(name, client)| open(name, client.host()))
            .collect();
        // Let the connections start first: the hosts answer while this one computes.
        yield_now().await;
        for (_, client) in clients {
            client.prewarm();
        }
        for opening in aws {
            drop(opening.await);
        }
        if !is_on_demand_start {
            drop(github.await);
        }
    }

    /// Mints a token and proves it, or says why not before the deadline: each wait within is bounded by it.
    ///
    /// `deadline_ms` is the `Lambda-Runtime-Deadline-Ms` header: milliseconds since 1970.
    pub async fn token(
        &self,
        deadline_ms: u64,
        now: SystemTime,
        record: &mut InvocationRecord,
    ) -> Result<ProvenToken> {
        let time = time_for_work(deadline_ms, now);
        let began = Instant::now();
        let until = began + time;
        // A token that arrives too late to be revoked must not be requested.
        let before_mint = until.checked_sub(revocation_reserve(time)).unwrap_or(until);
        let mut invocation = Invocation {
            broker: self,
            record,
            step: Step::Load,
            limit: time + RESPONSE_MARGIN,
            whole: TimeWindow { began, until },
            before_mint: TimeWindow {
                began,
                until: before_mint,
            },
            clock: Clock::Ours,
        };
        let granted = match catch_panic(invocation.mint_token()).await {
            Some(granted) => granted?,
            None => return Err(invocation.failure_of_a_panic()),
        };
        let token = granted.token().clone();
        let proven = catch_panic(invocation.prove(granted)).await;
        let proven = proven.unwrap_or(Err(Failure::Internal));
        if proven.is_err() {
            // Bounded on its own, so that a revocation that hangs does not hide why it was requested.
            let until = until.checked_sub(REPORT_MARGIN).unwrap_or(until);
            self.revoke_within(&token, TimeWindow { began, until }, record)
                .await;
        }
        proven
    }

    /// Revokes a token that nobody received.
    pub async fn revoke(
        &self,
        token: &InstallationToken,
        limit: Duration,
        record: &mut InvocationRecord,
    ) {
        let began = Instant::now();
        let until = began + limit;
        self.revoke_within(token, TimeWindow { began, until }, record)
            .await;
    }

    async fn revoke_within(
        &self,
        token: &InstallationToken,
        window: TimeWindow,
        record: &mut InvocationRecord,
    ) {
        let revoked = GitHub::new(&self.api_base, &self.github, window)
            .revoke(token)
            .await;
        let revoked = record.call(Server::GitHub, Call::Revoke.name(), revoked);
        record.token_revoked(revoked.is_ok());
    }
}

/// One invocation, while it runs.
struct Invocation<'a> {
    broker: &'a Broker,
    record: &'a mut InvocationRecord,
    step: Step,
    /// The time from the beginning to Lambda's deadline.
    limit: Duration,
    whole: TimeWindow,
    /// Ends when there is no longer enough time to revoke a token.
    before_mint: TimeWindow,
    clock: Clock,
}

impl<'a> Invocation<'a> {
    /// Load, sign, confirm, mint.
    async fn mint_token(&mut self) -> Result<GrantedToken> {
        let credentials = self.load().await?;
        let mut jwt = self.sign(&credentials).await?;

        let mut confirmed = self.confirm(&jwt, &credentials).await;
        if self.corrects_clock(&confirmed) {
            jwt = self.sign(&credentials).await?;
            confirmed = self.confirm(&jwt, &credentials).await;
        }
        let installation = confirmed?;

        let mut granted = self.mint(&jwt, &installation).await;
        if self.corrects_clock(&granted) {
            jwt = self.sign(&credentials).await?;
            granted = self.mint(&jwt, &installation).await;
        }
        granted
    }

    async fn load(&mut self) -> Result<AppCredentials<'a>> {
        self.step = Step::Load;
        let loader = &self.broker.credentials;
        let loaded = loader.load(self.before_mint).await;
        let loaded = self.record.call(Server::Ssm, "get_parameters", loaded);
        self.record.step_done(self.step.name());
        let credentials = loaded.map_err(|error| match error {
            CredentialsError::Ssm(AwsError::OutOfTime) => self.deadline_near(),
            error => Failure::Credentials {
                error,
                at: location(loader.ssm()),
            },
        })?;
        let (id, age) = (credentials.installation_id, credentials.key_age_days);
        self.record.credentials_loaded(id.get(), age);
        Ok(credentials)
    }

    async fn sign(&mut self, credentials: &AppCredentials<'_>) -> Result<AppJwt> {
        self.step = Step::Sign;
        let AppCredentials {
            client_id, signer, ..
        } = credentials;
        let now = self.clock.now(SystemTime::now());
        let signed = AppJwt::sign(client_id, now, signer, self.before_mint).await;
        let signed = self.record.call(Server::Kms, "sign", signed);
        self.record.step_done(self.step.name());
        signed.map_err(|error| match (error, self.broker.credentials.kms()) {
            (SignError::Kms(AwsError::OutOfTime), _) => self.deadline_near(),
            (error, Some(kms)) => Failure::Signing {
                error,
                at: location(kms),
            },
            (_, None) => Failure::Internal,
        })
    }

    async fn confirm(
        &mut self,
        jwt: &AppJwt,
        credentials: &AppCredentials<'_>,
    ) -> Result<ConfirmedInstallation> {
        self.step = Step::Confirm;
        let confirmed = self
            .github(self.before_mint)
            .confirm(jwt, &self.broker.scope, credentials.installation_id)
            .await;
        self.github_result(Call::Confirm, confirmed)
    }

    async fn mint(
        &mut self,
        jwt: &AppJwt,
        installation: &ConfirmedInstallation,
    ) -> Result<GrantedToken> {
        self.step = Step::Mint;
        if Instant::now() >= self.before_mint.until {
            return Err(self.deadline_near());
        }
        let granted = self
            .github(self.whole)
            .mint(jwt, installation, &self.broker.scope)
            .await;
        #[cfg(test)]
        self.panic_for_a_test();
        let granted = self.github_result(Call::Mint, granted)?;
        let expires_at = granted.grant().readable_expiry();
        self.record
            .token_granted(granted.token().hash(), expires_at);
        Ok(granted)
    }

    /// Compares the token with the scope. Fetches what the response to the mint omitted.
    async fn prove(&mut self, granted: GrantedToken) -> Result<ProvenToken> {
        self.step = Step::Prove;
        #[cfg(test)]
        self.panic_for_a_test();
        let check = ScopeCheck::new(granted, &self.broker.scope, self.clock, SystemTime::now());
        let check = if check.needs_repository_list() {
            let list = self
                .github(self.before_mint)
                .list_repositories(check.token())
                .await;
            match self.github_result(Call::ListRepositories, list) {
                Ok(list) => check.with_repository_list(&list),
                // GitHub responded without saying what the token is for, so the proof fails below.
                Err(Failure::GitHub {
                    error: GitHubError::Unexpected(_),
                    ..
                }) => check,
                // A missing response proves nothing against the token, and nothing for it.
                Err(failure) => return Err(failure),
            }
        } else {
            self.record.step_done(self.step.name());
            check
        };
        let proven = check.finish().map_err(Failure::NotProven)?;
        self.record.token_proven(proven.repository_id());
        Ok(proven)
    }

    /// Whether GitHub rejected a JWT because of our time, and its own time is plausible. It happens once per invocation.
    fn corrects_clock<T>(&mut self, result: &Result<T>) -> bool {
        let Err(Failure::GitHub {
            error:
                GitHubError::Rejected {
                    rejection:
                        Rejection::ClockSkew {
                            github_time: Some(github_time),
                        },
                    ..
                },
            ..
        }) = result
        else {
            return false;
        };
        let now = SystemTime::now();
        match Clock::corrected(now, *github_time) {
            Some(corrected) if self.clock == Clock::Ours => {
                self.record.clock_corrected(*github_time, now);
                self.clock = corrected;
                true
            }
            _ => false,
        }
    }

    fn github(&self, window: TimeWindow) -> GitHub<'a> {
        GitHub::new(&self.broker.api_base, &self.broker.github, window)
    }

    fn github_result<T>(
        &mut self,
        call: Call,
        result: (CallRecord, Result<T, GitHubError>),
    ) -> Result<T> {
        let result = self.record.call(Server::GitHub, call.name(), result);
        self.record.step_done(self.step.name());
        result.map_err(|error| match error {
            GitHubError::OutOfTime => self.deadline_near(),
            error => Failure::GitHub {
                call,
                error,
                repository: self.broker.scope.repository.clone(),
                host: self.broker.github.host_and_port(),
            },
        })
    }

    fn deadline_near(&self) -> Failure {
        Failure::DeadlineNear {
            step: self.step,
            limit: self.limit,
        }
    }

    /// No input is known that makes this code panic, so a unit test does.
    #[cfg(test)]
    fn panic_for_a_test(&self) {
        assert_ne!(self.broker.panics_in, Some(self.step), "ghs_secret");
    }

    /// GitHub may have created a token if the mint was sent.
    fn failure_of_a_panic(&mut self) -> Failure {
        if self.step == Step::Mint {
            self.record.orphaned_token_possible();
        }
        Failure::Internal
    }
}

fn location(client: &AwsClient) -> AwsLocation {
    AwsLocation {
        region: client.region().to_owned(),
        host: client.host().host_and_port(),
    }
}

/// `None` if `work` panicked. The panic hook has logged its location.
pub async fn catch_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sandbox::{Call as SandboxCall, Running, Scenario};

    use super::*;

    /// Runs an invocation on the sandbox that panics in `step`.
    async fn panic_in(step: Step) -> (Failure, serde_json::Value, Running) {
        let role = [
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "an example of a secret key"),
            ("AWS_SESSION_TOKEN", "example-session-token"),
        ];
        let running = role
            .iter()
            .fold(Scenario::default(), |scenario, (name, value)| {
                scenario.variable(name, *value)
            });
        let running = running.prepare().await;
        let (aws, github) = (running.aws_url(), running.github_url());
        let mut variables = BTreeMap::from(role);
        variables.extend([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL", github.as_str()),
            ("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "octo-org"),
            ("GITHUB_TOKEN_BROKER_REPOSITORY_NAME", "octo-repo"),
        ]);
        let lookup = |name: &str| variables.get(name).map(ToString::to_string);
        let mut broker = Broker::new(&Config::from_lookup(lookup).unwrap());
        broker.panics_in = Some(step);
        let mut record = broker.new_record("1", None);
        let now = SystemTime::now();
        let deadline =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(10);
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap();
        let result = broker.token(deadline_ms, now, &mut record).await;
        let record = serde_json::to_value(&record).unwrap();
        (result.map(drop).unwrap_err(), record, running)
    }

    #[tokio::test]
    async fn panic_after_the_mint_revokes_the_token() {
        let (failure, record, running) = panic_in(Step::Prove).await;
        assert_eq!(failure, Failure::Internal);
        let revocations = running.requests();
        let mut revocations = revocations
            .iter()
            .filter(|request| request.call == SandboxCall::Revoke);
        assert_eq!(revocations.next().unwrap().status, Some(204));
        assert_eq!(record["token_revoked"], true);
        assert!(record["token_hash"].is_string());
        assert!(record.get("orphaned_token_possible").is_none());
    }

    #[tokio::test]
    async fn panic_during_the_mint_reports_a_possible_orphan() {
        let (failure, record, _) = panic_in(Step::Mint).await;
        assert_eq!(failure, Failure::Internal);
        assert_eq!(record["orphaned_token_possible"], true);
        assert!(record.get("token_revoked").is_none());
    }
}
