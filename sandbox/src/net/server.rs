//! An HTTP/1.1 server on loopback that misbehaves on demand. Comes in: TCP connections, with or without TLS. Goes out: a
//! whole request for a handler to answer, on a connection that can be refused, delayed, cut or slowed down meanwhile.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::faults::Fault;
use crate::faults::inject::Body;
use crate::lock;
use crate::net::certificates::{Certificates, Present};
use crate::net::delay;
use crate::net::faulty_stream::{Cut, Line, Port, Wire, reset_on_close};

/// Answers one request.
pub(crate) type Handler = Arc<dyn Fn(Request<Bytes>, Line) -> Answering + Send + Sync>;
/// An answer being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// How connections are made.
#[derive(Clone, Default)]
pub(crate) struct Conditions {
    /// With TLS, and whose certificates.
    pub(crate) tls: Option<Arc<Certificates>>,
    /// The round trip that every connection pretends to have.
    pub(crate) round_trip: Duration,
}

/// A server; it ends when this is dropped.
pub(crate) struct Server {
    port: u16,
    scheme: &'static str,
    shared: Arc<Shared>,
    listener: Port,
    accepting: JoinHandle<()>,
}

struct Shared {
    handler: Handler,
    conditions: Conditions,
    connections: AtomicU64,
    open: Mutex<Vec<(Line, JoinHandle<()>)>>,
    gate: Box<dyn Fn() -> Option<Fault> + Send + Sync>,
}

impl Server {
    /// Listens on a free port. `gate` is asked about every connection before it is served.
    pub(crate) async fn start(
        conditions: Conditions,
        gate: impl Fn() -> Option<Fault> + Send + Sync + 'static,
        handler: Handler,
    ) -> Self {
        Self::start_on(0, conditions, gate, handler).await
    }

    /// As [`Server::start`], on a port that the caller names.
    pub(crate) async fn start_on(
        port: u16,
        conditions: Conditions,
        gate: impl Fn() -> Option<Fault> + Send + Sync + 'static,
        handler: Handler,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("a port of loopback is free");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let scheme = if conditions.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let shared = Arc::new(Shared {
            handler,
            conditions,
            connections: AtomicU64::new(0),
            open: Mutex::default(),
            gate: Box::new(gate),
        });
        let (handle, closing, held) = Port::new();
        let serving = (Arc::clone(&shared), handle.clone());
        let accepting = tokio::spawn(async move {
            tokio::select! {
                () = accept(listener, serving.0, serving.1) => {}
                () = closing.notified() => {}
            }
            drop(held);
        });
        Self {
            port,
            scheme,
            shared,
            listener: handle,
            accepting,
        }
    }

    /// `http://127.0.0.1:PORT`, without a final slash.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends every connection that is open when it is called.
    pub(crate) fn cutter(&self) -> impl Fn(Cut) + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move |how| {
            for (line, _) in &*lock(&shared.open) {
                line.cut(how);
            }
        }
    }

    /// Stops listening for good: the kernel refuses every later connection.
    pub(crate) async fn close_port(&self) {
        self.listener.close().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        for (_, task) in lock(&self.shared.open).drain(..) {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, port: Port) {
    loop {
        // An accept fails when the machine has no descriptors left, or when the peer is gone already: neither ends a server.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let line = Line::new(
            shared.connections.fetch_add(1, Ordering::Relaxed) + 1,
            port.clone(),
        );
        let task = tokio::spawn(connection(stream, line.clone(), Arc::clone(&shared)));
        let mut open = lock(&shared.open);
        open.retain(|(_, task)| !task.is_finished());
        open.push((line, task));
    }
}

async fn connection(stream: TcpStream, line: Line, shared: Arc<Shared>) {
    // Small answers leave at once, as they do at any server that cares.
    let _ = stream.set_nodelay(true);
    let present = match (shared.gate)() {
        Some(Fault::TlsFailure) => Present::Nothing,
        Some(Fault::WrongHost) => Present::WrongHost,
        Some(Fault::UntrustedCertificate) => Present::Untrusted,
        Some(_) => return reset_on_close(&stream),
        None => Present::Good,
    };
    let wire = delay::line(
        Wire::new(stream, line.clone()),
        shared.conditions.round_trip,
    );
    match &shared.conditions.tls {
        None => serve(wire, line, &shared).await,
        Some(certificates) => {
            if let Ok(stream) = certificates.accept(wire, present).await {
                serve(stream, line, &shared).await;
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    line: Line,
    shared: &Arc<Shared>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, line) = (Arc::clone(&shared.handler), line.clone());
        async move {
            let (parts, body) = request.into_parts();
            // A body that breaks off has no answer: the connection is gone.
            let body = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            Ok::<_, Infallible>(handler(Request::from_parts(parts, body), line).await)
        }
    });
    // A client that goes away is no fault of the server.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
