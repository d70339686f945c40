//! The plugin below its calls, over whichever transport it is reached.
//!
//! What both have in common ends here: above, nobody asks which one it is; below, none knows
//! of the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::breaker::Gate;
use crate::config::{PluginConfig, Transport};
use crate::error::Cause;
#[cfg(feature = "grpc")]
use crate::grpc::{configured, plugin::GrpcPlugin};
use crate::identity::Identity;
use crate::shared_connections::SharedConnections;
use crate::stats::Gauges;
use crate::unix::connect::{Connect, UnixConnector};
use crate::unix::connections::Connections;
use crate::unix::listening::{Heard, Listener};
use crate::unix::message::{Failure, Origin, Reply};
use crate::unix::plugin::{Outbound, UnixPlugin};
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;

/// Dropping it ends the plugin's tasks.
#[derive(Debug)]
pub(crate) enum Plugin {
    Unix(UnixPlugin),
    #[cfg(feature = "grpc")]
    Grpc(GrpcPlugin),
}

/// Does for both what is written once.
macro_rules! either {
    ($plugin:expr, $on:ident => $do:expr) => {
        match $plugin {
            Plugin::Unix($on) => $do,
            #[cfg(feature = "grpc")]
            Plugin::Grpc($on) => $do,
        }
    };
}

impl Plugin {
    /// Its tasks run on `runtime`, or else on the one that is entered here, or else on that of
    /// the first call. Nothing is opened yet. The connector is for a socket, and shared
    /// connections are for gRPC.
    pub(crate) fn new(
        identity: Arc<Identity>,
        config: &PluginConfig,
        gate: Arc<Gate>,
        connector: Option<Arc<dyn Connect>>,
        runtime: Option<Handle>,
        shared: Option<SharedConnections>,
    ) -> Self {
        let policy = config.policy();
        match (config.transport(), shared) {
            (Transport::Unix(socket), _) => {
                let connector = connector.unwrap_or_else(|| Arc::new(UnixConnector::from(socket)));
                Self::Unix(UnixPlugin::new(identity, socket, policy, gate, connector, runtime))
            }
            #[cfg(feature = "grpc")]
            (Transport::Grpc(grpc), shared) => {
                let settings = configured::settings(grpc);
                let servers = configured::servers(grpc, connector.as_deref());
                let pool = shared.map(|shared| shared.pool);
                Self::Grpc(GrpcPlugin::new(
                    identity, settings, policy, gate, servers, runtime, pool,
                ))
            }
        }
    }

    /// As [`UnixPlugin::exchange`].
    pub(crate) async fn exchange(&self, request: Outbound) -> Result<Reply, Box<Failure>> {
        match self {
            Self::Unix(plugin) => plugin.exchange(request).await,
            // In a box: it is large, and would make each call over a socket as large.
            #[cfg(feature = "grpc")]
            Self::Grpc(plugin) => Box::pin(plugin.exchange(request)).await,
        }
    }

    /// A reply of this origin was what had been asked for.
    pub(crate) fn confirm(&self, origin: Origin) {
        either!(self, plugin => plugin.confirm(origin));
    }

    /// A reply of this origin was not what had been asked for: its connection is closed.
    pub(crate) fn suspect(&self, origin: Origin, suspicion: Suspicion) {
        either!(self, plugin => plugin.suspect(origin, suspicion));
    }

    /// As [`UnixPlugin::listen`].
    pub(crate) fn listen(&self, listener: Arc<dyn Listener>, heard: Heard, origin: Option<Origin>) {
        either!(self, plugin => plugin.listen(listener, heard, origin));
    }

    pub(crate) fn state(&self) -> ConnectionState {
        either!(self, plugin => plugin.state())
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        either!(self, plugin => plugin.watch_state())
    }

    /// True if it takes no more calls.
    pub(crate) fn is_stopped(&self) -> bool {
        either!(self, plugin => plugin.is_stopped())
    }

    /// Asks the tasks to end at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        either!(self, plugin => plugin.stop(deadline));
    }

    #[cfg(test)]
    pub(crate) fn unix(&self) -> &UnixPlugin {
        match self {
            Self::Unix(plugin) => plugin,
            #[cfg(feature = "grpc")]
            Self::Grpc(_) => unreachable!("the test is about a socket"),
        }
    }

    /// What can be seen of it, also when it has ended.
    pub(crate) fn observer(&self) -> Observer {
        match self {
            Self::Unix(plugin) => Observer::Unix(Arc::clone(plugin.connections())),
            #[cfg(feature = "grpc")]
            Self::Grpc(plugin) => Observer::Grpc(Arc::clone(plugin.shared())),
        }
    }
}

/// What a transport holds calls to.
#[derive(Debug)]
pub(super) struct Bounds {
    /// How long after a call's time is over its connection may still wait for the reply.
    pub(super) stall_limit: Duration,
    pub(super) reconnect_attempts: u32,
    max_request: usize,
    too_large: fn(usize, usize) -> Cause,
}

impl Bounds {
    /// # Errors
    /// A request of this size is not sent.
    pub(super) fn check(&self, size: usize) -> Result<(), Cause> {
        if size <= self.max_request {
            Ok(())
        } else {
            Err((self.too_large)(size, self.max_request))
        }
    }
}

impl From<&Transport> for Bounds {
    fn from(transport: &Transport) -> Self {
        match transport {
            Transport::Unix(socket) => Self {
                stall_limit: socket.stall_limit(),
                reconnect_attempts: socket.reconnect_attempts(),
                max_request: socket.max_frame_len(),
                too_large: |size, limit| Cause::RequestTooLarge { size, limit },
            },
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => Self {
                // A call that is over gives up its stream at once.
                stall_limit: Duration::ZERO,
                reconnect_attempts: grpc.reconnect_attempts(),
                max_request: grpc.max_message_len(),
                too_large: |size, limit| Cause::MessageTooLarge { size, limit: Some(limit) },
            },
        }
    }
}

/// Looks at a plugin's connections and does not keep them open.
#[derive(Debug, Clone)]
pub(crate) enum Observer {
    Unix(Arc<Connections>),
    #[cfg(feature = "grpc")]
    Grpc(Arc<crate::grpc::shared::Shared>),
}

impl Observer {
    pub(crate) fn state(&self) -> ConnectionState {
        match self {
            Self::Unix(connections) => connections.state(),
            #[cfg(feature = "grpc")]
            Self::Grpc(shared) => shared.state(),
        }
    }

    pub(crate) fn gauges(&self) -> Gauges {
        match self {
            Self::Unix(connections) => connections.gauges(),
            #[cfg(feature = "grpc")]
            Self::Grpc(shared) => shared.gauges(),
        }
    }
}
