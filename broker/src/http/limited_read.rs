//! A limit on what is read for one response, whatever the server sends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails once more than `limit` bytes were read for one response.
pub(super) struct LimitedRead<S> {
    stream: S,
    limit: usize,
    left: usize,
}

impl<S> LimitedRead<S> {
    pub(super) fn new(stream: S, limit: usize) -> Self {
        Self {
            stream,
            limit,
            left: limit,
        }
    }

    /// For the next response.
    pub(super) fn with_fresh_limit(self) -> Self {
        Self {
            left: self.limit,
            ..self
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedRead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        match self.left.checked_sub(read) {
            Some(left) => {
                self.left = left;
                poll
            }
            None => Poll::Ready(Err(io::Error::other("the response is too long"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedRead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
