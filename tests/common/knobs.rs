//! The section of a plugin's transport in one chain, as a file has it: the keys of the way
//! there and those of the policy. What the transport has no key for does nothing.

// Some of the values are `Copy`.
#![allow(clippy::clone_on_copy)]

use std::path::Path;
use std::time::Duration;

use fault_server::{FaultServer, Over};
#[cfg(feature = "grpc")]
use hookwire::config::{GrpcBuilder, GrpcConfig};

use super::socket_knobs;
use super::{BigIntegers, DeepNesting, PluginConfigBuilder, RetryPolicy};

#[derive(Clone)]
pub(crate) struct Knobs {
    socket: socket_knobs::Knobs,
    /// In its place, if it is there.
    #[cfg(feature = "grpc")]
    grpc: Option<GrpcBuilder>,
}

impl Knobs {
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self {
            socket: socket_knobs::Knobs::new(path),
            #[cfg(feature = "grpc")]
            grpc: None,
        }
    }

    /// Those of the way to this server.
    pub(crate) fn to(server: &FaultServer) -> Self {
        match server.over() {
            #[cfg(feature = "grpc")]
            Over::Tcp => Self::grpc(GrpcConfig::builder().target(server.address().to_string())),
            over => Self::at(over, server.path()),
        }
    }

    /// Those of the way to the socket at this path.
    pub(crate) fn at(over: Over, path: impl AsRef<Path>) -> Self {
        match over {
            Over::Socket => Self::new(path),
            #[cfg(feature = "grpc")]
            Over::Grpc => Self::grpc(GrpcConfig::builder().uds(path)),
            over => panic!("{over:?} has no path, or needs the feature `grpc`"),
        }
    }

    /// With the defaults of the socket, where they differ.
    #[cfg(feature = "grpc")]
    fn grpc(grpc: GrpcBuilder) -> Self {
        let grpc = grpc.max_in_flight(16).max_message_len(16 << 20).keep_alive(None);
        Self { grpc: Some(grpc), ..Self::new("/not/used") }
    }

    /// Over gRPC, of a request and of a reply.
    pub(crate) fn max_frame_len(mut self, len: usize) -> Self {
        #[cfg(feature = "grpc")]
        {
            self.grpc = self.grpc.map(|grpc| grpc.max_message_len(len).max_reply_len(len));
        }
        self.socket = self.socket.max_frame_len(len);
        self
    }

    pub(crate) fn apply(self, plugin: PluginConfigBuilder) -> PluginConfigBuilder {
        let plugin = self.socket.apply(plugin);
        #[cfg(feature = "grpc")]
        if let Some(grpc) = self.grpc {
            return plugin.grpc(grpc);
        }
        plugin
    }
}

macro_rules! of_both {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                #[cfg(feature = "grpc")]
                {
                    self.grpc = self.grpc.map(|grpc| grpc.$name($name.clone()));
                }
                self.socket = self.socket.$name($name);
                self
            }
        )+}
    };
}

macro_rules! of_the_socket_and_the_policy {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                self.socket = self.socket.$name($name);
                self
            }
        )+}
    };
}

of_both! {
    reconnect_attempts: u32,
    reconnect_delay: Duration,
    max_backoff: Duration,
    connect_timeout: Duration,
    max_in_flight: usize,
    keep_alive: Option<Duration>,
    trust_path: bool,
    peer_uids: impl IntoIterator<Item = u32> + Clone,
    peer_gids: impl IntoIterator<Item = u32> + Clone,
}

of_the_socket_and_the_policy! {
    max_connections: usize,
    idle_timeout: Duration,
    max_connection_age: Option<Duration>,
    stall_limit: Duration,
    timeout: Duration,
    queue_capacity: usize,
    retry: RetryPolicy,
    retry_budget: u32,
    breaker_threshold: u32,
    breaker_max_open: Duration,
    big_integers: BigIntegers,
    deep_nesting: DeepNesting,
    verify: bool,
    stamp: bool,
}
