//! One open socket: frames in, frames out, and whose reply is whose.
//!
//! Reading and writing never wait for each other: both are tried in every turn
//! of the task, so a server that answers only after it was read from, or reads
//! only after its answer was taken, cannot bring the two to a standstill.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::gauge::Traffic;
use super::in_flight::InFlight;
use super::message::{Freedom, Request, Responder};
use super::outbox::Outbox;
use super::transport::Transport;
use crate::wire::{codec::FrameDecoder, request::EncodedFrame as Frame};

/// Room for a read: so much for each reply on its way. It is doubled while reads
/// fill it, up to [`MOST_ROOM`].
const LEAST_ROOM: usize = 512;
const MOST_ROOM: usize = 256 * 1024;

/// Reads in one turn, after which other tasks get theirs.
const READS: usize = 16;

/// How a socket ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The server closed it between two frames.
    Eof,
    Io(io::Error),
    /// The bytes are no frames, or end within one.
    Framing(io::Error),
    /// A reply came that nobody asked for, or before its request had left.
    Unasked,
}

/// Where a reply goes.
pub(crate) type Delivery = (Option<Responder>, Bytes);

#[derive(Debug)]
pub(crate) struct Socket<T> {
    transport: T,
    /// Tells this socket from those that the connection had before.
    pub(crate) number: u64,
    pub(crate) in_flight: InFlight<Responder, Instant>,
    pub(crate) outbox: Outbox,
    /// Between two reads: the beginning of a frame that is not whole.
    inbox: BytesMut,
    frames: FrameDecoder,
    /// A reply came that was asked for.
    pub(crate) answered: bool,
    /// Since when the server owes the next reply and no other.
    pub(crate) head_since: Instant,
    room: usize,
    /// The last read ended at its share: there may be more.
    pub(crate) more: bool,
}

impl<T: Transport> Socket<T> {
    pub(crate) fn new(transport: T, number: u64, max_frame_len: usize) -> Self {
        Self {
            transport,
            number,
            in_flight: InFlight::new(),
            outbox: Outbox::default(),
            inbox: BytesMut::new(),
            frames: FrameDecoder::new(max_frame_len),
            answered: false,
            head_since: Instant::now(),
            room: LEAST_ROOM,
            more: false,
        }
    }

    /// Queues a request; from here on the kernel may see it.
    pub(crate) fn send(&mut self, request: Request, now: Instant) {
        let Request { frame, deadline, mut responder, .. } = request;
        responder.mark_sent();
        if self.in_flight.is_empty() {
            self.head_since = now;
        }
        self.in_flight.push(responder, deadline, frame.len());
        self.outbox.push(frame);
    }

    /// Queues a request of the connection's own, which nobody waits for and which is
    /// overdue from `now` on.
    pub(crate) fn send_unasked(&mut self, frame: Frame, now: Instant) {
        self.in_flight.push_tombstone(now, frame.len());
        self.outbox.push(frame);
    }

    /// Takes back the last request if the kernel has seen nothing of it; `None`
    /// as responder if its caller has left.
    pub(crate) fn take_back(&mut self) -> Option<Option<Request>> {
        let entry = self.in_flight.take_back()?;
        let frame = self.outbox.pop_back()?;
        Some(entry.responder.map(|mut responder| {
            responder.mark_unsent();
            Request { frame, deadline: entry.deadline, freedom: Freedom::Stay, responder }
        }))
    }

    /// Reads what is there and delivers each reply to the request that it
    /// answers, up to `share` of them; `Pending` if nothing was there. If there may
    /// be `more`, the task is woken again.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        traffic: &Traffic,
        share: usize,
        mut deliver: impl FnMut(Delivery),
    ) -> Poll<Result<(), End>> {
        let mut left = share;
        self.more = false;
        if let Err(end) = self.deliver_frames(&mut left, &mut deliver) {
            return Poll::Ready(Err(end));
        }
        let mut any = left < share;
        for _ in 0..READS {
            if left == 0 {
                self.more = true;
                break;
            }
            match self.poll_fill(cx) {
                Poll::Pending if any => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(End::Io(error))),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.eof())),
                Poll::Ready(Ok(count)) => {
                    any = true;
                    traffic.bytes_received.fetch_add(count as u64, Relaxed);
                    if let Err(end) = self.deliver_frames(&mut left, &mut deliver) {
                        return Poll::Ready(Err(end));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    /// Reads once into the inbox: how many bytes.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let transport = Pin::new(&mut self.transport);
        if self.in_flight.is_empty() {
            // What comes now is the socket's end, or nothing that was asked for: no
            // reason for an inbox, or to make another while callers hold its bytes.
            let mut unasked = [0; 64];
            let mut unasked = ReadBuf::new(&mut unasked);
            ready!(transport.poll_read(cx, &mut unasked))?;
            self.inbox.extend_from_slice(unasked.filled());
            return Poll::Ready(Ok(unasked.filled().len()));
        }
        let room = (self.in_flight.len() * LEAST_ROOM).clamp(self.room, MOST_ROOM);
        // Replies that callers still hold pin the buffer, so a reserve may
        // allocate: once for many replies, not once for each.
        if self.inbox.capacity() - self.inbox.len() < room / 2 {
            self.inbox.reserve(room);
        }
        let spare = self.inbox.capacity() - self.inbox.len();
        let count = ready!(poll_read_buf(transport, cx, &mut self.inbox))?;
        if count == spare {
            self.room = (2 * room).min(MOST_ROOM);
        }
        Poll::Ready(Ok(count))
    }

    /// Delivers whole frames of the inbox until none is left, or nothing of the share.
    fn deliver_frames(
        &mut self,
        left: &mut usize,
        deliver: &mut impl FnMut(Delivery),
    ) -> Result<(), End> {
        while *left > 0
            && let Some(message) = self.frames.next(&mut self.inbox).map_err(End::Framing)?
        {
            let responder = self.in_flight.pop().map_err(|_| End::Unasked)?;
            self.answered = true;
            *left -= 1;
            deliver((responder, message.freeze()));
            if self.in_flight.is_empty() {
                break;
            }
        }
        // Left alone, it would pass for the beginning of the next reply.
        if !self.inbox.is_empty() && self.in_flight.is_empty() {
            return Err(End::Unasked);
        }
        Ok(())
    }

    fn eof(&self) -> End {
        if self.inbox.is_empty() {
            return End::Eof;
        }
        let reason = "the connection ended within a frame";
        End::Framing(io::Error::new(io::ErrorKind::UnexpectedEof, reason))
    }

    /// Writes what is queued, as far as the kernel takes it; `Pending` if it takes nothing.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        traffic: &Traffic,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        while !self.outbox.is_empty() {
            match self.outbox.poll_write(Pin::new(&mut self.transport), cx) {
                Poll::Ready(Ok(count)) => {
                    self.in_flight.advance(count);
                    any = true;
                    traffic.bytes_sent.fetch_add(count as u64, Relaxed);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if any { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Gives back the memory of past bursts; for a socket that is quiet.
    pub(crate) fn shrink(&mut self) {
        self.room = LEAST_ROOM;
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
        self.outbox.shrink();
        self.in_flight.shrink();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, join, sink};

    use super::*;

    #[test]
    fn a_turn_that_has_handed_out_its_share_reads_no_further() {
        const FIRST: &[u8] = &[0, 0, 0, 1, b'a', 0, 0, 0, 1, b'b'];
        const SECOND: &[u8] = &[0, 0, 0, 1, b'c', 0, 0, 0, 1, b'd'];
        let replies = FIRST.chain(SECOND);
        let mut socket = Socket::new(join(replies, sink()), 1, 16);
        for _ in 0..4 {
            let (responder, _) = Responder::new();
            let (deadline, freedom) = (Instant::now(), Freedom::Stay);
            let request = Request { frame: vec![0], deadline, freedom, responder };
            socket.send(request, deadline);
        }
        let (mut cx, traffic) = (Context::from_waker(Waker::noop()), Traffic::default());
        assert!(socket.poll_write(&mut cx, &traffic).is_ready());
        for expected in [b"ab", b"cd"] {
            let mut marks = Vec::new();
            let outcome = socket.poll_read(&mut cx, &traffic, 2, |(_, message)| {
                marks.extend_from_slice(&message);
            });
            assert!(matches!(outcome, Poll::Ready(Ok(()))), "{outcome:?}");
            assert_eq!(marks, expected);
        }
    }
}
