//! The bytes of one connection: counted, and cut where it has to end at once.
//!
//! HTTP/2 lets a connection go on for as long as a stream is open, so what is to end now,
//! with all that is under way on it, ends here.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

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

    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    /// Waits until the byte stream is closed.
    pub(crate) async fn gone(&self) {
        // The sender lives in `self`.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }
}

/// How long a connection that cannot be written to is read for what lies in it, beyond the last
/// byte that came: its end follows, unless the server has closed one direction alone.
const LAST_READ: Duration = Duration::from_millis(20);

/// Why nothing can be written, and when that is told if nothing else ends the connection.
struct Failure {
    error: io::Error,
    told_at: Pin<Box<Sleep>>,
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// A byte stream to a server.
pub(crate) struct Link {
    transport: Box<dyn Transport>,
    /// The server takes nothing any more.
    failure: Option<Failure>,
    cut: Arc<Cut>,
    /// Whose bytes these are, if that is one plugin.
    owner: Option<Arc<Slot>>,
}

impl Link {
    pub(crate) fn new(transport: Box<dyn Transport>, owner: Option<Arc<Slot>>) -> (Self, Arc<Cut>) {
        let cut = Arc::new(Cut::default());
        (Self { transport, failure: None, cut: Arc::clone(&cut), owner }, cut)
    }

    fn check(&self) -> io::Result<()> {
        match self.cut.why() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn wrote(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = outcome
            && let Some(owner) = &self.owner
        {
            owner.traffic.bytes_sent.fetch_add(count as u64, Relaxed);
        }
        outcome
    }

    /// What could not be written is as good as written, once the server takes nothing any more:
    /// HTTP/2 would end the connection at once, and with it replies that are here already.
    fn told_late(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        len: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.failure = Some(Failure { error, told_at: Box::pin(sleep(LAST_READ)) });
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(len))
            }
            outcome => outcome,
        }
    }

    /// Whether nothing can be written, and nothing more has been read for a while.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(failure) = &mut self.failure else { return Poll::Pending };
        ready!(failure.told_at.as_mut().poll(cx));
        Poll::Ready(io::Error::new(failure.error.kind(), failure.error.to_string()))
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
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.transport).poll_read(cx, buffer);
        if outcome.is_pending()
            && let Poll::Ready(error) = self.poll_failure(cx)
        {
            return Poll::Ready(Err(error));
        }
        let count = (buffer.filled().len() - before) as u64;
        if count > 0 {
            self.cut.received.fetch_add(count, Relaxed);
            if let Some(owner) = &self.owner {
                owner.traffic.bytes_received.fetch_add(count, Relaxed);
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
        if self.failure.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = Pin::new(&mut self.transport).poll_write(cx, bytes);
        let outcome = self.wrote(outcome);
        self.told_late(outcome, bytes.len(), cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let len = buffers.iter().map(|buffer| buffer.len()).sum();
        if self.failure.is_some() {
            return Poll::Ready(Ok(len));
        }
        let outcome = Pin::new(&mut self.transport).poll_write_vectored(cx, buffers);
        let outcome = self.wrote(outcome);
        self.told_late(outcome, len, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if self.failure.is_some() {
            return Poll::Ready(Ok(()));
        }
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
