//! The bytes of one connection: counted, as are the streams that were left on it, read in parts, and
//! cut where it has to end at once.
//!
//! HTTP/2 lets a connection go on for as long as a stream is open, so what is to end now,
//! with all that is under way on it, ends here.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use arrayvec::ArrayVec;
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::last_read::LastRead;
use super::turn::Turn;
use crate::error::Cause;
use crate::unix::connect::Transport;
use crate::unix::slot::Slot;

/// Ends a connection from outside.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// What those learn whose calls are on it.
    why: OnceLock<Cause>,
    reader: AtomicWaker,
    received: AtomicU64,
    /// Streams that were left before their end.
    resets: AtomicU64,
    /// The first bytes that came.
    first: OnceLock<[u8; FIRST]>,
    /// The byte stream is closed.
    gone: watch::Sender<bool>,
}

impl Cut {
    /// Only the first reason counts.
    pub(crate) fn cut(&self, why: Cause) {
        let _ = self.why.set(why);
        self.reader.wake();
    }

    pub(crate) fn why(&self) -> Option<&Cause> {
        self.why.get()
    }

    /// Bytes that came over this connection.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// One more stream was left before its end.
    pub(super) fn count_reset(&self) {
        self.resets.fetch_add(1, Relaxed);
    }

    pub(super) fn resets(&self) -> u64 {
        self.resets.load(Relaxed)
    }

    #[cfg(test)]
    pub(super) fn count_resets(&self, resets: u64) {
        self.resets.fetch_add(resets, Relaxed);
    }

    /// The first bytes that came, once there are so many.
    pub(super) fn first(&self) -> Option<&[u8; FIRST]> {
        self.first.get()
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    /// Waits until the byte stream is closed.
    pub(crate) async fn gone(&self) {
        // The sender lives in `self`.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }
}

/// As many of the first bytes are kept as tell what is spoken: all of a TLS alert.
pub(super) const FIRST: usize = 7;

/// A byte stream to a server.
pub(crate) struct Link {
    transport: LastRead,
    /// What came first.
    first: ArrayVec<u8, FIRST>,
    turn: Turn,
    cut: Arc<Cut>,
    /// Whose bytes these are, if that is one plugin.
    owner: Option<Arc<Slot>>,
}

impl Link {
    pub(crate) fn new(transport: Box<dyn Transport>, owner: Option<Arc<Slot>>) -> (Self, Arc<Cut>) {
        let cut = Arc::new(Cut::default());
        let (transport, first) = (LastRead::new(transport), ArrayVec::new());
        (Self { transport, first, turn: Turn::default(), cut: Arc::clone(&cut), owner }, cut)
    }

    fn check(&self) -> io::Result<()> {
        match self.cut.why() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn wrote(&self, cx: &Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_pending() {
            // It may never have been read from.
            self.cut.reader.register(cx.waker());
            self.check()?;
        }
        if let Poll::Ready(Ok(count)) = outcome
            && let Some(owner) = &self.owner
            && !self.transport.is_deaf()
        {
            owner.traffic.bytes_sent.fetch_add(count as u64, Relaxed);
        }
        outcome
    }

    /// Keeps the beginning of what comes.
    fn hear(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.first.remaining_capacity());
        self.first.extend(bytes[..len].iter().copied());
        if let Ok(first) = self.first.clone().into_inner() {
            let _ = self.cut.first.set(first);
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before the look: a cut between the two wakes.
        self.cut.reader.register(cx.waker());
        self.check()?;
        if self.turn.is_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.transport).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        self.turn.has_read(count);
        if count > 0 {
            if !self.first.is_full() {
                self.hear(&buffer.filled()[before..]);
            }
            self.cut.received.fetch_add(count as u64, Relaxed);
            if let Some(owner) = &self.owner {
                owner.traffic.bytes_received.fetch_add(count as u64, Relaxed);
            }
        }
        outcome
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let outcome = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.wrote(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let outcome = Pin::new(&mut self.transport).poll_write_vectored(cx, buffers);
        self.wrote(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.gone.send_replace(true);
    }
}
