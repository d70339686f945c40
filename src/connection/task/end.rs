//! The end of a connection: everybody is answered, every place is given back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::{Link, Task};
use crate::connection::breaker::Signal;
use crate::connection::message::{Loss, Request};
use crate::connection::state::{ConnectionState, Event};
use crate::connection::transport::Connector;
use crate::sync::atomic::Ordering::SeqCst;

impl<C: Connector> Task<C> {
    /// True once there is nothing left to do, ever.
    pub(super) fn is_done(&self) -> bool {
        if self.machine.state() == ConnectionState::Shutdown {
            return true;
        }
        let Some(stop_at) = self.shared.stop_at() else {
            // The last handle is gone, and with it everybody who could wait.
            return self.requests.is_closed() && self.requests.is_empty() && {
                let waits = |request: &Request| !request.responder.is_abandoned();
                !self.pending.iter().any(waits) && self.nobody_waits_in_flight()
            };
        };
        // First: what was on the move until now is in a queue after that.
        let nothing_left = self.shared.moving.load(SeqCst) == 0
            && self.pending.is_empty()
            && self.requests.is_empty()
            && self.nobody_waits_in_flight();
        nothing_left || stop_at <= Instant::now()
    }

    pub(super) fn nobody_waits_in_flight(&self) -> bool {
        match &self.link {
            Link::Open(socket) => socket.in_flight.nobody(|responder| !responder.is_abandoned()),
            _ => true,
        }
    }

    /// Answers everybody, and closes the queue to whoever comes later.
    pub(super) fn finish(&mut self, loss: &Loss) {
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.pending.push_back(request);
        }
        if let Link::Open(mut socket) = std::mem::replace(&mut self.link, Link::Down) {
            while let Some(request) = socket.take_back() {
                match request {
                    Some(request) => self.pending.push_front(request),
                    None => self.shared.release(self.index, 1),
                }
            }
            self.shared.release(self.index, socket.in_flight.len());
            socket.in_flight.drain().for_each(|responder| {
                responder.fail(loss.clone());
            });
        }
        self.fail_pending(loss);
        self.event(Event::ShutDown);
    }

    /// Answers who found the queue open and put a call into it after `finish` had
    /// emptied it; `Ready` when there can be no more of them, which only the queue
    /// itself knows. A call that stays in it would never be answered.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>, loss: &Loss) -> Poll<()> {
        while let Some(request) = ready!(self.requests.poll_recv(cx)) {
            self.shared.release(self.index, 1);
            request.responder.fail(loss.clone());
        }
        Poll::Ready(())
    }
}

/// A task whose runtime goes away ends without a last turn. Places that it kept
/// would have callers wait for nothing.
impl<C: Connector> Drop for Task<C> {
    fn drop(&mut self) {
        let ended = self.machine.state() == ConnectionState::Shutdown;
        self.finish(&Loss::TaskGone);
        self.gauge().set_in_flight(0);
        // Whoever is late is a few instructions away, on another thread.
        let mut late = pin!(unconstrained(poll_fn(|cx| self.poll_late(cx, &Loss::TaskGone))));
        while late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            std::thread::yield_now();
        }
        if !ended {
            // Who waits for a place learns it now, and not from a timer of a runtime that
            // is gone. And the breaker could stay open, with nobody left to find the
            // plugin again. (Who shut it down wants no news of it.)
            self.shared.places.close();
            self.shared.circuit.signal(Signal::Reset);
        }
    }
}

#[cfg(test)]
#[path = "end_tests.rs"]
mod tests;
