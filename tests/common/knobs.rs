//! The section of a plugin's transport in one chain, as a file has it: the keys of the way
//! there and those of the policy.
//!
//! What one of the transports has no key for does nothing there.

// Each of those who share this uses a part of it.
#![allow(dead_code)]

use std::path::Path;
use std::time::Duration;

#[cfg(feature = "grpc")]
use super::GrpcBuilder;
use super::{
    BigIntegers, CallPolicy, CallPolicyBuilder, DeepNesting, PluginConfigBuilder, RetryPolicy,
    UnixSocketBuilder, UnixSocketConfig,
};

#[derive(Clone)]
pub(crate) struct Knobs {
    transport: Transport,
    policy: CallPolicyBuilder,
}

#[derive(Clone)]
enum Transport {
    Unix(UnixSocketBuilder),
    #[cfg(feature = "grpc")]
    Grpc(GrpcBuilder),
}

impl Knobs {
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self::of(Transport::Unix(UnixSocketConfig::builder(path)))
    }

    /// With the defaults of the socket, where they differ.
    #[cfg(feature = "grpc")]
    pub(crate) fn grpc(grpc: GrpcBuilder) -> Self {
        let grpc = grpc.max_in_flight(16).max_message_len(16 << 20).keep_alive(None);
        Self::of(Transport::Grpc(grpc))
    }

    fn of(transport: Transport) -> Self {
        Self { transport, policy: CallPolicy::builder() }
    }

    pub(crate) fn apply(self, plugin: PluginConfigBuilder) -> PluginConfigBuilder {
        let plugin = match self.transport {
            Transport::Unix(socket) => plugin.unix_socket(socket),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => plugin.grpc(grpc),
        };
        plugin.policy(self.policy)
    }
}

macro_rules! of_both {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                self.transport = match self.transport {
                    Transport::Unix(socket) => Transport::Unix(socket.$name($name)),
                    #[cfg(feature = "grpc")]
                    Transport::Grpc(grpc) => Transport::Grpc(grpc.$name($name)),
                };
                self
            }
        )+}
    };
}

macro_rules! of_the_socket {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                self.transport = match self.transport {
                    Transport::Unix(socket) => Transport::Unix(socket.$name($name)),
                    #[cfg(feature = "grpc")]
                    grpc @ Transport::Grpc(_) => grpc,
                };
                self
            }
        )+}
    };
}

macro_rules! of_the_policy {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                self.policy = self.policy.$name($name);
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
    peer_uids: impl IntoIterator<Item = u32>,
    peer_gids: impl IntoIterator<Item = u32>,
}

of_the_socket! {
    max_connections: usize,
    idle_timeout: Duration,
    max_connection_age: Option<Duration>,
    stall_limit: Duration,
    max_frame_len: usize,
}

of_the_policy! {
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
