//! One accepted connection, with the means to harm it. Comes in: a `TcpStream`. Goes out: the same stream, which can be
//! cut (closed, or reset by a zero linger) or slowed down, byte by byte, from outside while a server reads and writes it.

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

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// An orderly end (FIN): what a server does to a connection that was idle for long.
    Close,
    /// A reset (RST): what a crashed host or a tired load balancer does.
    Reset,
}

/// The handle on a connection, shared by everything that may cut it or slow it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Counts the connections of one server, from 1.
    pub(crate) id: u64,
    state: Arc<Mutex<State>>,
    port: Port,
}

/// The listener's end, as a connection can ask for it.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    closing: Arc<Notify>,
    open: watch::Receiver<bool>,
}

impl Port {
    /// The handle, what the listener waits for, and what it holds while it is open.
    pub(crate) fn new() -> (Self, Arc<Notify>, watch::Sender<bool>) {
        let (held, open) = watch::channel(true);
        let closing = Arc::new(Notify::new());
        (
            Self {
                closing: Arc::clone(&closing),
                open,
            },
            closing,
            held,
        )
    }

    /// Closes the listener, and waits until the kernel refuses connections to it.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        // The sender is dropped after the listener: no change ever comes, only that end.
        let _ = self.open.clone().wait_for(|open| !open).await;
    }
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    pace: Option<Duration>,
    cut_when_flushed: Option<Cut>,
    wakers: [Option<Waker>; 2],
}

impl Line {
    pub(crate) fn new(id: u64, port: Port) -> Self {
        Self {
            id,
            state: Arc::default(),
            port,
        }
    }

    /// Makes the kernel refuse every later connection to this server.
    pub(crate) async fn close_port(&self) {
        self.port.close().await;
    }

    /// Ends the connection as soon as what is written next, the answer to the request at hand or the part of it that is
    /// to leave, has left.
    pub(crate) fn cut_when_flushed(&self, how: Cut) {
        lock(&self.state).cut_when_flushed = Some(how);
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self, how: Cut) {
        let mut state = lock(&self.state);
        state.cut.get_or_insert(how);
        for waker in state.wakers.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// From now on, one byte leaves in every `pace`.
    pub(crate) fn slow_down(&self, pace: Duration) {
        lock(&self.state).pace = Some(pace);
    }

    fn to_be_cut(&self) -> Option<Cut> {
        lock(&self.state).cut_when_flushed
    }

    fn pace(&self) -> Option<Duration> {
        lock(&self.state).pace
    }

    fn cut_or_wait(&self, slot: usize, context: &Context<'_>) -> Option<Cut> {
        let mut state = lock(&self.state);
        state.wakers[slot] = Some(context.waker().clone());
        state.cut
    }
}

/// The stream that a server reads and writes.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether anything was written since the end was asked for.
    wrote: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, line: Line) -> Self {
        Self {
            stream,
            line,
            pause: None,
            wrote: false,
        }
    }

    fn still_whole(&mut self, slot: usize, context: &Context<'_>) -> io::Result<()> {
        match self.line.cut_or_wait(slot, context) {
            None => Ok(()),
            Some(how) => {
                if how == Cut::Reset {
                    reset_on_close(&self.stream);
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

/// Makes the end of this stream an RST.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // Where the peer was faster, the connection is gone already: nothing is left to reset.
    let _ = stream.set_zero_linger();
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.still_whole(0, cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.still_whole(1, cx)?;
        let Some(pace) = self.line.pace() else {
            self.wrote |= self.line.to_be_cut().is_some();
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let one = &buf[..buf.len().min(1)];
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, one))?;
        self.pause = Some(Box::pin(tokio::time::sleep(pace)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.still_whole(1, cx)?;
        std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if let Some(how) = self.line.to_be_cut().filter(|_| self.wrote) {
            self.line.cut(how);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.still_whole(1, cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
