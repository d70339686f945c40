//! What is due when: one timer for everything that a connection waits for.

use std::io;
use std::sync::atomic::{Ordering::SeqCst, fence};
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::link::disconnected;
use super::{Link, NEVER, Task};
use crate::connection::gauge::Gauge;
use crate::connection::state::Event;
use crate::connection::transport::Connector;

/// How long a socket is quiet before its buffers are given back.
const QUIET: Duration = Duration::from_secs(1);

impl<C: Connector> Task<C> {
    pub(super) fn set_stalled(&mut self, stalled: bool) {
        let freed = self.stalled && !stalled;
        self.stalled = stalled;
        self.gauge().set_stalled(stalled);
        if freed {
            self.wake_stalled();
        }
    }

    /// Lets the plugin's stalled connections hand over what waits on them.
    pub(super) fn wake_stalled(&self) {
        // One that stalls now sees this one, or is seen here: see `leave_stalled`.
        fence(SeqCst);
        self.shared.gauges.iter().filter(|gauge| gauge.is_stalled()).for_each(Gauge::wake);
    }

    /// Nothing new is sent behind a reply that is overdue.
    pub(super) fn look_at_head(&mut self, now: Instant) {
        let Link::Open(socket) = &self.link else { return };
        let deadline = socket.in_flight.head_deadline();
        let overdue = deadline.is_some_and(|deadline| deadline <= now);
        self.set_stalled(overdue);
        if overdue {
            self.leave_stalled();
        }
        if overdue
            && deadline.is_some_and(|deadline| deadline + self.shared.limits.stall_limit <= now)
        {
            let reason = if self.probing {
                "the server left a keep-alive probe without a reply for `stall_limit`"
            } else {
                "the plugin's reply was overdue beyond `stall_limit`"
            };
            self.miss();
            self.lost(&disconnected(io::ErrorKind::TimedOut, reason));
        }
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Instant {
        let mut due = self.deadlines_from;
        let mut consider = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        match &self.link {
            Link::Down => {}
            Link::Opening { until, .. } => consider(*until),
            Link::Open(socket) => match socket.in_flight.head_deadline() {
                Some(head) if self.stalled => consider(head + self.shared.limits.stall_limit),
                Some(head) => consider(head),
                None => {
                    let idle_timeout = self.shared.limits.idle_timeout;
                    let quiet = if self.shrunk { idle_timeout } else { QUIET.min(idle_timeout) };
                    consider(self.idle_since + quiet);
                    self.probe_due().into_iter().for_each(&mut consider);
                }
            },
        }
        if let Some(retry_at) = self.retry_at {
            consider(retry_at);
        }
        if let Some(stop_at) = self.shared.stop_at() {
            consider(stop_at);
        }
        due.unwrap_or_else(|| self.timer.deadline() + NEVER)
    }

    /// Does what is due; true if anything was.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.next_due();
        // A timer that fires too early is harmless and cheaper than moving it
        // for every call; one that fires too late is not.
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        // A reply that is here is in time.
        self.read_all(cx);
        let now = Instant::now();
        if self.deadlines_from.is_some_and(|from| from <= now) {
            self.expire(now);
        }
        self.look_at_head(now);
        if let Link::Opening { until, .. } = &self.link
            && *until <= now
        {
            let reason = "no connection within `connect_timeout`";
            self.connect_failed(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.drop_abandoned();
            self.event(Event::Elapsed { demand: self.is_wanted() });
        }
        self.tidy(now);
        let due = self.next_due();
        self.timer.as_mut().reset(due.min(now + NEVER));
        true
    }

    /// When nothing happens: gives memory back, looks whether the server is still there,
    /// and closes the socket in the end.
    pub(super) fn tidy(&mut self, now: Instant) {
        let Link::Open(socket) = &mut self.link else { return };
        if !socket.in_flight.is_empty() || !self.pending.is_empty() {
            return;
        }
        let quiet = now.saturating_duration_since(self.idle_since);
        if quiet >= QUIET && !self.shrunk {
            self.shrunk = true;
            socket.shrink();
            self.pending.shrink_to(0);
            self.taken.shrink_to(0);
            self.deliveries.shrink_to(0);
        }
        if quiet >= self.shared.limits.idle_timeout
            && let Some(socket) = self.take_socket()
        {
            self.credit(&socket);
            self.event(Event::IdledOut);
        } else if self.probe_due().is_some_and(|due| due <= now) {
            self.probe(now);
        }
    }
}
