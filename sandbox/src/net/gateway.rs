//! The desk that every request passes. Comes in: a request. Goes out: the service's answer, recorded, held against the
//! contract, and with the fault that was scheduled for it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};

use crate::aws::ssm::Ssm;
use crate::faults::Fault;
use crate::faults::inject::{self, Body};
use crate::faults::schedule::{Faults, Schedule};
use crate::github::GitHub;
use crate::github::routes as github_http;
use crate::lambda::Lambda;
use crate::lambda::variables::Variables;
use crate::net::faulty_stream::{Cut, Line};
use crate::net::recorder::{Call, Recorded, Recorder};
use crate::{aws, lock};

/// Who signs the function's requests to SSM, as its environment says.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

impl Signer {
    pub(crate) fn of(variables: &Variables) -> Self {
        let value = |name| variables.value(name);
        Self {
            region: value("AWS_REGION").unwrap_or_default(),
            access_key: value("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            secret_key: value("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            session_token: value("AWS_SESSION_TOKEN"),
        }
    }
}

/// The call that the next connection will be for, once an invocation has begun: what a refused connection counts for.
pub(crate) type Expected = Arc<Mutex<Option<Call>>>;

/// What every request passes, in and out: it is recorded, and a fault may befall it.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    pub(crate) expects: Expected,
}

impl Desk {
    /// Decides on a connection: none goes wrong before an invocation has begun.
    pub(crate) fn gate(self) -> impl Fn() -> Option<Fault> + Send + Sync {
        move || {
            let expected = *lock(&self.expects);
            self.faults.due_at_connection(expected?)
        }
    }

    /// Serves a request to AWS.
    pub(crate) async fn aws(
        &self,
        ssm: &Mutex<Ssm>,
        lambda: &Lambda,
        signer: Option<&Signer>,
        request: Request<Bytes>,
        line: Line,
    ) -> Response<Body> {
        let call = aws::classify(&request);
        let number = self.note(call, &request, &line);
        let fault = self.faults.due(call);
        if let (Call::Ssm, Some(signer)) = (call, signer) {
            let wrong = aws::contract_violations(&request, signer);
            self.recorder.violations_found(wrong);
        }
        let answer = match fault
            .as_ref()
            .and_then(|fault| inject::instead(fault, call))
        {
            Some(answer) => answer,
            None => aws::answer(ssm, lambda, &request).await,
        };
        self.hand_over(number, call, fault, answer, &line).await
    }

    /// Serves a request to GitHub.
    pub(crate) async fn github(
        &self,
        github: &Mutex<GitHub>,
        base: &str,
        request: Request<Bytes>,
        line: Line,
    ) -> Response<Body> {
        let call = github_http::classify(base, &request);
        let number = self.note(call, &request, &line);
        let fault = self.faults.due(call);
        let wrong = github_http::contract_violations(call, request.headers());
        self.recorder.violations_found(wrong);
        let instead = fault
            .as_ref()
            .and_then(|fault| inject::instead(fault, call));
        let answer =
            instead.unwrap_or_else(|| github_http::answer(&mut lock(github), base, &request));
        self.hand_over(number, call, fault, answer, &line).await
    }

    fn note(&self, call: Call, request: &Request<Bytes>, line: &Line) -> usize {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        self.recorder.begin(Recorded {
            call,
            method: request.method().to_string(),
            path,
            headers: request.headers().clone(),
            body: request.body().to_vec(),
            connection: line.id,
            started: Instant::now(),
            ended: None,
            status: None,
        })
    }

    async fn hand_over(
        &self,
        number: usize,
        call: Call,
        fault: Option<Fault>,
        answer: Response<Bytes>,
        line: &Line,
    ) -> Response<Body> {
        let status =
            (!matches!(fault, Some(Fault::ResetBeforeAnswer))).then(|| answer.status().as_u16());
        let good = answer.status().is_success();
        let mut answer = inject::apply(fault, answer, line).await;
        if good {
            self.prepare_for_the_call_after(call, &mut answer, line)
                .await;
        }
        self.recorder.end(number, status);
        answer
    }

    /// A fault in the connection of a call that follows this one in the same invocation begins here: with its end.
    async fn prepare_for_the_call_after(
        &self,
        call: Call,
        answer: &mut Response<Body>,
        line: &Line,
    ) {
        let next: &[Call] = match call {
            Call::Lookup => &[Call::Mint],
            Call::Mint => &[Call::ListRepositories, Call::Revoke],
            _ => &[],
        };
        for &next in next {
            if self
                .faults
                .take(next, |fault| matches!(fault, Fault::CutWhileFrozen))
            {
                // The answer goes out whole and says nothing of the end that follows it.
                line.cut_when_flushed(Cut::Close);
            }
            if self.faults.awaits(next, Fault::is_at_connection) {
                *lock(&self.expects) = Some(next);
                answer
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
                if self.faults.has(next, |schedule| {
                    matches!(schedule, Schedule::Always(Fault::RefusedConnection))
                }) {
                    line.close_port().await;
                }
            }
        }
    }
}
