//! The servers of AWS and GitHub.
//!
//! Input: the initial state of each service, the faults, the server options. Output: the URLs of AWS and GitHub, and a
//! record of every request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::middleware::from_fn_with_state;

use crate::aws::iam::Iam;
use crate::aws::kms::Kms;
use crate::aws::sigv4::Signer;
use crate::aws::ssm::Ssm;
use crate::aws::{self, Services};
use crate::clock::Clock;
use crate::faults::Fault;
use crate::faults::schedule::{Faults, Schedule};
use crate::github::git::GitRepositories;
use crate::github::routes::SharedGitHub;
use crate::github::{self, GitHub};
use crate::lock;
use crate::net::certificates::{Certificates, SelfSigned};
use crate::net::faulty_stream::Disconnect;
use crate::net::gateway::{self, ExpectedCalls, Gateway, Service};
use crate::net::recorder::{Call, Recorder};
use crate::net::server::{ConnectionOptions, Server};

/// The calls that the function's first connections to AWS and to GitHub may carry.
const FIRST_AWS_CALLS: [Call; 2] = [Call::GetParameters, Call::Sign];
const FIRST_GITHUB_CALLS: [Call; 1] = [Call::Confirm];

/// How clients reach the servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerOptions {
    /// The path below which GitHub is served: empty, or `/api/v3`.
    pub(crate) base_path: String,
    pub(crate) tls: bool,
    pub(crate) self_signed: Option<SelfSigned>,
    pub(crate) aws_round_trip: Duration,
    pub(crate) github_round_trip: Duration,
    pub(crate) aws_port: u16,
    pub(crate) github_port: u16,
}

/// The state of each service at the start.
pub(crate) struct InitialState {
    pub(crate) github: GitHub,
    pub(crate) ssm: Ssm,
    pub(crate) kms: Kms,
    pub(crate) iam: Iam,
    pub(crate) aws_clock: Clock,
}

/// AWS and GitHub, running. The servers stop when this is dropped.
pub(crate) struct Sandbox {
    pub(crate) github: SharedGitHub,
    pub(crate) aws: Services,
    pub(crate) repositories: Arc<GitRepositories>,
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    certificates: Option<Arc<Certificates>>,
    base_path: String,
    aws_server: Server,
    github_server: Server,
    aws_expected: ExpectedCalls,
    github_expected: ExpectedCalls,
}

impl Sandbox {
    /// Starts both servers. The signer, if known, is the function: AWS checks its signatures.
    pub(crate) async fn start(
        options: &ServerOptions,
        state: InitialState,
        faults: Faults,
        signer: Option<Signer>,
    ) -> Self {
        let certificates = options
            .tls
            .then(|| Arc::new(Certificates::new(options.self_signed)));
        let recorder = Recorder::default();
        let github = Arc::new(Mutex::new(state.github));
        let repositories = Arc::new(GitRepositories::new());
        let aws = Services {
            ssm: Arc::new(Mutex::new(state.ssm)),
            kms: Arc::new(Mutex::new(state.kms)),
            iam: Arc::new(Mutex::new(state.iam)),
            lambda: Arc::default(),
            denied_actions: Arc::default(),
            clock: state.aws_clock,
        };
        let start = async |port, round_trip, service, router: axum::Router| {
            let expected = ExpectedCalls::default();
            let gateway = Gateway {
                service,
                recorder: recorder.clone(),
                faults: faults.clone(),
                expected: Arc::clone(&expected),
            };
            let router = router.layer(from_fn_with_state(gateway.clone(), gateway::pass));
            let options = ConnectionOptions {
                tls: certificates.clone(),
                round_trip,
            };
            let server = Server::start_on(port, options, gateway.connection_fault(), router).await;
            (server, expected)
        };
        let (aws_server, aws_expected) = start(
            options.aws_port,
            options.aws_round_trip,
            Service::Aws(signer),
            aws::router(&aws),
        )
        .await;
        let (github_server, github_expected) = start(
            options.github_port,
            options.github_round_trip,
            Service::GitHub(options.base_path.clone()),
            github::routes::router(&github, &repositories, &options.base_path),
        )
        .await;
        let sandbox = Self {
            github,
            aws,
            repositories,
            recorder: recorder.clone(),
            faults: faults.clone(),
            certificates: certificates.clone(),
            base_path: options.base_path.clone(),
            aws_server,
            github_server,
            aws_expected,
            github_expected,
        };
        sandbox.close_refused_ports().await;
        sandbox
    }

    /// The endpoint of AWS.
    pub(crate) fn aws_url(&self) -> String {
        self.aws_server.url()
    }

    /// The base URL of GitHub's API.
    pub(crate) fn github_url(&self) -> String {
        format!("{}{}", self.github_server.url(), self.base_path)
    }

    /// The host and port of GitHub.
    pub(crate) fn github_host(&self) -> String {
        self.github_server.authority()
    }

    /// The PEM file that makes a client trust the servers, with TLS.
    pub(crate) fn ca_bundle(&self) -> Option<PathBuf> {
        Some(self.certificates.as_ref()?.bundle().to_owned())
    }

    /// A function to call before each delivery: applies what happens to connections while the function waits, and arms the
    /// connection faults of its first calls. It does not refer to the services, which may own it.
    pub(crate) fn before_delivery(&self) -> impl Fn() + Send + Sync + use<> {
        let faults = self.faults.clone();
        let aws = (
            self.aws_server.disconnector(),
            Arc::clone(&self.aws_expected),
            FIRST_AWS_CALLS.to_vec(),
        );
        let github = (
            self.github_server.disconnector(),
            Arc::clone(&self.github_expected),
            FIRST_GITHUB_CALLS.to_vec(),
        );
        move || {
            for (disconnect, expected, calls) in [&aws, &github] {
                lock(expected).clone_from(calls);
                for &call in calls {
                    let closed =
                        faults.take(call, |fault| matches!(fault, Fault::ClosedWhileFrozen));
                    if closed || faults.awaits(call, Fault::is_at_connection) {
                        disconnect(Disconnect::Close);
                    }
                }
            }
        }
    }

    /// Closes the port of a host that always refuses connections.
    async fn close_refused_ports(&self) {
        let is_refused = |call: &Call| {
            self.faults.has(*call, |schedule| {
                matches!(schedule, Schedule::Always(Fault::ConnectionRefused))
            })
        };
        if FIRST_AWS_CALLS.iter().any(is_refused) {
            self.aws_server.close_listener().await;
        }
        if FIRST_GITHUB_CALLS.iter().any(is_refused) {
            self.github_server.close_listener().await;
        }
    }
}
