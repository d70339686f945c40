//! A stub with the interface of the way of a call over HTTP/2, until that is merged: it reaches
//! nobody, and says so.

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::settings::{Servers, Settings};
use super::shared::Shared;
use crate::breaker::Gate;
use crate::config::CallPolicy;
use crate::error::{Cause, Sent};
use crate::identity::Identity;
use crate::unix::asking::{Heard, Listener};
use crate::unix::message::{Failure, Origin, Reply};
use crate::unix::plugin::Outbound;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;

#[derive(Debug)]
pub(crate) struct GrpcPlugin {
    shared: Arc<Shared>,
}

impl GrpcPlugin {
    pub(crate) fn new(
        identity: Arc<Identity>,
        _settings: Settings,
        _policy: &CallPolicy,
        gate: Arc<Gate>,
        _servers: Servers,
        _runtime: Option<Handle>,
    ) -> Self {
        let state = watch::Sender::new(ConnectionState::Idle);
        Self { shared: Arc::new(Shared { identity, gate, state }) }
    }

    pub(crate) async fn exchange(&self, _request: Outbound) -> Result<Reply, Box<Failure>> {
        let cause = match self.is_stopped() {
            true => Cause::Shutdown,
            false => {
                let error = io::Error::new(io::ErrorKind::Unsupported, "gRPC is not there yet");
                Cause::unreachable(1, Arc::new(error), None)
            }
        };
        Err(Box::new(Failure { cause, sent: Sent::No }))
    }

    pub(crate) fn confirm(&self, _origin: Origin) {}

    pub(crate) fn suspect(&self, _origin: Origin, _suspicion: Suspicion) {}

    pub(crate) fn listen(&self, _: Arc<dyn Listener>, _: Heard, _: Option<Origin>) {}

    pub(crate) fn state(&self) -> ConnectionState {
        self.shared.state()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.subscribe()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state() == ConnectionState::Shutdown
    }

    pub(crate) fn stop(&self, _deadline: Instant) {
        self.shared.state.send_replace(ConnectionState::Shutdown);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for GrpcPlugin {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}
