//! The one HTTP client: proxy, and one kept connection to each upstream.
//!
//! In: an upstream's root URL and the network settings. Out: the answer to a request, over HTTP/1.1. It sends
//! nothing by itself and follows no redirect. Opening a connection ahead of the first request is what makes a first
//! invocation as fast as a warm one; a connection that died while the function was frozen is replaced once, unseen.

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
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tower_service::Service;

use crate::{config::Network, failure::Broken};

/// No version suffix: users filter GitHub's audit log by this name; CloudTrail shows it too.
pub(crate) const USER_AGENT: HeaderValue = HeaderValue::from_static("github-token-broker");

/// TCP sends a lost first packet again after one second: this allows for one such loss.
const TCP_LIMIT: Duration = Duration::from_millis(1500);

/// TCP, the proxy and TLS together: five round trips at most, and a loss in any of them. Three attempts fit into the work
/// of ten seconds, with the waits between.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Most of GitHub's and SSM's answers here are under 10 KiB; one of this size is not theirs, or not meant for us.
const BODY_LIMIT: usize = 64 * 1024;

/// A refusal's status says most of what there is to say: its body is not waited for as long as an attempt may take.
const REFUSAL_BODY_LIMIT: Duration = Duration::from_secs(1);

/// One host that requests go to, and the connection to it.
pub struct Upstream {
    /// Scheme and authority.
    origin: Uri,
    host: HeaderValue,
    tls: Arc<ClientConfig>,
    proxy: Option<Intercept>,
    /// Held for the length of a handshake or an exchange: there is one invocation at a time. Only the stream is kept
    /// between exchanges: the buffers of HTTP, where secrets passed, are given back each time, and so wiped.
    stream: Mutex<Option<Stream>>,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream") // a proxy's URL may hold a password
    }
}

impl Upstream {
    /// An upstream without a connection yet. Only scheme and authority of `url` count; it has both.
    pub fn new(url: &Uri, network: &Network, tls: Arc<ClientConfig>) -> Arc<Self> {
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(parts).unwrap_or_default();
        let proxies = Matcher::builder()
            .https(network.https_proxy.clone().unwrap_or_default())
            .no(network.no_proxy.clone().unwrap_or_default())
            .build();
        Arc::new(Self {
            proxy: proxies.intercept(&origin),
            host: host_header(url),
            origin,
            tls,
            stream: Mutex::new(None),
        })
    }

    /// Opens the connection ahead of the first request, without sending one.
    ///
    /// # Errors
    /// The upstream cannot be reached; the next request will try again.
    pub async fn open(&self) -> Result<(), Broken> {
        let mut stream = self.stream.lock().await;
        *stream = Some(self.connect().await?);
        Ok(())
    }

    /// Sends a request and reads its answer with `read`. `build` makes the request, anew for each connection it is
    /// tried on; its URI is in origin form, and it has no `Host`.
    ///
    /// # Errors
    /// No head of an answer arrived on a fresh connection.
    pub async fn exchange<T>(
        &self,
        build: impl Fn() -> Request<Full<Bytes>>,
        read: impl AsyncFn(Response<Incoming>) -> T,
    ) -> Result<Exchanged<T>, Broken> {
        let mut stream = self.stream.lock().await;
        // Boxed, so that what passes through its state is wiped with it; a stack is not.
        let exchange_on = |stream, request| Box::pin(exchange_on(stream, request, &read));
        let mut sent_before = false;
        if let Some(kept) = stream.take() {
            match exchange_on(kept, self.address(build())).await {
                Ok((answer, kept)) => {
                    *stream = kept;
                    return Ok(Exchanged {
                        answer,
                        sent_before,
                    });
                }
                // The server closed it while the function was frozen, or just now.
                Err(unanswered) => sent_before = unanswered.sent,
            }
        }
        let fresh = self.connect().await?;
        let (answer, kept) = exchange_on(fresh, self.address(build()))
            .await
            .map_err(|_| Broken::Interrupted)?;
        *stream = kept;
        Ok(Exchanged {
            answer,
            sent_before,
        })
    }

    /// The `Host` of every request.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    fn address(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        request
    }

    async fn connect(&self) -> Result<Stream, Broken> {
        timeout(CONNECT_LIMIT, self.handshake())
            .await
            .unwrap_or(Err(Broken::Connect))
    }

    async fn handshake(&self) -> Result<Stream, Broken> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false); // `https` is the TLS layer's business
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(TCP_LIMIT));
        let stream = match &self.proxy {
            None => {
                call(
                    HttpsConnector::from((tcp, self.tls.clone())),
                    self.origin.clone(),
                )
                .await
            }
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                call(
                    HttpsConnector::from((tunnel, self.tls.clone())),
                    self.origin.clone(),
                )
                .await
            }
        };
        stream.map_err(|error| {
            if error.is::<io::Error>() {
                Broken::Tls
            } else {
                Broken::Connect
            }
        })
    }
}

/// Without the port that the scheme implies, as AWS's SDKs have it.
fn host_header(url: &Uri) -> HeaderValue {
    let host = url.host().unwrap_or_default();
    let implied = match url.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    let text = match url.port_u16().filter(|port| *port != implied) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    // A host is made of characters that a header may have.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// An answer.
pub struct Exchanged<T> {
    /// What was read of it.
    pub answer: T,
    /// The request may have reached the server before, on a connection that died without an answer.
    pub sent_before: bool,
}

/// No head of an answer came.
struct Unanswered {
    /// Whether the request, or a part of it, may have been sent.
    sent: bool,
}

/// One request and its answer over a stream, which comes back if it can be used again.
async fn exchange_on<T>(
    stream: Stream,
    request: Request<Full<Bytes>>,
    read: &impl AsyncFn(Response<Incoming>) -> T,
) -> Result<(T, Option<Stream>), Unanswered> {
    let unsent = |_| Unanswered { sent: false };
    let (mut sender, connection) = http1::handshake(stream).await.map_err(unsent)?;
    let mut connection = Some(connection);
    let answer = {
        let mut exchange = pin!(async {
            match sender.try_send_request(request).await {
                Ok(answer) => Ok(read(answer).await),
                Err(mut error) => Err(Unanswered {
                    sent: error.take_message().is_none(),
                }),
            }
        });
        drive(&mut connection, exchange.as_mut()).await?
    };
    // A server that is still sending when its answer has been read is not waited for.
    let ready = pin!(poll_immediate(sender.ready()));
    let reusable = matches!(drive(&mut connection, ready).await, Some(Ok(())));
    let parts = connection
        .filter(|_| reusable)
        .map(http1::Connection::into_parts);
    // Bytes that nobody asked for are no answer to a later request.
    let stream = parts
        .filter(|parts| parts.read_buf.is_empty())
        .map(|parts| parts.io);
    Ok((answer, stream))
}

/// Lets a connection work for as long as something on it is waited for. One that has ended is dropped at once: only
/// that tells a request which still waits for its turn that it will not come.
async fn drive<T>(
    connection: &mut Option<http1::Connection<Stream, Full<Bytes>>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|context| {
        if let Some(working) = connection.as_mut()
            && Pin::new(working).poll(context).is_ready()
        {
            *connection = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

async fn call<S: Service<Uri>>(mut connector: S, origin: Uri) -> Result<S::Response, S::Error> {
    poll_fn(|context| connector.poll_ready(context)).await?;
    connector.call(origin).await
}

/// The head of an answer and its whole body.
pub type WholeAnswer = (Parts, Result<Bytes, BodyDefect>);

/// Reads the whole of an answer, for [`Upstream::exchange`].
pub async fn whole(answer: Response<Incoming>) -> WholeAnswer {
    let (head, body) = answer.into_parts();
    let collected = Limited::new(body, BODY_LIMIT).collect();
    let collected = if head.status.is_success() {
        collected.await
    } else {
        let in_time = timeout(REFUSAL_BODY_LIMIT, collected).await;
        in_time.unwrap_or_else(|late| Err(late.into()))
    };
    let body = match collected {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyDefect::TooLong),
        Err(_) => Err(BodyDefect::Interrupted),
    };
    (head, body)
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyDefect {
    /// Longer than 64 KiB.
    TooLong,
    /// The connection ended before the body did, or the body of a refusal took too long.
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_named_with_its_port_only_where_the_scheme_implies_another() {
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
