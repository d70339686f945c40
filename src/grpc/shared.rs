//! A stub: what can be seen of `plugin`, until the way of a call over HTTP/2 is merged.

use std::sync::Arc;

use tokio::sync::watch;

use crate::breaker::Gate;
use crate::identity::Identity;
use crate::stats::Gauges;
use crate::unix::reconnect::ConnectionState;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) state: watch::Sender<ConnectionState>,
}

impl Shared {
    pub(crate) fn state(&self) -> ConnectionState {
        *self.state.borrow()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            connections: Vec::new(),
            in_queue: 0,
            waiting: 0,
            breaker: self.gate.state(),
            breaker_opened: self.gate.opened(),
            panics: self.identity.panics(),
        }
    }
}
