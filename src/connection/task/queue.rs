//! The requests that are not on a socket yet.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst, fence};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Task};
use crate::connection::breaker::Signal;
use crate::connection::gauge::Gauge;
use crate::connection::message::{Freedom, Loss, Moved, Place, Reply};
use crate::connection::state::{ConnectionState, Event};
use crate::connection::transport::Connector;
use crate::error::Stage;

/// Requests taken from the queue at a time.
const TAKE: usize = 256;

impl<C: Connector> Task<C> {
    /// Takes what callers have queued; true if there was any.
    pub(super) fn poll_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(count) = self.requests.poll_recv_many(cx, &mut self.taken, TAKE) {
            if count == 0 {
                break;
            }
            any = true;
            for request in self.taken.drain(..) {
                if self.deadlines_from.is_none_or(|from| request.deadline < from) {
                    self.deadlines_from = Some(request.deadline);
                }
                self.pending.push_back(request);
            }
        }
        if any && self.machine.is_failing_fast() {
            self.give_up();
        }
        if self.stalled {
            self.leave_stalled();
        }
        if !self.pending.is_empty() && self.machine.state() == ConnectionState::Idle {
            self.event(Event::Wanted);
        }
        any
    }

    /// Moves pending requests to the socket, as many as may be in flight.
    pub(super) fn send_pending(&mut self) {
        let Link::Open(socket) = &mut self.link else { return };
        if self.pending.is_empty() {
            return;
        }
        let now = Instant::now();
        while !self.stalled
            && socket.in_flight.len() < self.shared.limits.max_in_flight
            && !socket.outbox.is_full()
        {
            let Some(request) = self.pending.pop_front() else { break };
            if request.responder.is_abandoned() {
                self.shared.release(self.index, 1);
                self.shared.gauges[self.index].traffic.abandoned.fetch_add(1, Relaxed);
            } else if request.deadline <= now {
                // Its hook would run for a caller who is told that it did not answer.
                self.shared.release(self.index, 1);
                request.responder.fail(Loss::Expired(Stage::Queued, None));
            } else if request.frame.is_empty() {
                // It asked for the connection itself.
                let reply = Reply { message: bytes::Bytes::new(), socket: socket.number };
                self.shared.release(self.index, 1);
                request.responder.reply(reply);
            } else {
                socket.send(request, now);
            }
        }
    }

    /// Gives pending requests back, all but the first `keep`, for another
    /// connection of the plugin to take; they are left with this `freedom`.
    pub(super) fn hand_back(&mut self, keep: usize, freedom: Freedom) {
        self.give_back(keep, |has| (has > freedom).then_some(freedom));
    }

    /// Hands on what waits for a connection that could not be made, while this one tries
    /// again.
    pub(super) fn hand_on(&mut self) {
        if self.another(Gauge::is_ready) {
            self.hand_back(0, Freedom::Stay);
        } else if self.another(|gauge| gauge.state() == ConnectionState::Ready) {
            // Stalled: better one that has to be opened, if that can be.
            self.hand_back(0, Freedom::Move);
        } else if self.index > 0 && self.shared.stop_at().is_none() {
            // The first goes on for all. What waits there is as free as it was: it
            // spreads once there is a connection. In a drain the first may have ended.
            self.give_back(0, |has| (has > Freedom::Stay).then_some(has));
        }
    }

    /// `left` says which requests leave, and with how much freedom.
    fn give_back(&mut self, keep: usize, left: impl Fn(Freedom) -> Option<Freedom>) {
        let mut kept = VecDeque::new();
        for request in self.pending.drain(..) {
            match left(request.freedom) {
                Some(freedom) if kept.len() >= keep => {
                    self.shared.gauges[self.index].sub_load(1);
                    let (frame, place) = (request.frame, Place::new(&self.shared));
                    request.responder.hand_back(Moved { frame, freedom, place });
                }
                _ => kept.push_back(request),
            }
        }
        self.pending = kept;
    }

    /// Nothing is sent on a stalled connection: what waits there takes another.
    pub(super) fn leave_stalled(&mut self) {
        // One that comes about, or is free again, now is seen here, or sees that this one
        // is stalled and wakes it.
        fence(SeqCst);
        if self.another(|gauge| gauge.is_ready()) {
            self.hand_back(0, Freedom::Stay);
        } else if self.another(|gauge| gauge.is_unopened()) {
            self.hand_back(0, Freedom::Move);
        }
    }

    /// Opens the plugin's breaker, unless another connection works.
    pub(super) fn tell_unreachable(&self, delay: Duration, broken: bool) {
        if !self.another(Gauge::is_ready) {
            let attempts = self.machine.failures();
            self.shared.circuit.unreachable(attempts, &self.why_down(), delay, broken);
            // One that came about meanwhile found the breaker closed. Either it sees now
            // that it is open, or it is seen here: see `event`.
            fence(SeqCst);
            if self.another(Gauge::is_ready) {
                self.shared.circuit.signal(Signal::Connected);
            }
        }
    }

    /// Whether there shall be a connection. While the breaker is open one is kept
    /// without calls too: that it ends, or comes about, tells of a restart.
    pub(super) fn is_wanted(&self) -> bool {
        let has_it = |gauge: &Gauge| {
            matches!(gauge.state(), ConnectionState::Ready | ConnectionState::Connecting)
        };
        !self.pending.is_empty() || (!self.shared.circuit.is_closed() && !self.another(has_it))
    }

    /// The plugin cannot be reached over this connection: what waits takes another
    /// one, or is told so.
    pub(super) fn give_up(&mut self) {
        if self.another(|gauge| gauge.is_ready()) {
            self.hand_back(0, Freedom::Stay);
        }
        let (attempts, error) = (self.machine.failures(), self.why_down());
        let retry_after = self.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        self.fail_pending(&Loss::Unavailable { attempts, error, retry_after });
    }

    fn why_down(&self) -> Arc<io::Error> {
        let unknown = || Arc::new(io::ErrorKind::NotConnected.into());
        self.last_error.clone().unwrap_or_else(unknown)
    }

    /// Whether any of the plugin's other connections is like this.
    pub(super) fn another(&self, is: impl Fn(&Gauge) -> bool) -> bool {
        let mut gauges = self.shared.gauges.iter().enumerate();
        gauges.any(|(index, gauge)| index != self.index && is(gauge))
    }

    pub(super) fn fail_pending(&mut self, loss: &Loss) {
        self.shared.release(self.index, self.pending.len());
        for request in self.pending.drain(..) {
            request.responder.fail(loss.clone());
        }
    }

    pub(super) fn drop_abandoned(&mut self) {
        let before = self.pending.len();
        self.pending.retain(|request| !request.responder.is_abandoned());
        let left = before - self.pending.len();
        self.shared.release(self.index, left);
        self.gauge().traffic.abandoned.fetch_add(left as u64, Relaxed);
    }

    /// Answers the callers whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut waiting = VecDeque::with_capacity(self.pending.len());
        let last_error = self.last_error.as_ref();
        for request in self.pending.drain(..) {
            if request.deadline <= now {
                self.shared.release(self.index, 1);
                request.responder.fail(Loss::Expired(Stage::Queued, last_error.cloned()));
            } else {
                waiting.push_back(request);
            }
        }
        self.pending = waiting;
        let mut earliest = self.pending.iter().map(|request| request.deadline).min();
        self.miss_head(now);
        if let Link::Open(socket) = &mut self.link {
            socket.in_flight.expire(now).for_each(|responder| {
                responder.fail(Loss::Expired(Stage::InFlight, None));
            });
            let written = socket.in_flight.earliest_deadline();
            earliest = [earliest, written].into_iter().flatten().min();
        }
        self.deadlines_from = earliest;
    }
}
