//! What a plugin's servers tell at one moment, for statistics.

use std::sync::atomic::Ordering::Relaxed;

use super::shared::Shared;
use crate::stats::{ConnectionStats, Gauges};

impl Shared {
    pub(crate) fn gauges(&self) -> Gauges {
        let (in_queue, waiting) = self.waiting();
        Gauges {
            connections: self.connection_stats(),
            in_queue,
            waiting,
            breaker: self.gate.state(),
            breaker_opened: self.gate.opened(),
            panics: self.identity.panics(),
        }
    }

    /// Each server, connected to or not: a server has one connection that takes calls.
    fn connection_stats(&self) -> Vec<ConnectionStats> {
        let locked = self.lock();
        let load = |server| locked.admission.standing(server).load;
        let servers = locked.members.iter();
        let stats = servers.map(|(index, server)| {
            let traffic = &server.slot.traffic;
            ConnectionStats {
                state: server.state(),
                queued: 0,
                in_flight: load(index),
                connects: traffic.connects.load(Relaxed),
                bytes_sent: traffic.bytes_sent.load(Relaxed),
                bytes_received: traffic.bytes_received.load(Relaxed),
                abandoned: traffic.abandoned.load(Relaxed),
            }
        });
        stats.collect()
    }

    /// Calls that wait: all of them, and those of them for which there is no room, nor will be
    /// as soon as servers are connected to.
    fn waiting(&self) -> (usize, usize) {
        let locked = self.lock();
        let waiting = locked.admission.waiting();
        (waiting, waiting.saturating_sub(locked.admission.coming()))
    }
}
