//! The one HTTPS client, in the shape that the AWS SDK takes.
//!
//! In: a request of the SDK's. Out: the whole answer. Signing, retries and parsing stay the SDK's. A second client, for
//! the rehearsal at start-up, sends nothing.

use std::sync::Arc;

use aws_smithy_runtime_api::client::{
    http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response, uri::PathAndQuery};
use http_body_util::Full;

use crate::connect::{Upstream, whole};

/// The client for the SDK, over the connection to SSM.
pub fn sdk_client(upstream: Arc<Upstream>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(ForSdk(upstream));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct ForSdk(Arc<Upstream>);

impl HttpConnector for ForSdk {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let upstream = self.0.clone();
        HttpConnectorFuture::new(async move { exchange_for_sdk(&upstream, request).await })
    }
}

/// A client that sends nothing, and has this for an answer.
pub fn unsent_client(answer: &'static [u8]) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Unsent(answer));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Unsent(&'static [u8]);

impl HttpConnector for Unsent {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let answer = Response::new(SdkBody::from(Bytes::from_static(self.0)));
        HttpConnectorFuture::ready(
            HttpResponse::try_from(answer)
                .map_err(|error| ConnectorError::other(error.into(), None)),
        )
    }
}

async fn exchange_for_sdk(
    upstream: &Upstream,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let (parts, body) = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?
        .into_parts();
    let body = Bytes::copy_from_slice(body.bytes().unwrap_or_default());
    let path = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or(PathAndQuery::from_static("/"));
    let build = || {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = path.clone().into();
        *request.headers_mut() = parts.headers.clone();
        request
    };
    let broken = |what: &'static str| ConnectorError::io(what.into());
    let exchanged = upstream
        .exchange(build, whole)
        .await
        .map_err(|_| broken("no answer"))?;
    let (parts, body) = exchanged.answer;
    let body = body.map_err(|_| broken("no whole answer"))?;
    HttpResponse::try_from(Response::from_parts(parts, SdkBody::from(body)))
        .map_err(|error| ConnectorError::other(error.into(), None))
}
