//! The two servers and what stands behind them. Comes in: the state that each begins with, the faults, the conditions.
//! Goes out: the URLs of AWS and GitHub, and everything that was asked of them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::aws::ssm::Ssm;
use crate::faults::Fault;
use crate::faults::schedule::{Faults, Schedule};
use crate::github::GitHub;
use crate::lambda::Lambda;
use crate::lock;
use crate::net::certificates::Certificates;
use crate::net::faulty_stream::{Cut, Line};
use crate::net::gateway::{Desk, Expected, Signer};
use crate::net::recorder::{Call, Recorder};
use crate::net::server::{Answering, Conditions, Server};

/// How the servers are reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    /// The path below which GitHub is served: empty, or `/api/v3`.
    pub(crate) base_path: String,
    pub(crate) tls: bool,
    pub(crate) ssm_round_trip: Duration,
    pub(crate) github_round_trip: Duration,
    pub(crate) aws_port: u16,
    pub(crate) github_port: u16,
}

/// AWS and GitHub, running.
pub(crate) struct Sandbox {
    pub(crate) github: Arc<Mutex<GitHub>>,
    pub(crate) ssm: Arc<Mutex<Ssm>>,
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    certificates: Option<Arc<Certificates>>,
    base_path: String,
    aws_server: Server,
    github_server: Server,
    aws_expects: Expected,
    github_expects: Expected,
}

impl Sandbox {
    /// Starts both servers.
    pub(crate) async fn start(
        setting: &Setting,
        github: GitHub,
        ssm: Ssm,
        faults: Faults,
        signer: Option<Signer>,
    ) -> Self {
        let certificates = setting.tls.then(|| Arc::new(Certificates::new()));
        let recorder = Recorder::default();
        let (github, ssm) = (Arc::new(Mutex::new(github)), Arc::new(Mutex::new(ssm)));
        let lambda = Arc::<Lambda>::default();
        let (aws_expects, github_expects) = (Expected::default(), Expected::default());
        let desk = |expects: &Expected| Desk {
            recorder: recorder.clone(),
            faults: faults.clone(),
            expects: Arc::clone(expects),
        };
        let conditions = |round_trip| Conditions {
            tls: certificates.clone(),
            round_trip,
        };

        let (own, desk_of_aws) = (
            (Arc::clone(&ssm), Arc::clone(&lambda), signer),
            desk(&aws_expects),
        );
        let handler = Arc::new(move |request: Request<Bytes>, line: Line| {
            let ((ssm, lambda, signer), desk) = (own.clone(), desk_of_aws.clone());
            let answering: Answering = Box::pin(async move {
                desk.aws(&ssm, &lambda, signer.as_ref(), request, line)
                    .await
            });
            answering
        });
        let gate = desk(&aws_expects).gate();
        let aws_server = Server::start_on(
            setting.aws_port,
            conditions(setting.ssm_round_trip),
            gate,
            handler,
        )
        .await;

        let (own, desk_of_github) = (
            (Arc::clone(&github), setting.base_path.clone()),
            desk(&github_expects),
        );
        let handler = Arc::new(move |request: Request<Bytes>, line: Line| {
            let ((github, base), desk) = (own.clone(), desk_of_github.clone());
            let answering: Answering =
                Box::pin(async move { desk.github(&github, &base, request, line).await });
            answering
        });
        let gate = desk(&github_expects).gate();
        let github_server = Server::start_on(
            setting.github_port,
            conditions(setting.github_round_trip),
            gate,
            handler,
        )
        .await;

        let base_path = setting.base_path.clone();
        let started = Self {
            github,
            ssm,
            lambda,
            recorder,
            faults,
            certificates,
            base_path,
            aws_server,
            github_server,
            aws_expects,
            github_expects,
        };
        started.close_refused_ports().await;
        started
    }

    /// AWS's endpoint.
    pub(crate) fn aws_url(&self) -> String {
        self.aws_server.url()
    }

    /// GitHub's API, base path included.
    pub(crate) fn github_url(&self) -> String {
        format!("{}{}", self.github_server.url(), self.base_path)
    }

    /// The file to trust the servers by, with TLS.
    pub(crate) fn bundle(&self) -> Option<PathBuf> {
        Some(self.certificates.as_ref()?.bundle().to_owned())
    }

    /// What happens to the connections while the function waits for work, and what is expected of it then.
    pub(crate) fn before_delivery(&self) -> impl Fn() + Send + Sync + use<> {
        let faults = self.faults.clone();
        let aws = (
            self.aws_server.cutter(),
            Arc::clone(&self.aws_expects),
            Call::Ssm,
        );
        let github = (
            self.github_server.cutter(),
            Arc::clone(&self.github_expects),
            Call::Lookup,
        );
        move || {
            for (cut, expects, call) in [&aws, &github] {
                *lock(expects) = Some(*call);
                let frozen = faults.take(*call, |fault| matches!(fault, Fault::CutWhileFrozen));
                if frozen || faults.awaits(*call, Fault::is_at_connection) {
                    cut(Cut::Close);
                }
            }
        }
    }

    /// A host that refuses for good has its port closed from the start.
    async fn close_refused_ports(&self) {
        let refused = |call| {
            self.faults.has(call, |schedule| {
                matches!(schedule, Schedule::Always(Fault::RefusedConnection))
            })
        };
        if refused(Call::Ssm) {
            self.aws_server.close_port().await;
        }
        if refused(Call::Lookup) {
            self.github_server.close_port().await;
        }
    }
}
