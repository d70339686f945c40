//! What a plugin's sockets tell at one moment, for statistics.

use std::sync::atomic::Ordering::Relaxed;

use super::connections::Connections;
use crate::stats::{ConnectionStats, Gauges};

impl Connections {
    pub(crate) fn gauges(&self) -> Gauges {
        let shared = self.lock();
        let (in_queue, waiting) = (shared.dispatch.queued(), shared.dispatch.waiting());
        let loads: Vec<_> = (0..self.slots.len()).map(|slot| shared.dispatch.load(slot)).collect();
        drop(shared);
        let connections = self.slots.iter().zip(loads).map(|(slot, load)| ConnectionStats {
            state: slot.state(),
            queued: load.saturating_sub(slot.in_flight()),
            in_flight: slot.in_flight(),
            connects: slot.traffic.connects.load(Relaxed),
            bytes_sent: slot.traffic.bytes_sent.load(Relaxed),
            bytes_received: slot.traffic.bytes_received.load(Relaxed),
            abandoned: slot.traffic.abandoned.load(Relaxed),
        });
        Gauges {
            connections: connections.collect(),
            in_queue,
            waiting,
            breaker: self.gate.state(),
            breaker_opened: self.gate.opened(),
            panics: self.identity.panics(),
        }
    }
}
