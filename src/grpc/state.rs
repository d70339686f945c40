//! The state of a plugin, and of each of its servers.

use tokio::sync::watch;

use super::shared::Shared;
use crate::unix::reconnect::ConnectionState;

impl Shared {
    /// Publishes a server's state, and that of the plugin: that of the best of its servers.
    pub(crate) fn set_state(&self, server: usize, state: ConnectionState) {
        let locked = self.lock();
        locked.members.get(server).slot.set_state(state);
        let has = |state| locked.members.iter().any(|(_, server)| server.state() == state);
        let best = [
            ConnectionState::Ready,
            ConnectionState::Connecting,
            ConnectionState::TransientFailure,
            ConnectionState::Idle,
        ];
        let best = best.into_iter().find(|state| has(*state)).unwrap_or(ConnectionState::Idle);
        drop(locked);
        self.publish(best);
    }

    pub(crate) fn publish(&self, state: ConnectionState) {
        if state == ConnectionState::Shutdown {
            self.lock().members.iter().for_each(|(_, server)| server.slot.set_state(state));
        }
        self.state.send_if_modified(|now| std::mem::replace(now, state) != state);
    }

    pub(crate) fn state(&self) -> ConnectionState {
        *self.state.borrow()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }
}
