//! What is due when: one timer for everything that a socket waits for, and what a reply
//! that does not come means.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::NEVER;
use super::closed::Closed;
use super::in_flight::Kind;
use super::socket_task::SocketTask;
use crate::breaker::Signal;
use crate::error::Stage;
use crate::wire::request;

/// How long a socket is quiet before its buffers are given back.
const QUIET: Duration = Duration::from_secs(1);

impl SocketTask {
    /// Does what is due; true if anything was.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        let due = self.next_due();
        // A timer that fires too early is harmless and cheaper than moving it
        // for every call; one that fires too late is not.
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Ok(false);
        }
        // What is in the kernel at the deadline is in time.
        self.read_all(cx)?;
        let now = Instant::now();
        if self.deadlines_from.is_some_and(|from| from <= now) {
            self.expire(now);
        }
        self.look_at_age(now);
        self.look_at_head(cx, now)?;
        self.tidy(now)?;
        let due = self.next_due();
        self.timer.as_mut().reset(due.min(now + NEVER));
        Ok(true)
    }

    /// When the next thing is due.
    fn next_due(&self) -> Instant {
        let config = &self.connections.config;
        let mut due = self.deadlines_from;
        let mut consider = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        match self.socket.in_flight.head_deadline() {
            Some(head) if self.overdue => consider(head + config.stall_limit()),
            Some(head) => consider(head),
            None => {
                let idle_timeout = config.idle_timeout();
                let quiet = if self.shrunk { idle_timeout } else { QUIET.min(idle_timeout) };
                consider(self.idle_since + quiet);
                self.probe_due().into_iter().for_each(&mut consider);
            }
        }
        self.connections.stop_at().into_iter().for_each(&mut consider);
        self.retire_at.into_iter().for_each(&mut consider);
        due.unwrap_or_else(|| self.timer.deadline() + NEVER)
    }

    /// Answers the callers whose time is over.
    fn expire(&mut self, now: Instant) {
        let before = self.inbox.len();
        for _ in 0..before {
            let Some(request) = self.inbox.pop_front() else { break };
            if request.deadline <= now {
                request.responder.expire(Stage::Queued, None);
            } else {
                self.inbox.push_back(request);
            }
        }
        let over = before - self.inbox.len();
        if over > 0 {
            self.connections.lock().dispatch.release(self.origin.slot, over);
        }
        self.miss_head(now);
        for responder in self.socket.in_flight.expire(now) {
            responder.expire(Stage::InFlight, None);
        }
        let queued = self.inbox.iter().map(|request| request.deadline).min();
        let written = self.socket.in_flight.earliest_deadline();
        self.deadlines_from = [queued, written].into_iter().flatten().min();
    }

    /// Counts the reply that the server owes next as missing if its call is over, and
    /// the plugin had at least half of its `timeout` for it: not more, as every call
    /// loses some of its time on the way.
    ///
    /// One that left it less, because its caller was in a hurry or because it waited for
    /// its turn, says little about the plugin, so its reply is missing only when the
    /// connection is given up for it. The calls behind are not counted: a server works
    /// on one at a time, and was never at them.
    fn miss_head(&mut self, now: Instant) {
        let patient = self.connections.timeout / 2;
        if let Some(head) = self.socket.in_flight.head()
            && head.deadline <= now
            && head.responder.is_some()
            && head.deadline.saturating_duration_since(self.socket.head_since) >= patient
        {
            self.miss();
        }
    }

    /// Each reply is missing once: at its deadline or when its connection is given up.
    /// Only one to a hook call says anything of the plugin's hooks.
    fn miss(&mut self) {
        let is_hook = self.socket.in_flight.head().is_some_and(|head| head.kind == Kind::Hook);
        if is_hook && !std::mem::replace(&mut self.missed, true) {
            self.connections.gate.signal(Signal::Missing);
        }
    }

    /// Nothing new is sent behind a reply that is overdue, and what was bound to this
    /// socket and not begun may take another.
    fn look_at_head(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Closed> {
        let Some(head) = self.socket.in_flight.head() else { return Ok(()) };
        let (deadline, probe) = (head.deadline, head.kind == Kind::Probe);
        if deadline > now {
            return Ok(());
        }
        if !self.overdue {
            self.overdue = true;
            self.connections.lock().dispatch.set_overdue(self.origin.slot, true);
            self.give_back_inbox();
        }
        if deadline + self.connections.config.stall_limit() <= now {
            self.miss();
            self.give_up(cx);
            return Err(Closed::Overdue { probe });
        }
        Ok(())
    }

    /// From here on the server cannot write, so a server that works in order begins no
    /// other request. Between a last look and the closing it might: a reply that it gets
    /// rid of in that moment is delivered, and the request behind it is the oldest.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.socket.stop_reading();
        // It comes to its end, which is meant.
        let _ = self.read_all(cx);
    }

    /// Gives what was not begun back to the plugin's queue.
    pub(super) fn give_back_inbox(&mut self) {
        let connections = Arc::clone(&self.connections);
        let mut shared = connections.lock();
        // Nothing can be bound to it meanwhile: that is done under the lock.
        while let Ok(request) = self.requests.try_recv() {
            self.inbox.push_back(request);
        }
        shared.dispatch.give_back(self.origin.slot, self.inbox.drain(..));
        connections.hand_out(&mut shared);
        drop(shared);
        // There may be more sockets wanted now, or an earlier deadline.
        connections.supervisor.wake();
    }

    /// When nothing happens: gives memory back, looks whether the server is still there,
    /// and closes the socket in the end.
    fn tidy(&mut self, now: Instant) -> Result<(), Closed> {
        if !self.is_quiet() {
            return Ok(());
        }
        let quiet = now.saturating_duration_since(self.idle_since);
        if quiet >= QUIET && !self.shrunk {
            self.shrunk = true;
            self.shrink();
        }
        if quiet >= self.connections.config.idle_timeout() {
            // Unless a request was bound to it in this moment.
            if self.connections.lock().dispatch.close_unused(self.origin.slot) {
                return Err(Closed::Idle);
            }
        } else if self.probe_due().is_some_and(|due| due <= now) {
            self.probe(now);
        }
        Ok(())
    }

    /// When an idle connection is to be probed, if that is switched on.
    fn probe_due(&self) -> Option<Instant> {
        let every = self.connections.config.keep_alive()?;
        Some(self.idle_since.max(self.probed_at) + every)
    }

    /// Asks an idle server for the plugin's configuration: does it still answer?
    ///
    /// The request is overdue from the start, and the rules for overdue ones do the
    /// rest: nothing is sent behind it, calls take other connections, and the socket is
    /// closed after `stall_limit`. So a server that hangs costs no call anything.
    fn probe(&mut self, now: Instant) {
        self.probed_at = now;
        let Ok(frame) = request::get_plugin_config(&self.connections.identity.plugin) else {
            return;
        };
        // Like a call it is a part of the load: its reply gives that back.
        if self.connections.lock().dispatch.reserve(self.origin.slot) {
            self.socket.send_probe(frame, now);
            self.overdue = true;
        }
    }

    /// Ends the socket when the handle is shut down or gone.
    pub(super) fn check_stop(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let waits = |task: &Self| {
            !task.socket.in_flight.nobody(|responder| !responder.is_abandoned())
                || task.inbox.iter().any(|request| !request.responder.is_abandoned())
        };
        if self.connections.is_released() && !waits(self) {
            return Err(Closed::Shutdown);
        }
        let Some(stop_at) = self.connections.stop_at() else { return Ok(()) };
        let is_time = stop_at <= Instant::now();
        if is_time {
            // As at a deadline: a reply that is here is in time.
            self.read_all(cx)?;
        }
        if is_time || (!waits(self) && self.is_last_wanted()) {
            return Err(Closed::Shutdown);
        }
        Ok(())
    }

    /// True if nothing waits that this socket could take.
    fn is_last_wanted(&self) -> bool {
        let shared = self.connections.lock();
        shared.dispatch.queued() == 0 && self.requests.is_empty()
    }
}
