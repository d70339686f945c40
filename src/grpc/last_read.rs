//! A byte stream that is read to its end, also when nothing can be written to it any more: what
//! the server said before it closed is worth more than that it has closed.
//!
//! It is both below TLS, whose alerts tell why a server refuses a client, and below HTTP/2,
//! which would give up replies that are here already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::unix::connect::Transport;

/// How long a connection that cannot be written to is read for what lies in it: its end follows,
/// unless the server has closed one direction alone.
const LAST_READ: Duration = Duration::from_millis(20);

/// Why nothing can be written, and when that is told if nothing else ends the connection.
struct Failure {
    error: io::Error,
    told_at: Pin<Box<Sleep>>,
}

pub(super) struct LastRead {
    inner: Box<dyn Transport>,
    /// The server takes nothing any more.
    failure: Option<Failure>,
}

impl LastRead {
    pub(super) fn new(inner: Box<dyn Transport>) -> Self {
        Self { inner, failure: None }
    }

    /// Whether what is written goes nowhere.
    pub(super) fn is_deaf(&self) -> bool {
        self.failure.is_some()
    }

    /// What could not be written is as good as written: whoever writes would end at once.
    fn told_late<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        done: T,
        cx: &Context<'_>,
    ) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.failure = Some(Failure { error, told_at: Box::pin(sleep(LAST_READ)) });
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(done))
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

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Transport for LastRead {}

impl AsyncRead for LastRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if outcome.is_pending()
            && let Poll::Ready(error) = self.poll_failure(cx)
        {
            return Poll::Ready(Err(error));
        }
        outcome
    }
}

impl AsyncWrite for LastRead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.failure.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.told_late(outcome, bytes.len(), cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = buffers.iter().map(|buffer| buffer.len()).sum();
        if self.failure.is_some() {
            return Poll::Ready(Ok(len));
        }
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, buffers);
        self.told_late(outcome, len, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failure.is_some() {
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.told_late(outcome, (), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
