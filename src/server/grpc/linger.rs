//! A stream that is read in parts, and to its end after it was closed for writing.
//!
//! TCP answers bytes that come for a closed socket with a reset, and a reset can overtake
//! what was written last: the reply of the last call, and the goodbye. A client closes its
//! side when it has read them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use crate::grpc::turn::Turn;

/// How long a client may take to close its side, where no large reply is on its way to it.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Linger<S> {
    stream: S,
    turn: Turn,
    activity: Arc<Activity>,
    closed: Option<Pin<Box<Sleep>>>,
}

impl<S> Linger<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, turn: Turn::default(), activity, closed: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Calls that need nothing are over by then, and their replies are written together.
        if self.turn.is_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.turn.has_read(buffer.filled().len() - before);
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let patience = || PATIENCE.max(this.activity.tail());
        let limit = this.closed.get_or_insert_with(|| Box::pin(sleep(patience())));
        // First, so that a client which never stops is left all the same.
        while limit.as_mut().poll(cx).is_pending() {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            // Its end may be a reset of its own.
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    fn linger<S>(stream: S) -> (Linger<S>, Arc<Activity>) {
        let activity = Activity::new(Duration::from_secs(60));
        (Linger::new(stream, Arc::clone(&activity)), activity)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_close_is_read_up_to_the_other_sides_end() {
        let (near, mut far) = duplex(16);
        let closing = tokio::spawn(async move { linger(near).0.shutdown().await });
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        // More than the pipe holds, so that somebody must read it.
        far.write_all(&[7; 100]).await.unwrap();
        assert!(!closing.is_finished());
        drop(far);
        closing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_close_is_waited_for_no_longer_than_its_reply_may_take() {
        for (reply, secs) in [(None, 1), (Some(1), 1), (Some(1024 * 1024), 60)] {
            let (near, _far) = duplex(16);
            let (mut linger, activity) = linger(near);
            drop(reply.map(|len| activity.begin().reply(len)));
            let start = Instant::now();
            linger.shutdown().await.unwrap();
            assert_eq!(start.elapsed().as_secs(), secs);
        }
    }
}
