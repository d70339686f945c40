//! One connection: requests in, replies out, one at a time and in order.
//!
//! A reply is with the kernel before the next request is begun: a client that has left is
//! noticed then, and what it had written behind is not run. It counts on that where it
//! sends such requests again ([`RetryPolicy::Unstarted`](crate::RetryPolicy::Unstarted)).
//! A client that takes no replies is waited for no longer than one that asks nothing.
//! When the server stops, what was received until then is answered first.

use std::io;
use std::pin::pin;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::PluginService;
use super::listener::Run;
use crate::wire::codec::FrameDecoder;

/// How much is read at once, at least.
const READ: usize = 16 * 1024;

/// A buffer above this size was for one large request, and goes when it is empty.
const KEEP: usize = 64 * 1024;

/// Takes what has come on a stream and was not read yet, without waiting for more.
pub(super) type Received<S> = fn(&S, &mut BytesMut) -> io::Result<()>;

pub(super) struct Connection<'s, S> {
    service: &'s PluginService,
    stream: S,
    frames: FrameDecoder,
    input: BytesMut,
    run: watch::Receiver<Run>,
    received: Received<S>,
}

impl<'s, S: AsyncRead + AsyncWrite + Unpin> Connection<'s, S> {
    pub(super) fn new(
        service: &'s PluginService,
        stream: S,
        run: watch::Receiver<Run>,
        received: Received<S>,
    ) -> Self {
        let frames = FrameDecoder::new(service.max_frame_len());
        Self { service, stream, frames, input: BytesMut::new(), run, received }
    }

    /// Serves until the client leaves, is idle for too long, or breaks the
    /// framing, or the server stops.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut run = self.run.clone();
        let mut stopped = pin!(Run::Drain.reaches(&mut run));
        let mut idle = pin!(sleep(self.service.idle_timeout()));
        let mut waiting_since = None;
        loop {
            if self.answer_all().await? {
                waiting_since = None;
            }
            if self.is_stopping() {
                return self.finish().await;
            }
            // A request that trickles in does not count before it is complete.
            let since = *waiting_since.get_or_insert_with(Instant::now);
            self.make_room();
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Ok(());
                },
                () = &mut stopped => return self.finish().await,
                // Set once per period, not once per request: it may be early.
                () = &mut idle => match self.service.idle_timeout().checked_sub(since.elapsed()) {
                    Some(left) if !left.is_zero() => idle.set(sleep(left)),
                    _ => return Ok(()),
                },
            }
        }
    }

    /// Answers the complete requests of those that were read. False if there was none.
    async fn answer_all(&mut self) -> io::Result<bool> {
        let mut any = false;
        while let Some(message) = self.frames.next(&mut self.input)? {
            any = true;
            self.answer(&message).await?;
        }
        Ok(any)
    }

    /// Answers what came before the server stopped. Looks once: a client that goes on
    /// asking must not keep the server from its end.
    async fn finish(mut self) -> io::Result<()> {
        (self.received)(&self.stream, &mut self.input)?;
        self.answer_all().await.map(drop)
    }

    fn is_stopping(&self) -> bool {
        *self.run.borrow() != Run::Serve
    }

    /// Answers one request, in no more than the idle timeout for the reply to be taken: a
    /// client that takes a byte now and then would hold it for ever otherwise.
    async fn answer(&mut self, message: &[u8]) -> io::Result<()> {
        let too_large = || io::Error::other("a reply did not fit into a frame");
        let reply = self.service.answer(message).await.ok_or_else(too_large)?;
        let write = async {
            self.stream.write_all(&reply).await?;
            self.stream.flush().await
        };
        let too_slow = "the client did not take its reply within the idle timeout";
        timeout(self.service.idle_timeout(), write)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, too_slow)))
    }

    fn make_room(&mut self) {
        self.input.reserve(READ);
        if self.input.is_empty() && self.input.capacity() > KEEP {
            self.input = BytesMut::with_capacity(READ);
        }
    }
}
