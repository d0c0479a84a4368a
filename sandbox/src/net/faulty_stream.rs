//! An accepted connection that can be closed, reset or throttled from outside while a server reads and writes it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::Sleep;

use crate::lock;

/// How a connection ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// An orderly close (FIN), as a server does with an idle connection.
    Close,
    /// A reset (RST), as a crashed host or an overloaded load balancer does.
    Reset,
}

/// A handle on a connection, shared by everything that may end or throttle it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionHandle {
    /// Each server counts its connections from 1.
    pub(crate) id: u64,
    state: Arc<Mutex<State>>,
    listener: ListenerHandle,
}

/// A handle on the listener, through which a connection can close it.
#[derive(Debug, Clone)]
pub(crate) struct ListenerHandle {
    closing: Arc<Notify>,
    listening: watch::Receiver<bool>,
}

impl ListenerHandle {
    /// Returns the handle, the signal that the listener waits for, and what the listener drops when it has closed.
    pub(crate) fn new() -> (Self, Arc<Notify>, watch::Sender<bool>) {
        let (sender, listening) = watch::channel(true);
        let closing = Arc::new(Notify::new());
        let handle = Self {
            closing: Arc::clone(&closing),
            listening,
        };
        (handle, closing, sender)
    }

    /// Closes the listener and waits until the kernel refuses connections to it.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        // The value never changes: the wait ends when the listener drops the sender.
        let _ = self
            .listening
            .clone()
            .wait_for(|listening| !listening)
            .await;
    }
}

#[derive(Debug, Default)]
struct State {
    disconnect: Option<Disconnect>,
    disconnect_after_flush: Option<Disconnect>,
    byte_interval: Option<Duration>,
    endless: Option<Arc<EndlessBytes>>,
    wakers: [Option<Waker>; 2],
}

/// Bytes that a server sends, and bytes that it then repeats.
#[derive(Debug)]
struct EndlessBytes {
    start: &'static str,
    repeated: String,
}

impl ConnectionHandle {
    pub(crate) fn new(id: u64, listener: ListenerHandle) -> Self {
        Self {
            id,
            state: Arc::default(),
            listener,
        }
    }

    /// Makes the kernel refuse every later connection to this server.
    pub(crate) async fn close_listener(&self) {
        self.listener.close().await;
    }

    /// Ends the connection as soon as the next write (the current response, or the part of it that is sent) has left.
    pub(crate) fn disconnect_after_flush(&self, how: Disconnect) {
        lock(&self.state).disconnect_after_flush = Some(how);
    }

    /// Ends the connection now.
    pub(crate) fn disconnect(&self, how: Disconnect) {
        let mut state = lock(&self.state);
        state.disconnect.get_or_insert(how);
        for waker in state.wakers.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// From now on, sends one byte per interval.
    pub(crate) fn throttle(&self, byte_interval: Duration) {
        lock(&self.state).byte_interval = Some(byte_interval);
    }

    /// From now on, sends these bytes instead of the server's own, and then the second ones forever.
    pub(crate) fn send_forever(&self, start: &'static str, repeated: &str) {
        let repeated = repeated.repeat(8192 / repeated.len() + 1);
        lock(&self.state).endless = Some(Arc::new(EndlessBytes { start, repeated }));
    }

    fn endless(&self) -> Option<Arc<EndlessBytes>> {
        lock(&self.state).endless.clone()
    }

    fn disconnects_after_flush(&self) -> Option<Disconnect> {
        lock(&self.state).disconnect_after_flush
    }

    fn byte_interval(&self) -> Option<Duration> {
        lock(&self.state).byte_interval
    }

    fn poll_disconnect(&self, slot: usize, context: &Context<'_>) -> Option<Disconnect> {
        let mut state = lock(&self.state);
        state.wakers[slot] = Some(context.waker().clone());
        state.disconnect
    }
}

/// The stream that a server reads and writes.
#[derive(Debug)]
pub(crate) struct FaultyStream {
    stream: TcpStream,
    connection: ConnectionHandle,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether anything was written since a disconnect after the next flush was requested.
    wrote: bool,
}

impl FaultyStream {
    pub(crate) fn new(stream: TcpStream, connection: ConnectionHandle) -> Self {
        Self {
            stream,
            connection,
            pause: None,
            wrote: false,
        }
    }

    fn check_connected(&mut self, slot: usize, context: &Context<'_>) -> io::Result<()> {
        match self.connection.poll_disconnect(slot, context) {
            None => Ok(()),
            Some(how) => {
                if how == Disconnect::Reset {
                    reset_on_close(&self.stream);
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

/// Makes closing this stream send an RST.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // If the peer was faster, the connection is gone and there is nothing to reset.
    let _ = stream.set_zero_linger();
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_connected(0, cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_connected(1, cx)?;
        let Some(interval) = self.connection.byte_interval() else {
            self.wrote |= self.connection.disconnects_after_flush().is_some();
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let byte = &buf[..buf.len().min(1)];
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, byte))?;
        self.pause = Some(Box::pin(tokio::time::sleep(interval)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_connected(1, cx)?;
        std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        let disconnect = self.connection.disconnects_after_flush();
        if let Some(how) = disconnect.filter(|_| self.wrote) {
            self.connection.disconnect(how);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_connected(1, cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What the HTTP server reads and writes, above TLS: its own bytes, unless the connection sends bytes forever.
#[derive(Debug)]
pub(crate) struct EndlessStream<S> {
    stream: S,
    connection: ConnectionHandle,
    sent: usize,
}

impl<S> EndlessStream<S> {
    pub(crate) fn new(stream: S, connection: ConnectionHandle) -> Self {
        Self {
            stream,
            connection,
            sent: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EndlessStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EndlessStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(endless) = self.connection.endless() else {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        // It ends when the client leaves.
        loop {
            let bytes = match self.sent.checked_sub(endless.start.len()) {
                None => &endless.start.as_bytes()[self.sent..],
                Some(repeated) => {
                    let at = repeated % endless.repeated.len();
                    &endless.repeated.as_bytes()[at..]
                }
            };
            self.sent += std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.connection.endless().is_some() {
            return self.poll_write(cx, &[]);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
