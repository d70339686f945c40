//! Connections without a socket, and the switch that cuts them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;

/// What fits into a line before the other end reads, as into a socket's buffers.
const CAPACITY: usize = 64 * 1024;

/// Whether a double can be reached.
#[derive(Debug)]
pub(super) struct Switch(watch::Sender<Position>);

#[derive(Debug, Clone, Copy)]
struct Position {
    is_up: bool,
    /// Lines that were made before the last cut are dead.
    cuts: u64,
}

impl Switch {
    pub(super) fn up() -> Self {
        Self(watch::Sender::new(Position { is_up: true, cuts: 0 }))
    }

    /// Lets connections be made, or no more.
    pub(super) fn set(&self, is_up: bool) {
        self.0.send_modify(|position| position.is_up = is_up);
    }

    /// Ends every connection that there is.
    pub(super) fn cut(&self) {
        self.0.send_modify(|position| position.cuts += 1);
    }

    /// A new line: the caller's end, and the double's.
    ///
    /// # Errors
    /// The double is down.
    pub(super) fn line(&self) -> io::Result<(Line, DuplexStream)> {
        let position = self.0.subscribe();
        let Position { is_up, cuts } = *position.borrow();
        if !is_up {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the double is down"));
        }
        let (near, far) = tokio::io::duplex(CAPACITY);
        Ok((Line { stream: near, cut: Cut { position, cuts } }, far))
    }
}

/// Tells whether one line is cut.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    position: watch::Receiver<Position>,
    cuts: u64,
}

impl Cut {
    fn has_come(&self) -> bool {
        self.position.borrow().cuts != self.cuts
    }

    /// Waits for it; for ever, if nobody is there any more who could cut.
    pub(super) async fn comes(mut self) {
        if self.position.wait_for(|position| position.cuts != self.cuts).await.is_err() {
            std::future::pending().await
        }
    }
}

/// The caller's end. From the moment of the cut on nothing can be written to it, whether the
/// double's end is closed by then or not: no call that is made after the cut goes over it.
#[derive(Debug)]
pub(super) struct Line {
    stream: DuplexStream,
    cut: Cut,
}

impl Line {
    pub(super) fn cut(&self) -> Cut {
        self.cut.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cut.has_come() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
