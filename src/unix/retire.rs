//! Sockets that are in order and not to be used any more, as another server has the path or
//! they are too old: they take nothing new, and end after what is under way.
//!
//! The dispatcher is told; that it drops the sink is how the socket's task learns of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::closed::Closed;
use super::connections::Connections;
use super::place::Place;
use super::socket_task::SocketTask;

impl Connections {
    /// Before requests are written: looks where the path leads, if nobody has for a while;
    /// true if it did.
    pub(crate) fn look_if_due(&self, now: Instant) -> bool {
        let is_due = self.lookout.is_due(now);
        if is_due {
            self.look();
        }
        is_due
    }

    /// Looks where the path leads. Sockets that were made to another server take no more
    /// requests; if there is none any more, they go on.
    pub(crate) fn look(&self) -> Option<Place> {
        // Before the look: what is opened meanwhile may be made to a later server.
        let until = self.last_socket();
        let place = self.connector.place()?;
        let retired = self.lock().dispatch.retire_elsewhere(place, until);
        if retired > 0 {
            self.listening.moved();
            self.supervisor.wake();
            self.identity.log(|identity| {
                let (plugin, socket) = (&identity.plugin, &identity.endpoint);
                let told = "the path leads to another server, calls go there from now on";
                tracing::info!(%plugin, %socket, connections = retired, "{told}");
            });
        }
        Some(place)
    }
}

impl SocketTask {
    /// Retires a socket that is too old.
    pub(super) fn look_at_age(&mut self, now: Instant) {
        if self.retire_at.take_if(|at| *at <= now).is_some() {
            self.connections.lock().dispatch.retire(self.origin.slot);
            self.retire();
        }
    }

    /// Nothing is bound to it any more. What it has not begun to write takes another socket.
    pub(super) fn retire(&mut self) {
        if std::mem::replace(&mut self.retired, true) {
            return;
        }
        self.retire_at = None;
        let (unsent, abandoned) = self.socket.take_back_unsent();
        for request in unsent.into_iter().rev() {
            self.inbox.push_front(request);
        }
        if abandoned > 0 {
            self.slot().traffic.abandoned.fetch_add(abandoned as u64, Relaxed);
            let connections = Arc::clone(&self.connections);
            connections.lock().dispatch.release(self.origin.slot, abandoned);
        }
        self.give_back_inbox();
    }

    pub(super) fn check_retired(&self) -> Result<(), Closed> {
        if self.retired && self.is_quiet() { Err(Closed::Retired) } else { Ok(()) }
    }
}
