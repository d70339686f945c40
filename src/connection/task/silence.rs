//! A server that does not answer: which replies count as missing, and the probe that
//! finds out before a call does.

use tokio::time::Instant;

use super::{Link, Task};
use crate::connection::breaker::Signal;
use crate::connection::transport::Connector;
use crate::wire::request;

impl<C: Connector> Task<C> {
    /// Counts the reply that the server owes next as missing if its call is over, and
    /// the plugin had at least half of its `timeout` for it: not more, as every call
    /// loses some of its time on the way.
    ///
    /// One that left it less, because its caller was in a hurry or because it waited for
    /// its turn, says little about the plugin, so its reply is missing only when the
    /// connection is given up for it. The calls behind are not counted: a server works
    /// on one at a time, and was never at them.
    pub(super) fn miss_head(&mut self, now: Instant) {
        let Link::Open(socket) = &self.link else { return };
        if let Some(head) = socket.in_flight.head()
            && head.deadline <= now
            && head.responder.is_some()
            && head.deadline.saturating_duration_since(socket.head_since)
                >= self.shared.limits.timeout / 2
        {
            self.miss();
        }
    }

    /// Each reply is missing once: at its deadline or when its connection is given up.
    pub(super) fn miss(&mut self) {
        if !std::mem::replace(&mut self.missed, true) {
            self.shared.circuit.signal(Signal::Missing);
        }
    }

    /// When an idle connection is to be probed, if that is switched on.
    pub(super) fn probe_due(&self) -> Option<Instant> {
        let every = self.shared.limits.keep_alive?;
        Some(self.idle_since.max(self.probed_at) + every)
    }

    /// Asks an idle server for the plugin's configuration: does it still answer?
    ///
    /// The request is overdue from the start, and the rules for overdue ones do the
    /// rest: nothing is sent behind it, calls take other connections, and the socket is
    /// closed after `stall_limit`. So a server that hangs costs no call anything.
    pub(super) fn probe(&mut self, now: Instant) {
        self.probed_at = now;
        let Link::Open(socket) = &mut self.link else { return };
        let Ok(frame) = request::get_plugin_config(&self.shared.plugin) else { return };
        // Like a call it has a place and is a part of the load: its reply gives both back.
        let Ok(place) = self.shared.places.try_acquire() else { return };
        place.forget();
        self.shared.gauges[self.index].add_load();
        socket.send_unasked(frame, now);
        self.probing = true;
        self.set_stalled(true);
    }
}
