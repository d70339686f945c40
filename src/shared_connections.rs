//! Connections that plugins have in common.

#[cfg(feature = "grpc")]
use crate::grpc::pool::Pool;

/// Connections that several plugins use together: a thousand plugins on ten servers have ten.
/// Cheap to clone; all clones are one set of connections.
///
/// Only plugins that are reached over gRPC share (feature `grpc`): where the server's address (or
/// the path of its socket), the name that it is asked for, `tls` and `plaintext` (or the checks of
/// who is on the other side) are equal. Without the feature it is there and does nothing.
///
/// [`Plugins`](crate::Plugins) makes one for its plugins, and so does a gateway for all that it
/// ever runs. A handle that is made alone has connections of its own, unless it is
/// [given one](crate::PluginHandleBuilder::connections) of these.
///
/// ## Behavior
/// - A connection is made when the first of its plugins needs it; those who come meanwhile wait
///   for it, each for its own `connect_timeout`. It is closed when the last of them is gone. A
///   plugin that is shut down, and a call that ends early, leave the others' calls alone.
/// - Each plugin keeps its own bounds, breaker for each server, and checks. The streams that the
///   server allows on the connection are one number for all: plugins whose calls wait for one get
///   it in turn, and where there are several plugins none of them has more than half.
/// - A reply that is another call's ends the connection for all who share it, and the plugin that
///   got it shares no connection to that server any more.
/// - A check that one plugin has made (`keep_alive`, or an attempt to connect) counts for all.
/// - The connection's task runs on the runtime of the plugin that made it. When that runtime ends,
///   the others connect anew, on theirs.
/// - Of a plugin's [statistics](crate::ConnectionStats), `connects` counts the connections that it
///   took part in, whoever made them, and the bytes are those of the messages of its own calls that
///   were answered.
///
/// ```
/// use hookwire::{PluginConfig, PluginHandle, SharedConnections};
///
/// # fn make(guard: PluginConfig, filter: PluginConfig) {
/// let connections = SharedConnections::new();
/// let [guard, filter] = [guard, filter]
///     .map(|config| PluginHandle::builder(config).connections(&connections).connect_lazy());
/// // Nothing is connected to before the first call.
/// assert_eq!(connections.open(), 0);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct SharedConnections {
    #[cfg(feature = "grpc")]
    pub(crate) pool: Pool,
}

impl SharedConnections {
    /// Starts with none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are open now and take calls.
    #[must_use]
    pub fn open(&self) -> usize {
        #[cfg(feature = "grpc")]
        return self.pool.open();
        #[cfg(not(feature = "grpc"))]
        0
    }
}

impl std::fmt::Debug for SharedConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedConnections").field("open", &self.open()).finish()
    }
}
