//! An HTTP/1.1 server on loopback that serves a router and can harm its connections.
//!
//! Input: TCP connections, with or without TLS. Output: requests for the router, each with the [`ConnectionHandle`] of its
//! connection as an extension.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::certificates::{CertificateKind, Certificates};
use super::delay;
use super::faulty_stream::{
    ConnectionHandle, Disconnect, EndlessStream, FaultyStream, ListenerHandle, reset_on_close,
};
use crate::faults::Fault;
use crate::lock;

/// How connections are made.
#[derive(Clone, Default)]
pub(crate) struct ConnectionOptions {
    /// The certificates, if the server speaks TLS.
    pub(crate) tls: Option<Arc<Certificates>>,
    /// The round-trip time that every connection simulates.
    pub(crate) round_trip: Duration,
}

/// A server. It stops when it is dropped.
pub(crate) struct Server {
    port: u16,
    scheme: &'static str,
    open: OpenConnections,
    listener: ListenerHandle,
    accepting: JoinHandle<()>,
}

/// The open connections. They do not refer to the router, which may own what refers to them.
type OpenConnections = Arc<Mutex<Vec<(ConnectionHandle, JoinHandle<()>)>>>;

struct Shared {
    router: Router,
    options: ConnectionOptions,
    connections: AtomicU64,
    open: OpenConnections,
    connection_fault: Box<dyn Fn() -> Option<Fault> + Send + Sync>,
}

impl Server {
    /// Listens on a free port, without TLS, delay or faults.
    pub(crate) async fn start(router: Router) -> Self {
        Self::start_on(0, ConnectionOptions::default(), || None, router).await
    }

    /// Listens on this port, or on a free one if it is 0. Calls `connection_fault` for every connection before serving it.
    pub(crate) async fn start_on(
        port: u16,
        options: ConnectionOptions,
        connection_fault: impl Fn() -> Option<Fault> + Send + Sync + 'static,
        router: Router,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap_or_else(|error| panic!("cannot listen on 127.0.0.1:{port}: {error}"));
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let open = OpenConnections::default();
        let shared = Arc::new(Shared {
            router,
            options,
            connections: AtomicU64::new(0),
            open: Arc::clone(&open),
            connection_fault: Box::new(connection_fault),
        });
        let (handle, closing, listening) = ListenerHandle::new();
        let for_connections = handle.clone();
        let accepting = tokio::spawn(async move {
            tokio::select! {
                () = accept(listener, shared, for_connections) => {}
                () = closing.notified() => {}
            }
            drop(listening);
        });
        Self {
            port,
            scheme,
            open,
            listener: handle,
            accepting,
        }
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A function that ends every connection that is open when it is called.
    pub(crate) fn disconnector(&self) -> impl Fn(Disconnect) + Send + Sync + use<> {
        let open = Arc::clone(&self.open);
        move |how| {
            for (connection, _) in &*lock(&open) {
                connection.disconnect(how);
            }
        }
    }

    /// Stops listening for good: the kernel refuses every later connection.
    pub(crate) async fn close_listener(&self) {
        self.listener.close().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        for (_, task) in lock(&self.open).drain(..) {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, handle: ListenerHandle) {
    loop {
        // Accepting fails if the machine is out of descriptors or the peer is gone already. Neither ends the server.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let id = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = ConnectionHandle::new(id, handle.clone());
        let task = tokio::spawn(serve_connection(
            stream,
            connection.clone(),
            Arc::clone(&shared),
        ));
        let mut open = lock(&shared.open);
        open.retain(|(_, task)| !task.is_finished());
        open.push((connection, task));
    }
}

async fn serve_connection(stream: TcpStream, connection: ConnectionHandle, shared: Arc<Shared>) {
    // Small responses leave at once. If this fails, they leave later.
    let _ = stream.set_nodelay(true);
    let certificate = match (shared.connection_fault)() {
        Some(Fault::TlsFailure) => CertificateKind::HandshakeFailure,
        Some(Fault::WrongHost) => CertificateKind::WrongHost,
        Some(Fault::UntrustedCertificate) => CertificateKind::Untrusted,
        Some(_) => return reset_on_close(&stream),
        None => CertificateKind::Valid,
    };
    let stream = FaultyStream::new(stream, connection.clone());
    let stream = delay::delayed(stream, shared.options.round_trip);
    let router = shared.router.clone().layer(Extension(connection.clone()));
    match &shared.options.tls {
        None => serve_http(EndlessStream::new(stream, connection), router).await,
        Some(certificates) => {
            if let Ok(stream) = certificates.accept(stream, certificate).await {
                serve_http(EndlessStream::new(stream, connection), router).await;
            }
        }
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    // A client that disconnects is not an error of the server.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}
