//! What the supervisor makes known: the plugin's state, to those who watch it and in the log.

use super::reconnect::ConnectionState;
use super::supervisor::Supervisor;
use crate::error::Cause;

impl Supervisor {
    /// Publishes the plugin's state. One line for each change that a person wants to know
    /// of; the to and fro of the retries in between is for debugging, whether they count as
    /// failures or not: a full backlog may last, and so may one call after the other that
    /// meets it.
    pub(super) fn tell_state(&mut self) {
        let shared = self.connections.lock();
        let (open, opening) = (shared.dispatch.is_open(), shared.dispatch.is_opening());
        drop(shared);
        let state = self.reconnect.state(open, opening);
        let Some(before) = self.connections.publish(state) else { return };
        let failures = self.reconnect.failures();
        let retrying = self.reconnect.is_failing_fast() || failures > 1;
        let told = match state {
            ConnectionState::Connecting => false,
            ConnectionState::Ready => std::mem::take(&mut self.told_failure) || !retrying,
            ConnectionState::TransientFailure => {
                !retrying && !std::mem::replace(&mut self.told_failure, true)
            }
            ConnectionState::Idle | ConnectionState::Shutdown => !retrying && !self.told_failure,
        };
        let failed = state == ConnectionState::TransientFailure;
        let error = self.last_error.as_ref().filter(|_| failed).map(tracing::field::display);
        let (from, to) = (before.as_str(), state.as_str());
        self.connections.identity.log(|identity| {
            let (plugin, socket) = (&identity.plugin, &identity.endpoint);
            if told {
                tracing::info!(%plugin, %socket, error, from, to, "connection state");
            } else {
                tracing::debug!(%plugin, %socket, failures, error, from, to, "connection state");
            }
        });
    }

    /// The last that is heard of the plugin.
    pub(super) fn tell_end(&self) {
        let before = self.connections.state();
        self.connections.answer_all(&Cause::Shutdown);
        self.connections.supervised_to_the_end();
        self.connections.identity.log(|identity| {
            let (plugin, socket) = (&identity.plugin, &identity.endpoint);
            let (from, to) = (before.as_str(), ConnectionState::Shutdown.as_str());
            tracing::debug!(%plugin, %socket, from, to, "connection state");
        });
    }
}
