//! Connections: TCP, the proxy and TLS, kept in a pool. The AWS SDK's own calls use the same ones.

use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpConnector as SdkConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
        http_client_fn,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http::{HeaderValue, Request, Uri, header, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::{
            self,
            connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Intercept,
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use super::network::Network;

type BoxError = Box<dyn Error + Send + Sync>;
type Opening = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

/// Sends requests, and keeps connections.
#[derive(Debug, Clone)]
pub struct Client {
    pool: legacy::Client<Route, SdkBody>,
    network: Network,
}

impl Client {
    /// Nothing is opened yet. TCP, the proxy and TLS together get `connect_timeout`.
    pub fn new(network: Network, connect_timeout: Duration) -> Self {
        let route = Route {
            network: network.clone(),
            connect_timeout,
        };
        Self {
            pool: legacy::Client::builder(TokioExecutor::new()).build(route),
            network,
        }
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// There is no head of a response.
    pub async fn request(
        &self,
        mut request: Request<SdkBody>,
    ) -> Result<http::Response<hyper::body::Incoming>, legacy::Error> {
        // A tunnel authenticates when it is opened; without one, each request does.
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(proxy) = self.network.proxy_for(request.uri())
            && let Some(authorization) = proxy.basic_auth()
        {
            let mut authorization: HeaderValue = authorization.clone();
            authorization.set_sensitive(true);
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization);
        }
        self.pool.request(request).await
    }
}

/// Opens connections.
#[derive(Debug, Clone)]
struct Route {
    network: Network,
    connect_timeout: Duration,
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = Opening;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Opening {
        let Self {
            network,
            connect_timeout: limit,
        } = self.clone();
        Box::pin(async move {
            timeout(limit, open(&network, url)).await.map_err(|_| {
                let text = format!("no answer within {} s", limit.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, text)
            })?
        })
    }
}

async fn open(network: &Network, url: Uri) -> Result<Stream, BoxError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false); // `https` is the TLS layer's business
    tcp.set_nodelay(true);
    let proxy = network.proxy_for(&url);
    if url.scheme() == Some(&Scheme::HTTP) {
        let is_proxied = proxy.is_some();
        let server = proxy.as_ref().map_or(&url, Intercept::uri).clone();
        let stream = MaybeHttpsStream::Http(tcp.call(server).await?);
        return Ok(Stream { stream, is_proxied });
    }
    let tls = network
        .tls()
        .ok_or_else(|| io::Error::other("the system has no certificate authorities"))?;
    let stream = match proxy {
        None => HttpsConnector::from((tcp, tls)).call(url).await?,
        Some(proxy) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            HttpsConnector::from((tunnel, tls)).call(url).await?
        }
    };
    Ok(Stream {
        stream,
        is_proxied: false,
    })
}

/// A connection. If a proxy forwards single requests on it, they need the whole URL.
struct Stream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    is_proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

/// The client of the AWS SDK's own calls: SSO, STS, IMDS, ECS. The SDK sets the timeouts. `network` gets its value before the
/// first call that needs a proxy or TLS.
pub fn sdk_client(network: &Arc<OnceLock<Network>>) -> SharedHttpClient {
    let network = Arc::clone(network);
    http_client_fn(move |settings, _| {
        let network = network.get().cloned().unwrap_or_else(Network::empty);
        let connect_timeout = settings.connect_timeout().unwrap_or(super::CONNECT_TIMEOUT);
        SharedHttpConnector::new(ForSdk {
            client: Client::new(network, connect_timeout),
            read_timeout: settings.read_timeout(),
        })
    })
}

#[derive(Debug)]
struct ForSdk {
    client: Client,
    read_timeout: Option<Duration>,
}

impl SdkConnector for ForSdk {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let exchange = client.request(request);
            let response = match limit {
                None => exchange.await,
                Some(limit) => timeout(limit, exchange)
                    .await
                    .map_err(|late| ConnectorError::timeout(late.into()))?,
            };
            let response = response.map_err(for_sdk)?.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The SDK retries errors of these two kinds.
fn for_sdk(error: legacy::Error) -> ConnectorError {
    let is_late = std::iter::successors(Some(&error as &(dyn Error + 'static)), |&error| {
        error.source()
    })
    .filter_map(|error| error.downcast_ref::<io::Error>())
    .any(|error| error.kind() == io::ErrorKind::TimedOut);
    if is_late {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
