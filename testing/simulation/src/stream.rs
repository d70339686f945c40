//! A socket in memory: two ends, a buffer for each direction, and a kernel that cuts
//! reads and writes wherever the dice fall.
//!
//! As with a Unix socket, what one side has written the other can read at once, bytes
//! that are in the buffer outlive their writer, and whoever closes with bytes unread
//! resets the other.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::event::{Conn, Event, Side};
use crate::mood::{Fault, Mood};
use crate::tap::Tap;
use crate::world::{World, chance, dice};

/// One direction.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody will read any more.
    unread: bool,
    /// Behind the bytes there is no end but a reset.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

struct Wire {
    conn: Conn,
    world: Arc<World>,
    /// To the server and to the client.
    up: Pipe,
    down: Pipe,
    rng: fastrand::Rng,
    mood: Mood,
    tap: Tap,
}

impl Wire {
    /// How many of `most` bytes are moved at a time.
    fn cut(&mut self, most: usize) -> usize {
        match self.mood.cut {
            0 => most,
            cut => self.rng.usize(1..=cut).min(most),
        }
    }

    fn read(pipe: &mut Pipe, count: usize, buffer: &mut ReadBuf<'_>) {
        let (front, back) = pipe.bytes.as_slices();
        let first = count.min(front.len());
        buffer.put_slice(&front[..first]);
        buffer.put_slice(&back[..count - first]);
        pipe.bytes.drain(..count);
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
    }
}

/// Makes a socket: the client's end and the server's.
pub fn pair(world: &Arc<World>, conn: Conn) -> (Near, Far) {
    let wire = Wire {
        conn,
        world: Arc::clone(world),
        up: Pipe::default(),
        down: Pipe::default(),
        rng: dice(world.seed, "wire", conn.into()),
        mood: world.mood(),
        tap: Tap::default(),
    };
    let wire = Arc::new(Mutex::new(wire));
    (Near { wire: Arc::clone(&wire), stall: None }, Far { wire })
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's end.
pub struct Near {
    wire: Arc<Mutex<Wire>>,
    /// The kernel takes nothing until then.
    stall: Option<Pin<Box<Sleep>>>,
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
            wire.tap.push(taken, |call| wire.world.see(Event::Written { conn: wire.conn, call }));
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

/// The server's end.
pub struct Far {
    wire: Arc<Mutex<Wire>>,
}

impl Far {
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
        let ready = wire.up.bytes.len().min(buffer.remaining());
        if ready > 0 {
            let count = wire.cut(ready);
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
        let room = wire.mood.capacity.saturating_sub(wire.down.bytes.len()).min(bytes.len());
        if room == 0 {
            wire.down.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.cut(room);
        wire.down.bytes.extend(&bytes[..count]);
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
