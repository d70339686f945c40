//! One open socket: frames in, frames out, and whose reply is whose.
//!
//! Reading and writing never wait for each other: both are tried in every turn
//! of the task, so a server that answers only after it was read from, or reads
//! only after its answer was taken, cannot bring the two to a standstill.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::closed::Closed;
use super::connect::Transport;
use super::in_flight::{Entry, InFlight, Kind};
use super::message::{Method, Request, Responder};
use super::slot::Traffic;
use super::write_queue::WriteQueue;
use crate::wire::{codec::FrameDecoder, request::EncodedFrame};

/// Room for a read: so much for each reply on its way. It is doubled while reads
/// fill it, up to [`MOST_ROOM`].
const LEAST_ROOM: usize = 512;
const MOST_ROOM: usize = 256 * 1024;

/// Reads in one turn, after which other tasks get theirs.
const READS: usize = 16;

/// Replies, and their bytes, that may come between two moments at which nothing is left
/// to be read. The kernel holds more of them, so a server that is within these has
/// handed over all that it has answered.
const CERTAIN: (usize, usize) = (64, 16 * 1024);

/// How reading goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What the runtime has heard of.
    AsTold,
    /// What is there; see [`Transport::poll_read_now`].
    Now,
}

/// A reply, and the request that it answers.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// `None` if the caller has left.
    pub(crate) responder: Option<Responder>,
    pub(crate) kind: Kind,
    pub(crate) message: Bytes,
}

#[derive(Debug)]
pub(crate) struct Socket<T> {
    transport: T,
    pub(crate) in_flight: InFlight<Responder, Instant>,
    pub(crate) write_queue: WriteQueue,
    /// Between two reads: the beginning of a frame that is not whole.
    inbox: BytesMut,
    frames: FrameDecoder,
    /// A reply came that a call, or a probe, had asked for.
    pub(crate) answered: bool,
    /// Replies and bytes since nothing was left to be read.
    since_empty: (usize, usize),
    /// The server may have answered more than was read: it could be ahead of the oldest
    /// request in flight.
    pub(crate) in_doubt: bool,
    /// Since when the server owes the next reply and no other.
    pub(crate) head_since: Instant,
    room: usize,
    /// The last read ended at its share: there may be more.
    pub(crate) more: bool,
}

impl<T: Transport> Socket<T> {
    pub(crate) fn new(transport: T, max_frame_len: usize) -> Self {
        Self {
            transport,
            in_flight: InFlight::new(),
            write_queue: WriteQueue::default(),
            inbox: BytesMut::new(),
            frames: FrameDecoder::new(max_frame_len),
            answered: false,
            since_empty: (0, 0),
            in_doubt: false,
            head_since: Instant::now(),
            room: LEAST_ROOM,
            more: false,
        }
    }

    /// Queues a request; from here on the kernel may see it.
    pub(crate) fn send(&mut self, request: Request, now: Instant) {
        let Request { method, frame, deadline, mut responder } = request;
        responder.mark_sent();
        if self.in_flight.is_empty() {
            self.head_since = now;
        }
        let kind = method.kind().unwrap_or(Kind::Question);
        self.in_flight.push(Some(responder), kind, deadline, frame.len());
        self.write_queue.push(frame);
    }

    /// Queues a probe: nobody waits for it, and it is overdue from `now` on.
    pub(crate) fn send_probe(&mut self, frame: EncodedFrame, now: Instant) {
        self.in_flight.push(None, Kind::Probe, now, frame.len());
        self.write_queue.push(frame);
    }

    /// Takes back all requests of which the kernel has seen nothing, in their order, and
    /// how many more there were whose callers have left.
    pub(crate) fn take_back_unsent(&mut self) -> (VecDeque<Request>, usize) {
        let (mut unsent, mut abandoned) = (VecDeque::new(), 0);
        while let Some(request) = self.take_back() {
            match request {
                Some(request) => unsent.push_front(request),
                None => abandoned += 1,
            }
        }
        (unsent, abandoned)
    }

    /// The last request if the kernel has seen nothing of it; `None` within if its caller
    /// has left.
    fn take_back(&mut self) -> Option<Option<Request>> {
        let entry = self.in_flight.take_back()?;
        let frame = self.write_queue.pop_back()?;
        let method = match entry.kind {
            Kind::Hook => Method::InvokeHook,
            Kind::Check => Method::Check,
            Kind::Question | Kind::Probe => Method::GetConfig,
        };
        Some(entry.responder.map(|mut responder| {
            responder.mark_unsent();
            Request { method, frame, deadline: entry.deadline, responder }
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
        reading: Reading,
        mut deliver: impl FnMut(Delivery),
    ) -> Poll<Result<(), Closed>> {
        let mut left = share;
        self.more = false;
        if let Err(closed) = self.deliver_frames(&mut left, &mut deliver) {
            return Poll::Ready(Err(closed));
        }
        let mut any = left < share;
        for _ in 0..READS {
            if left == 0 {
                self.more = true;
                break;
            }
            match self.poll_fill(cx, reading) {
                Poll::Pending => {
                    self.since_empty = (0, 0);
                    return if any { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Closed::Io(Arc::new(error)))),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.eof())),
                Poll::Ready(Ok(count)) => {
                    any = true;
                    self.since_empty.1 += count;
                    traffic.bytes_received.fetch_add(count as u64, Relaxed);
                    if let Err(closed) = self.deliver_frames(&mut left, &mut deliver) {
                        return Poll::Ready(Err(closed));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    /// Reads once into the inbox: how many bytes.
    fn poll_fill(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<io::Result<usize>> {
        let mut transport = Told { transport: &mut self.transport, reading };
        let transport = Pin::new(&mut transport);
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
    ) -> Result<(), Closed> {
        while *left > 0
            && let Some(message) = self
                .frames
                .next(&mut self.inbox)
                .map_err(|error| Closed::Framing(Arc::new(error)))?
        {
            let Entry { responder, kind, .. } =
                self.in_flight.pop().map_err(|_| Closed::Unasked)?;
            // An answer to the plugin's own task says nothing of its health.
            self.answered |= kind != Kind::Check;
            self.since_empty.0 += 1;
            *left -= 1;
            deliver(Delivery { responder, kind, message: message.freeze() });
            if self.in_flight.is_empty() {
                break;
            }
        }
        // Left alone, it would pass for the beginning of the next reply.
        if !self.inbox.is_empty() && self.in_flight.is_empty() {
            return Err(Closed::Unasked);
        }
        let (replies, bytes) = self.since_empty;
        if self.in_flight.is_empty() {
            self.in_doubt = false;
        } else if replies > CERTAIN.0 || bytes > CERTAIN.1 {
            self.in_doubt = true;
        }
        Ok(())
    }

    fn eof(&self) -> Closed {
        if self.inbox.is_empty() {
            return Closed::Eof;
        }
        let reason = "the connection ended within a frame";
        Closed::Framing(Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
    }

    /// Takes nothing more from the server than what it has written until now.
    pub(crate) fn stop_reading(&self) {
        self.transport.stop_reading();
    }

    /// Writes what is queued, as far as the kernel takes it; `Pending` if it takes nothing.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        traffic: &Traffic,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        while !self.write_queue.is_empty() {
            match self.write_queue.poll_write(Pin::new(&mut self.transport), cx) {
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
        self.write_queue.shrink();
        self.in_flight.shrink();
    }
}

/// Reads in the one way or the other.
struct Told<'a, T> {
    transport: &'a mut T,
    reading: Reading,
}

impl<T: Transport> AsyncRead for Told<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reading = self.reading;
        let transport = Pin::new(&mut *self.transport);
        match reading {
            Reading::AsTold => transport.poll_read(cx, buffer),
            Reading::Now => transport.poll_read_now(cx, buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, join, sink};

    use super::*;

    /// One frame with nothing in it.
    const EMPTY: &[u8] = &[0; 4];

    /// A socket that was asked once, and whether the reply tells of the server's health.
    fn answered(method: Method) -> bool {
        let mut socket = Socket::new(join(EMPTY, sink()), 16);
        let (responder, _answer) = Responder::new();
        let deadline = Instant::now();
        socket.send(Request { method, frame: vec![0], deadline, responder }, deadline);
        let (mut cx, traffic) = (Context::from_waker(Waker::noop()), Traffic::default());
        assert!(socket.poll_write(&mut cx, &traffic).is_ready());
        let mut replies = 0;
        let _ = socket.poll_read(&mut cx, &traffic, 2, Reading::AsTold, |_| replies += 1);
        assert_eq!(replies, 1);
        socket.answered
    }

    #[test]
    fn only_what_callers_have_asked_for_tells_of_the_servers_health() {
        assert!(answered(Method::InvokeHook) && answered(Method::GetConfig));
        assert!(!answered(Method::Check));
    }

    #[test]
    fn a_turn_that_has_handed_out_its_share_reads_no_further() {
        const FIRST: &[u8] = &[0, 0, 0, 1, b'a', 0, 0, 0, 1, b'b'];
        const SECOND: &[u8] = &[0, 0, 0, 1, b'c', 0, 0, 0, 1, b'd'];
        let replies = FIRST.chain(SECOND);
        let mut socket = Socket::new(join(replies, sink()), 16);
        for _ in 0..4 {
            let (responder, _) = Responder::new();
            let (deadline, method) = (Instant::now(), Method::InvokeHook);
            let request = Request { method, frame: vec![0], deadline, responder };
            socket.send(request, deadline);
        }
        let (mut cx, traffic) = (Context::from_waker(Waker::noop()), Traffic::default());
        assert!(socket.poll_write(&mut cx, &traffic).is_ready());
        for expected in [b"ab", b"cd"] {
            let mut marks = Vec::new();
            let outcome = socket.poll_read(&mut cx, &traffic, 2, Reading::AsTold, |reply| {
                marks.extend_from_slice(&reply.message);
            });
            assert!(matches!(outcome, Poll::Ready(Ok(()))), "{outcome:?}");
            assert_eq!(marks, expected);
        }
    }
}
