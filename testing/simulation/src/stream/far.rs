//! The server's end.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Event, Side, Wire, lock};

pub struct Far {
    wire: Arc<Mutex<Wire>>,
}

impl Far {
    pub(super) fn new(wire: Arc<Mutex<Wire>>) -> Self {
        Self { wire }
    }

    /// Another way to the same end: only what it is told matters.
    pub fn scissors(&self) -> Scissors {
        Scissors(Arc::clone(&self.wire))
    }

    /// Closes as if bytes of the client were unread.
    pub fn reset(self) {
        lock(&self.wire).down.reset = true;
    }
}

impl AsyncRead for Far {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        let left = wire.up_left.unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let ready = wire.up.bytes.len().min(buffer.remaining()).min(left);
        if ready > 0 {
            let count = wire.cut(ready);
            wire.up_left = wire.up_left.map(|left| left - count);
            Wire::read(&mut wire.up, count, buffer);
            return Poll::Ready(Ok(()));
        }
        if wire.up.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.up.ended {
            return Poll::Ready(Ok(()));
        }
        wire.up.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = lock(&self.wire);
        if wire.down.unread || wire.down.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let left = wire.down_left.unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let bytes = &bytes[..bytes.len().min(left)];
        let room = wire.mood.capacity.saturating_sub(wire.down.bytes.len()).min(bytes.len());
        if room == 0 {
            wire.down.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.cut(room);
        wire.down.bytes.extend(&bytes[..count]);
        wire.down_left = wire.down_left.map(|left| left - count);
        wire.tap.down(&bytes[..count]);
        if let Some(reader) = wire.down.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        wire.down.ended = true;
        wire.down.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let mut wire = lock(&self.wire);
        let unread = !wire.up.bytes.is_empty();
        wire.up.unread = true;
        wire.up.bytes.clear();
        wire.down.reset |= unread;
        wire.down.ended = true;
        wire.up.wake();
        wire.down.wake();
        wire.world.see(Event::Closed { conn: wire.conn, by: Side::Server });
    }
}

/// Cuts a connection from the server's side, at any byte.
pub struct Scissors(Arc<Mutex<Wire>>);

impl Scissors {
    /// The server writes so many bytes, and is gone.
    pub fn cut_down(&self, after: usize) {
        lock(&self.0).down_left.get_or_insert(after);
    }

    /// It reads so many more, and is gone.
    pub fn cut_up(&self, after: usize) {
        lock(&self.0).up_left.get_or_insert(after);
    }

    /// Behind what was written there is no end but a reset.
    pub fn reset(&self) {
        lock(&self.0).down.reset = true;
    }
}
