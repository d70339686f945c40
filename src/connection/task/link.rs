//! The socket: how it is opened, what goes through it, how it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::{Link, Task};
use crate::connection::breaker::Signal;
use crate::connection::gauge::Suspicion;
use crate::connection::message::{Freedom, Loss, Reply, Request, Responder};
use crate::connection::shared::Shared;
use crate::connection::socket::{End, Socket};
use crate::connection::state::Event;
use crate::connection::transport::{Connector, is_busy};
use crate::wire::reply::config_reply;

/// Replies that are handed out in one turn, at least.
const LEAST_SHARE: usize = 4;

impl<C: Connector> Task<C> {
    pub(super) fn poll_connect(&mut self, cx: &mut Context<'_>) -> bool {
        let Link::Opening { attempt, .. } = &mut self.link else { return false };
        match attempt.as_mut().poll(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(transport)) => {
                self.sockets += 1;
                self.gauge().traffic.connects.fetch_add(1, Relaxed);
                let max_frame_len = self.shared.limits.max_frame_len;
                self.link = Link::Open(Socket::new(transport, self.sockets, max_frame_len));
                self.idle_since = Instant::now();
                self.shrunk = true;
                self.last_error = None;
                self.event(Event::Connected);
                // While this one was being opened the others could not be: now
                // what waits here may spread over them.
                self.hand_back(1, Freedom::Move);
                self.wake_stalled();
            }
            Poll::Ready(Err(error)) => self.connect_failed(error),
        }
        true
    }

    pub(super) fn connect_failed(&mut self, error: io::Error) {
        let busy = is_busy(&error);
        self.last_error = Some(Arc::new(error));
        self.link = Link::Down;
        self.drop_abandoned();
        self.event(Event::ConnectFailed { busy });
    }

    /// Reads, and delivers to half of the calls; true if anything came.
    ///
    /// If all callers got their replies at once, the server would have nothing to do
    /// until they call again, and they nothing until it answers. So the two work side
    /// by side: while one half looks at its replies, the other half's calls are with
    /// the server. Where other connections keep it busy, larger batches are worth more;
    /// and where a reply is overdue, all that came is looked at before the server is
    /// judged by what did not.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let share = self.gauge().load().div_ceil(2).max(LEAST_SHARE);
        let all = self.stalled || self.another(|gauge| gauge.load() > 0);
        self.poll_deliver(cx, if all { usize::MAX } else { share })
    }

    /// Reads and delivers all that is there.
    pub(super) fn read_all(&mut self, cx: &mut Context<'_>) {
        while self.poll_deliver(cx, usize::MAX) {}
    }

    /// Whether the last read ended at its share.
    pub(super) fn may_read_more(&self) -> bool {
        matches!(&self.link, Link::Open(socket) if socket.more)
    }

    fn poll_deliver(&mut self, cx: &mut Context<'_>, share: usize) -> bool {
        let Link::Open(socket) = &mut self.link else { return false };
        let gauge = &self.shared.gauges[self.index];
        let number = socket.number;
        let deliveries = &mut self.deliveries;
        let outcome =
            socket.poll_read(cx, &gauge.traffic, share, |delivery| deliveries.push(delivery));
        let delivered = deliveries.len();
        let mut abandoned = 0;
        if delivered > 0 {
            socket.head_since = Instant::now();
            // Before their callers run: who calls again at once must find this
            // connection free and a place to be had.
            self.shared.release(self.index, delivered);
            self.missed = false;
            if self.shared.circuit.is_troubled() {
                let waits = |responder: &Responder| !responder.is_abandoned();
                let timely = deliveries.iter().any(|(to, _)| to.as_ref().is_some_and(waits));
                self.shared.circuit.signal(Signal::Reply { timely });
            }
        }
        // Nothing is sent behind a probe, so the one reply that can come is its own.
        let probed = delivered > 0 && std::mem::take(&mut self.probing);
        if probed
            && let Some((_, message)) = deliveries.pop()
            && config_reply(&message).is_err()
        {
            gauge.suspect(number, Suspicion::Undecodable);
        }
        for (responder, message) in deliveries.drain(..) {
            let reply = Reply { message, socket: number };
            if !responder.is_some_and(|responder| responder.reply(reply)) {
                abandoned += 1;
            }
        }
        self.delivered += delivered;
        if abandoned > 0 {
            gauge.traffic.abandoned.fetch_add(abandoned, Relaxed);
        }
        match outcome {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => {
                if delivered > 0 && self.stalled {
                    self.look_at_head(Instant::now());
                }
                if delivered > 0 && self.pending.is_empty() && self.in_flight() == 0 {
                    // A probe is no use of the connection, but it has taken memory.
                    if !probed {
                        self.idle_since = Instant::now();
                    }
                    self.shrunk = false;
                }
            }
            Poll::Ready(Err(End::Eof)) => {
                let reason = "the server closed the connection";
                self.hung_up(&disconnected(io::ErrorKind::UnexpectedEof, reason));
            }
            Poll::Ready(Err(End::Io(error))) => self.hung_up(&Loss::Disconnected(Arc::new(error))),
            Poll::Ready(Err(End::Framing(error))) => self.lost(&Loss::Framing(Arc::new(error))),
            Poll::Ready(Err(End::Unasked)) => {
                let reason = "the server sent a reply that nobody had asked for";
                self.lost(&Loss::Framing(Arc::new(io::Error::new(
                    io::ErrorKind::InvalidData,
                    reason,
                ))));
            }
        }
        true
    }

    /// Writes what is queued; true if the kernel took any.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let Link::Open(socket) = &mut self.link else { return false };
        match socket.poll_write(cx, &self.shared.gauges[self.index].traffic) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => {
                // Replies that came before the break are there to be read.
                self.read_all(cx);
                self.hung_up(&Loss::Disconnected(Arc::new(error)));
                true
            }
            Poll::Pending => false,
        }
    }

    /// The server ended the socket.
    fn hung_up(&mut self, loss: &Loss) {
        if !self.shared.circuit.is_closed() {
            self.shared.circuit.signal(Signal::HungUp);
        }
        self.lost(loss);
    }

    /// The socket, if there is one; an attempt to connect is left alone.
    pub(super) fn take_socket(&mut self) -> Option<Socket<C::Transport>> {
        match std::mem::replace(&mut self.link, Link::Down) {
            Link::Open(socket) => Some(socket),
            other => {
                self.link = other;
                None
            }
        }
    }

    /// Ends the socket. What the kernel has seen nothing of goes back to the
    /// queue, the rest is answered; the socket itself is never used again.
    pub(super) fn lost(&mut self, loss: &Loss) {
        let Some(mut socket) = self.take_socket() else { return };
        let freedom = self.shared.limits.freedom.min(Freedom::Move);
        while let Some(request) = socket.take_back() {
            match request {
                Some(request) => self.pending.push_front(Request { freedom, ..request }),
                None => self.shared.release(self.index, 1),
            }
        }
        let in_flight = socket.in_flight.len();
        self.shared.release(self.index, in_flight);
        socket.in_flight.drain().for_each(|responder| {
            responder.fail(loss.clone());
        });
        if let Loss::Disconnected(error) | Loss::Framing(error) = loss {
            self.last_error = Some(Arc::clone(error));
        } else {
            let reason = "the last connection was given up";
            self.last_error = Some(Arc::new(io::Error::other(reason)));
        }
        (self.missed, self.probing) = (false, false);
        self.drop_abandoned();
        self.credit(&socket);
        let Shared { plugin, socket: path, .. } = &*self.shared;
        tracing::debug!(%plugin, socket = %path.display(), connection = self.index, in_flight, ?loss, "connection lost");
        self.event(Event::Lost { demand: self.is_wanted() });
        // Only now: those who wait for it must not take this one for ready.
        self.set_stalled(false);
    }

    /// Forgets earlier failures if `socket`, which is at its end, had a good reply.
    /// One that its caller has not looked into yet is taken for good: the end often
    /// comes right behind it.
    pub(super) fn credit(&mut self, socket: &Socket<C::Transport>) {
        let (gauge, number) = (self.gauge(), socket.number);
        let unread = socket.answered && gauge.suspicion(number).is_none();
        if unread || gauge.is_confirmed(number) {
            self.event(Event::GoodReply);
        }
    }

    /// Closes the socket if a caller found a reply on it that was not its own.
    pub(super) fn check_suspicion(&mut self) {
        if let Link::Open(socket) = &self.link
            && let Some(suspicion) = self.gauge().suspicion(socket.number)
        {
            self.lost(&Loss::Faulted(suspicion.as_str()));
        }
    }
}

pub(super) fn disconnected(kind: io::ErrorKind, reason: &'static str) -> Loss {
    Loss::Disconnected(Arc::new(io::Error::new(kind, reason)))
}
