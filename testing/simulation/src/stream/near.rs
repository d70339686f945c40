//! The client's end.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Event, Side, Wire, lock};
use crate::dice::chance;
use crate::mood::Fault;

pub struct Near {
    wire: Arc<Mutex<Wire>>,
    /// The kernel takes nothing until then.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Near {
    pub(super) fn new(wire: Arc<Mutex<Wire>>) -> Self {
        Self { wire, stall: None }
    }
}

impl AsyncRead for Near {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        let ready = wire.down.bytes.len().min(buffer.remaining());
        if ready > 0 {
            let count = wire.cut(ready);
            Wire::read(&mut wire.down, count, buffer);
            return Poll::Ready(Ok(()));
        }
        if wire.down.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.down.ended {
            return Poll::Ready(Ok(()));
        }
        wire.down.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let near = &mut *self;
        let mut wire = lock(&near.wire);
        let wire = &mut *wire;
        if let Some(stall) = &mut near.stall {
            if !wire.up.unread && stall.as_mut().poll(cx).is_pending() {
                wire.up.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            near.stall = None;
        }
        if wire.up.unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let offered: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let room = wire.mood.capacity.saturating_sub(wire.up.bytes.len()).min(offered);
        if room == 0 {
            wire.up.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.cut(room);
        let mut left = count;
        for buffer in buffers {
            let taken = &buffer[..left.min(buffer.len())];
            wire.up.bytes.extend(taken);
            wire.tap.up(taken);
            left -= taken.len();
        }
        if let Some(reader) = wire.up.reader.take() {
            reader.wake();
        }
        let mood = wire.world.mood();
        if mood.faults.has(Fault::Stall) && chance(&mut wire.rng, mood.often.min(10)) {
            wire.world.count_fault();
            let stalled = Duration::from_millis(wire.rng.u64(1..=3000));
            near.stall = Some(Box::pin(sleep_until(Instant::now() + stalled)));
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        wire.up.ended = true;
        wire.up.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        let mut wire = lock(&self.wire);
        let unread = !wire.down.bytes.is_empty();
        wire.down.unread = true;
        wire.down.bytes.clear();
        wire.up.ended = true;
        wire.up.reset |= unread;
        wire.down.wake();
        wire.up.wake();
        wire.world.see(Event::Closed { conn: wire.conn, by: Side::Client });
    }
}
