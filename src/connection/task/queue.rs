//! The requests that are not on a socket yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::{Link, Task};
use crate::connection::message::{Loss, Reply};
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
                if self.machine.is_failing_fast() {
                    let loss = Loss::Unavailable {
                        attempts: self.machine.failures(),
                        error: Arc::clone(&self.last_error),
                    };
                    request.responder.fail(loss, None);
                    self.released += 1;
                    continue;
                }
                if self.deadlines_from.is_none_or(|from| request.deadline < from) {
                    self.deadlines_from = Some(request.deadline);
                }
                self.pending.push_back(request);
            }
        }
        if any && self.stalled {
            self.hand_back(0);
        }
        if !self.pending.is_empty() && self.machine.state() == ConnectionState::Idle {
            self.event(Event::Wanted);
        }
        any
    }

    /// Moves pending requests to the socket, as many as may be in flight.
    pub(super) fn send_pending(&mut self) {
        let Link::Open(socket) = &mut self.link else { return };
        while !self.stalled
            && socket.in_flight.len() < self.shared.limits.max_in_flight
            && !socket.outbox.is_full()
        {
            let Some(request) = self.pending.pop_front() else { break };
            if request.responder.is_abandoned() {
                self.released += 1;
                self.shared.gauges[self.index].traffic.abandoned.fetch_add(1, Relaxed);
            } else if request.frame.is_empty() {
                // It asked for the connection itself.
                let reply = Reply { message: bytes::Bytes::new(), socket: socket.number };
                request.responder.reply(reply);
                self.released += 1;
            } else {
                socket.send(request);
            }
        }
    }

    /// Gives pending requests back, all but the first `keep`, for another
    /// connection of the plugin to take.
    pub(super) fn hand_back(&mut self, keep: usize) {
        let mut kept = VecDeque::new();
        for request in self.pending.drain(..) {
            if request.may_move && kept.len() >= keep {
                request.responder.fail(Loss::Moved, Some(request.frame));
                self.released += 1;
            } else {
                kept.push_back(request);
            }
        }
        self.pending = kept;
    }

    pub(super) fn fail_pending(&mut self, loss: &Loss) {
        self.released += self.pending.len();
        for request in self.pending.drain(..) {
            request.responder.fail(loss.clone(), None);
        }
    }

    pub(super) fn drop_abandoned(&mut self) {
        let before = self.pending.len();
        self.pending.retain(|request| !request.responder.is_abandoned());
        let left = before - self.pending.len();
        self.released += left;
        self.gauge().traffic.abandoned.fetch_add(left as u64, Relaxed);
    }

    /// Answers the callers whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let released = &mut self.released;
        let mut waiting = VecDeque::with_capacity(self.pending.len());
        for request in self.pending.drain(..) {
            if request.deadline <= now {
                request.responder.fail(Loss::Expired(Stage::Queued), None);
                *released += 1;
            } else {
                waiting.push_back(request);
            }
        }
        self.pending = waiting;
        let mut earliest = self.pending.iter().map(|request| request.deadline).min();
        if let Link::Open(socket) = &mut self.link {
            socket.in_flight.expire(now).for_each(|responder| {
                responder.fail(Loss::Expired(Stage::InFlight), None);
            });
            let written = socket.in_flight.earliest_deadline();
            earliest = [earliest, written].into_iter().flatten().min();
        }
        self.deadlines_from = earliest;
    }

    pub(super) fn unavailable(&self) -> Loss {
        Loss::Unavailable { attempts: self.machine.failures(), error: Arc::clone(&self.last_error) }
    }
}
