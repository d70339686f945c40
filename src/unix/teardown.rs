//! The end of a socket: everybody is answered, and what was not begun goes back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::closed::Closed;
use super::connections::{Connections, Ended};
use super::message::Request;
use super::socket_task::SocketTask;
use crate::error::{Cause, Sent};

impl SocketTask {
    /// Publishes the end, gives back what the kernel has seen nothing of, and answers the
    /// rest. Whoever calls from then on goes elsewhere.
    pub(super) fn end(&mut self, why: Closed) {
        self.ended = true;
        let socket = self.origin.socket;
        let proven = self.is_proven();
        let (mut unsent, abandoned) = self.socket.take_back_unsent();
        let ordered = why.keeps_order() && !self.socket.in_doubt;
        let owed = self.socket.in_flight.drain().collect();
        let ended = Ended { slot: self.origin.slot, socket, why, proven, ordered, owed };
        let connections = Arc::clone(&self.connections);
        let mut shared = connections.lock();
        // Nothing can be bound to it any more: that is done under the lock. One that was
        // closed unused had nothing, and its slot may be another's by now.
        if !matches!(ended.why, Closed::Idle) {
            unsent.append(&mut self.inbox);
            while let Ok(request) = self.requests.try_recv() {
                unsent.push_back(request);
            }
            shared.dispatch.give_back(self.origin.slot, unsent.drain(..));
            shared.dispatch.closed(self.origin.slot);
        }
        connections.hand_out(&mut shared);
        let unattended = if Connections::is_supervised(&shared) {
            // It answers them, once everybody can see that the socket is gone.
            shared.ended.push(ended);
            None
        } else {
            Some((ended, shared.dispatch.drain()))
        };
        drop(shared);
        self.slot().traffic.abandoned.fetch_add(abandoned as u64, Relaxed);
        self.slot().set_in_flight(0);
        match unattended {
            None => self.connections.supervisor.wake(),
            Some((ended, waiting)) => {
                ended.answer();
                answer_unsent(waiting);
            }
        }
    }

    /// Whether it brought a good reply. One that its caller has not looked into yet is
    /// taken for good: the end often comes right behind it.
    fn is_proven(&self) -> bool {
        let (slot, socket) = (self.slot(), self.origin.socket);
        let unread = self.socket.answered && slot.suspicion(socket).is_none();
        unread || slot.confirmed() == socket
    }

    /// Gives memory back that past bursts needed.
    pub(super) fn shrink(&mut self) {
        self.socket.shrink();
        self.inbox.shrink_to(0);
        self.deliveries.shrink_to(0);
    }
}

impl Ended {
    /// Answers those whose requests were on their way.
    ///
    /// A server that works in order was at the oldest request, and cannot have begun those
    /// behind it, if all that it had answered was read.
    pub(super) fn answer(self) {
        let cause = self.why.cause();
        for (position, entry) in self.owed.into_iter().enumerate() {
            let unstarted = self.ordered && position > 0;
            let sent = if unstarted { Sent::Unstarted } else { Sent::Maybe };
            if let Some(responder) = entry.responder {
                responder.fail(cause.clone(), sent);
            }
        }
    }
}

fn answer_unsent(requests: VecDeque<Request>) {
    for request in requests {
        request.responder.fail(Cause::TaskGone, Sent::No);
    }
}

/// A task whose runtime ends, or that panics, has no last turn.
impl Drop for SocketTask {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.connections.identity.count_panic();
        }
        self.end(Closed::TaskGone);
    }
}

#[cfg(test)]
#[path = "teardown_tests.rs"]
mod tests;
