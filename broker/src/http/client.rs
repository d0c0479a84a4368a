//! The HTTP client of one host: one kept connection, opened through the proxy if there is one.
//!
//! Input: the host's URL, the network settings, requests. Output: what was read from each response.
//! Invariant: it sends nothing on its own, and it sends a request twice only if the caller cannot tell the difference
//! ([`HostClient::send`]).
//!
//! A connection that is open before the first request makes a first invocation as fast as a warm one. A connection that
//! died while Lambda froze the function is replaced without an error.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::poll_immediate;
use http::{HeaderValue, Request, Response, Uri, header, response::Parts, uri::PathAndQuery};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{Instant, timeout},
};
use tower_service::Service;

use super::{HttpError, NetworkSettings, limited_read::LimitedRead, no_proxy};

/// It has no version suffix: users filter GitHub's audit log and CloudTrail by this name.
pub const USER_AGENT: HeaderValue = HeaderValue::from_static("github-token-broker");

/// TCP resends a lost first packet after one second. This limit allows for one such loss.
const TCP_LIMIT: Duration = Duration::from_millis(1500);

/// TCP, the proxy and TLS together: at most five round trips, and one packet loss. Three attempts with their waits fit into
/// an invocation of ten seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Most responses from GitHub and AWS are smaller than 10 KiB here. A larger one is not theirs, or not meant for us.
const BODY_LIMIT: usize = 64 * 1024;

/// A whole response with its head and chunk sizes. The limit stops a server that sends without end, such as `100 Continue`
/// forever: reading that never waits, so no timeout would fire.
pub const RESPONSE_LIMIT: usize = 256 * 1024;

/// The status of an error response says the most important part, so its body gets less time than a whole attempt.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(1);

/// The client of one host.
pub struct HostClient {
    /// Scheme and authority.
    origin: Uri,
    host: HeaderValue,
    tls: Arc<ClientConfig>,
    proxy: Option<Intercept>,
    response_limit: usize,
    /// Locked for the length of a handshake or an exchange: a client serves one invocation at a time. Only the stream is
    /// kept between exchanges. HTTP's buffers, which secrets passed through, are freed each time, and so wiped.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    stream: Stream,
    last_used: Instant,
}

type Stream = TokioIo<LimitedRead<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

impl fmt::Debug for HostClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostClient") // a proxy's URL may contain a password
    }
}

impl HostClient {
    /// A client without a connection. It uses only the scheme and the authority of `url`, which must have both. A response
    /// with more than `response_limit` bytes fails.
    pub fn new(
        url: &Uri,
        network: &NetworkSettings,
        tls: Arc<ClientConfig>,
        response_limit: usize,
    ) -> Arc<Self> {
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(parts).unwrap_or_default();
        let no_proxy = network.no_proxy.as_deref().unwrap_or_default();
        let proxies = Matcher::builder()
            .https(network.https_proxy.clone().unwrap_or_default())
            .no(no_proxy::entries_for(&origin, no_proxy))
            .build();
        Arc::new(Self {
            proxy: proxies.intercept(&origin),
            host: host_header(url),
            origin,
            tls,
            response_limit,
            kept: Mutex::new(None),
        })
    }

    /// Opens the connection ahead of the first request, without sending one.
    ///
    /// # Errors
    /// The host cannot be reached. The next request tries again.
    pub async fn open(&self) -> Result<(), HttpError> {
        let mut kept = self.kept.lock().await;
        *kept = Some(Kept {
            stream: self.connect().await?,
            last_used: Instant::now(),
        });
        Ok(())
    }

    /// Sends a request and reads its response with `read`.
    ///
    /// `build` makes the request, once for each connection that it is sent on. Its URI is in origin form, without `Host`.
    /// `invocation_began` tells a connection from before a freeze, which the server may have closed since, from one that
    /// worked a moment ago. Only on the former, or if nothing was sent at all, is a lost request sent again here.
    ///
    /// # Errors
    /// No head of a response arrived.
    pub async fn send<T>(
        &self,
        build: impl Fn() -> Request<Full<Bytes>>,
        read: impl AsyncFn(Response<Incoming>) -> T,
        invocation_began: Instant,
    ) -> Result<Exchange<T>, HttpError> {
        let mut slot = self.kept.lock().await;
        // Boxed, so that its memory is freed, and so wiped. A stack is not.
        let exchange_on = |stream, request| Box::pin(exchange_on(stream, request, &read));
        let mut sent_before = false;
        if let Some(Kept { stream, last_used }) = slot.take() {
            match exchange_on(stream, self.with_host(build())).await {
                Ok((response, stream)) => {
                    *slot = stream.map(Kept::now);
                    return Ok(Exchange {
                        response,
                        sent_before,
                    });
                }
                Err(lost) if !lost.sent || last_used < invocation_began => {
                    sent_before = lost.sent;
                }
                Err(_) => return Err(HttpError::Interrupted),
            }
        }
        let stream = self.connect().await?;
        let (response, stream) = exchange_on(stream, self.with_host(build()))
            .await
            .map_err(|_| HttpError::Interrupted)?;
        *slot = stream.map(Kept::now);
        Ok(Exchange {
            response,
            sent_before,
        })
    }

    /// The `Host` of every request.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Host and port, for messages.
    pub fn host_and_port(&self) -> String {
        let host = self.origin.host().unwrap_or_default();
        let port = self.origin.port_u16().unwrap_or(default_port(&self.origin));
        format!("{host}:{port}")
    }

    fn with_host(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        request
    }

    async fn connect(&self) -> Result<Stream, HttpError> {
        let stream = timeout(CONNECT_LIMIT, self.handshake())
            .await
            .unwrap_or(Err(HttpError::Connect))?;
        Ok(TokioIo::new(LimitedRead::new(
            TokioIo::new(stream),
            self.response_limit,
        )))
    }

    async fn handshake(&self) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, HttpError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false); // `https` is the TLS layer's business
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(TCP_LIMIT));
        let stream = match &self.proxy {
            None => connect(HttpsConnector::from((tcp, self.tls.clone())), &self.origin).await,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                connect(
                    HttpsConnector::from((tunnel, self.tls.clone())),
                    &self.origin,
                )
                .await
            }
        };
        stream.map_err(|error| classify(error.as_ref()))
    }
}

impl Kept {
    fn now(stream: Stream) -> Self {
        Self {
            stream,
            last_used: Instant::now(),
        }
    }
}

/// The libraries export no types for these errors, only their texts. The black-box tests of proxies and TLS notice a change.
fn classify(error: &(dyn std::error::Error + Send + Sync + 'static)) -> HttpError {
    if error.is::<io::Error>() {
        return HttpError::Tls;
    }
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    let says = |text: &str| texts.iter().any(|found| found.contains(text));
    if says("proxy authorization required") {
        HttpError::ProxyAuthentication
    } else if says("tunnel error: unsuccessful") {
        HttpError::ProxyRefused
    } else if says("dns error") {
        HttpError::Resolve
    } else {
        HttpError::Connect
    }
}

/// Without the port that the scheme implies, as in AWS's SDKs.
fn host_header(url: &Uri) -> HeaderValue {
    let host = url.host().unwrap_or_default();
    let text = match url.port_u16().filter(|port| *port != default_port(url)) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    // A host consists of characters that a header may contain.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn default_port(url: &Uri) -> u16 {
    match url.scheme_str() {
        Some("http") => 80,
        _ => 443,
    }
}

/// A response.
pub struct Exchange<T> {
    /// What was read from it.
    pub response: T,
    /// The server may have received the request before, on a connection that died without a response.
    pub sent_before: bool,
}

/// No head of a response arrived.
struct NoResponse {
    /// Whether the request, or a part of it, may have been sent.
    sent: bool,
}

/// Sends one request over a stream and reads its response. The stream comes back if it can be used again.
async fn exchange_on<T>(
    stream: Stream,
    request: Request<Full<Bytes>>,
    read: &impl AsyncFn(Response<Incoming>) -> T,
) -> Result<(T, Option<Stream>), NoResponse> {
    let unsent = |_| NoResponse { sent: false };
    let (mut sender, connection) = http1::handshake(stream).await.map_err(unsent)?;
    let mut connection = Some(connection);
    let response = {
        let mut exchange = pin!(async {
            match sender.try_send_request(request).await {
                Ok(response) => Ok(read(response).await),
                Err(mut error) => Err(NoResponse {
                    sent: error.take_message().is_none(),
                }),
            }
        });
        drive(&mut connection, exchange.as_mut()).await?
    };
    // Do not wait for a server that is still sending after its response was read.
    let ready = pin!(poll_immediate(sender.ready()));
    let reusable = matches!(drive(&mut connection, ready).await, Some(Ok(())));
    let parts = connection
        .filter(|_| reusable)
        .map(http1::Connection::into_parts);
    // Unsolicited bytes must not be read as the response to the next request.
    let stream = parts
        .filter(|parts| parts.read_buf.is_empty())
        .map(|parts| TokioIo::new(parts.io.into_inner().with_fresh_limit()));
    Ok((response, stream))
}

/// Runs a connection until `work` on it is done. A connection that has ended is dropped at once: only that wakes a request
/// that is still queued on it.
async fn drive<T>(
    connection: &mut Option<http1::Connection<Stream, Full<Bytes>>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|context| {
        if let Some(running) = connection.as_mut()
            && Pin::new(running).poll(context).is_ready()
        {
            *connection = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

async fn connect<S: Service<Uri>>(mut connector: S, origin: &Uri) -> Result<S::Response, S::Error> {
    poll_fn(|context| connector.poll_ready(context)).await?;
    connector.call(origin.clone()).await
}

/// The head of a response and its body.
pub type FullResponse = (Parts, Result<Bytes, BodyError>);

/// Reads a whole response, for [`HostClient::send`].
pub async fn read_body(response: Response<Incoming>) -> FullResponse {
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, BODY_LIMIT).collect();
    let collected = if head.status.is_success() {
        collected.await
    } else {
        let body = timeout(ERROR_BODY_LIMIT, collected).await;
        body.unwrap_or_else(|late| Err(late.into()))
    };
    let body = match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Err(_) => Err(BodyError::Interrupted),
    };
    (head, body)
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than 64 KiB.
    TooLong,
    /// The connection ended before the body did, or the body of an error took too long.
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_has_its_port_unless_the_scheme_implies_it() {
        for (url, host) in [
            ("https://ssm.example.com", "ssm.example.com"),
            ("https://ssm.example.com:443/path", "ssm.example.com"),
            ("https://ssm.example.com:8443", "ssm.example.com:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://127.0.0.1:443", "127.0.0.1:443"),
            ("https://[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_header(&Uri::from_static(url)), host, "{url}");
        }
    }
}
