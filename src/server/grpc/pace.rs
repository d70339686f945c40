//! A stream whose client must begin, and must take what is written.
//!
//! HTTP/2 itself waits for both without end: for the first bytes of a client, and for a
//! goodbye to be taken by one that reads nothing any more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What a client of HTTP/2 begins with.
const PREFACE: usize = 24;

pub(super) struct Pace<S> {
    stream: S,
    preface: Option<Preface>,
    stalled: Option<Pin<Box<Sleep>>>,
    patience: Duration,
}

/// What is there of it, and until when the rest must be.
struct Preface {
    read: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Pace<S> {
    /// The client must have begun at `deadline`, and take some of what is written within
    /// `patience` each time.
    pub(super) fn new(stream: S, deadline: Instant, patience: Duration) -> Self {
        let preface = Preface { read: 0, deadline: Box::pin(sleep_until(deadline)) };
        Self { stream, preface: Some(preface), stalled: None, patience }
    }

    /// What became of a write, unless it has taken too long.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        limit.as_mut().poll(cx).map(|()| Err(too_late("the client takes nothing any more")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Pace<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some(preface) = &mut this.preface else { return read };
        preface.read += buffer.filled().len() - before;
        if preface.read >= PREFACE {
            this.preface = None;
        } else if read.is_pending() {
            let late = preface.deadline.as_mut().poll(cx);
            return late.map(|()| Err(too_late("the client did not begin HTTP/2 in time")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pace<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.paced(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, buffers);
        this.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.paced(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.paced(cx, shut)
    }
}

fn too_late(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, problem)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A client that must begin within 10 s, and its server.
    fn pair() -> (DuplexStream, Pace<DuplexStream>) {
        let (client, server) = duplex(64);
        (client, Pace::new(server, Instant::now() + 10 * SECOND, 20 * SECOND))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_begin_is_left_however_it_trickles() {
        for trickles in [false, true] {
            let (mut client, mut server) = pair();
            let trickle = tokio::spawn(async move {
                while !trickles || client.write_all(b"x").await.is_ok() {
                    sleep(SECOND).await;
                }
            });
            let start = Instant::now();
            let mut read = Vec::new();
            let error = server.read_to_end(&mut read).await.unwrap_err();
            assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, 10 * SECOND));
            trickle.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_begun_may_be_silent() {
        let (mut client, mut server) = pair();
        client.write_all(&[7; PREFACE]).await.unwrap();
        let mut preface = [0; PREFACE];
        server.read_exact(&mut preface).await.unwrap();
        let later = async {
            sleep(1000 * SECOND).await;
            client.write_all(b"x").await
        };
        let (byte, written) = tokio::join!(server.read_u8(), later);
        assert_eq!((byte.unwrap(), written.unwrap()), (b'x', ()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_left_and_one_that_is_slow_is_not() {
        let (mut client, mut server) = pair();
        let reading = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(19 * SECOND).await;
                client.read_exact(&mut [0; 10]).await.unwrap();
            }
            client
        });
        server.write_all(&[7; 164]).await.unwrap();
        let _client = reading.await.unwrap();
        let start = Instant::now();
        let error = server.write_all(b"x").await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, 20 * SECOND));
    }
}
