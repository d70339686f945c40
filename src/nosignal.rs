//! A stream socket whose writes never raise SIGPIPE.
//!
//! Rust programs ignore that signal from their start, but a library may live in another's
//! process: a C host, or a `cdylib`, has it at its default, which is to die. The vectored
//! writes of the standard library do not ask the kernel to spare the process.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[cfg(feature = "server")]
use bytes::BytesMut;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// Buffers in one call; the kernel refuses more (`IOV_MAX`).
const MOST_BUFFERS: usize = 1024;

/// Bytes that are taken as received before some moment: more than a socket holds by far,
/// and an end with a peer that goes on writing.
#[cfg(feature = "server")]
const MOST_RECEIVED: usize = 1024 * 1024;

#[cfg(not(target_vendor = "apple"))]
const FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// There it is an option of the socket, which tokio sets for each that it makes.
#[cfg(target_vendor = "apple")]
const FLAGS: SendFlags = SendFlags::empty();

/// A stream socket of tokio's, of either kind.
pub(crate) trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Runs `write`, and takes note where it would block.
    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize>;
}

impl Socket for UnixStream {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_write_ready(self, cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, write)
    }
}

#[cfg(feature = "grpc")]
impl Socket for tokio::net::TcpStream {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_write_ready(self, cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, write)
    }
}

/// A socket whose writes to a peer that is gone fail with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe), whatever the process does with SIGPIPE.
#[derive(Debug)]
pub(crate) struct NoSignal<S = UnixStream>(S);

impl<S: Socket> NoSignal<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// Reads what is there, whether the runtime has heard of it or not.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(&self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }

    /// Reads what is there without waiting, up to [`MOST_RECEIVED`].
    ///
    /// # Errors
    /// If the stream is broken. Its orderly end is none.
    #[cfg(feature = "server")]
    pub(crate) fn received(&self, input: &mut BytesMut) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let mut total = 0;
        while total < MOST_RECEIVED {
            match self.read_now(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    input.extend_from_slice(&chunk[..count]);
                    total += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends what the peer may write: its next write fails, what it has written before can
    /// still be read, and the end comes behind it.
    pub(crate) fn stop_reading(&self) -> io::Result<()> {
        Ok(shutdown(&self.0, Shutdown::Read)?)
    }

    fn poll_send(&self, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let buffers = &buffers[..buffers.len().min(MOST_BUFFERS)];
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            // A write that would block clears the readiness, so the next turn waits for it.
            match self.0.try_write(|| send(&self.0, buffers)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

fn send(stream: &impl AsFd, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(sendmsg(stream, buffers, &mut SendAncillaryBuffer::default(), FLAGS)?)
}

impl<S: Socket> AsyncRead for NoSignal<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: Socket> AsyncWrite for NoSignal<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    /// Far above what any step takes on a busy machine.
    const LIMIT: Duration = Duration::from_secs(20);

    fn pair() -> (NoSignal, NoSignal) {
        let (near, far) = UnixStream::pair().unwrap();
        (NoSignal::new(near), NoSignal::new(far))
    }

    #[tokio::test]
    async fn vectored_and_plain_writes_arrive_in_order_however_full_the_socket_gets() {
        let (mut near, mut far) = pair();
        let parts: Vec<Vec<u8>> = (0..200_u8).map(|i| vec![i; 9_000]).collect();
        let expected = parts.concat();
        let write = async {
            for pair in parts.chunks(2) {
                let buffers = [IoSlice::new(&pair[0]), IoSlice::new(&pair[1])];
                let written = near.write_vectored(&buffers).await.unwrap();
                near.write_all(&pair.concat()[written..]).await.unwrap();
            }
            near.shutdown().await.unwrap();
        };
        let mut arrived = Vec::new();
        let both = async { tokio::join!(write, far.read_to_end(&mut arrived)) };
        timeout(LIMIT, both).await.unwrap().1.unwrap();
        assert!(arrived == expected, "{} bytes of {}", arrived.len(), expected.len());
    }

    #[tokio::test]
    async fn more_buffers_than_the_kernel_takes_are_written_in_part() {
        let (mut near, _far) = pair();
        let buffers = [IoSlice::new(b"x"); MOST_BUFFERS + 1];
        assert_eq!(near.write_vectored(&buffers).await.unwrap(), MOST_BUFFERS);
    }

    #[tokio::test]
    async fn what_came_before_reading_was_stopped_can_be_read_and_nothing_comes_after_it() {
        let (near, mut far) = pair();
        far.write_all(b"in time").await.unwrap();
        near.stop_reading().unwrap();
        let late = far.write(b"late").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
        let mut buffer = [0; 64];
        assert_eq!(near.read_now(&mut buffer).unwrap(), 7);
        assert_eq!(near.read_now(&mut buffer).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_of_every_kind_of_write() {
        let (mut near, far) = pair();
        drop(far);
        let plain = near.write(b"x").await.unwrap_err();
        let vectored = near.write_vectored(&[IoSlice::new(b"x")]).await.unwrap_err();
        assert_eq!([plain.kind(), vectored.kind()], [io::ErrorKind::BrokenPipe; 2]);
    }

    #[tokio::test]
    async fn a_write_that_waits_for_room_goes_on_when_the_peer_reads() {
        let (mut near, mut far) = pair();
        let chunk = [7; 64 * 1024];
        while timeout(Duration::ZERO, near.write(&chunk)).await.is_ok() {}
        let waiting = tokio::spawn(async move { near.write(&chunk).await });
        let mut taken = vec![0; chunk.len()];
        let go_on = async {
            while !waiting.is_finished() {
                far.read_exact(&mut taken).await.unwrap();
                tokio::task::yield_now().await;
            }
            waiting.await.unwrap().unwrap()
        };
        assert!(timeout(LIMIT, go_on).await.unwrap() > 0);
    }
}
