//! A pipe's end that counts what would be system calls on a socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Reads and writes that moved bytes, and all polls of either.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) reads: AtomicUsize,
    pub(super) writes: AtomicUsize,
    pub(super) polls: AtomicUsize,
    /// How often the server was told that nothing more is read.
    pub(super) stops: AtomicUsize,
}

pub(super) struct Counted {
    inner: DuplexStream,
    calls: Arc<Calls>,
}

impl Counted {
    pub(super) fn new(inner: DuplexStream, calls: Arc<Calls>) -> Self {
        Self { inner, calls }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.calls.polls.fetch_add(1, SeqCst);
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.calls.reads.fetch_add(usize::from(outcome.is_ready()), SeqCst);
        outcome
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// Takes every slice, as a socket does; a pipe takes as many as fit.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.calls.polls.fetch_add(1, SeqCst);
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.calls.writes.fetch_add(usize::from(outcome.is_ready()), SeqCst);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl crate::unix::connect::Transport for Counted {
    fn stop_reading(&self) {
        self.calls.stops.fetch_add(1, SeqCst);
    }
}
