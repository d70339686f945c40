//! A `unix_socket` section in one chain, as a file has it: the keys of the socket and
//! those of the policy.

// Each of those who share this uses a part of it.
#![allow(dead_code)]

use std::path::Path;
use std::time::Duration;

use super::{
    BigIntegers, CallPolicy, CallPolicyBuilder, DeepNesting, PluginConfigBuilder, RetryPolicy,
    UnixSocketBuilder, UnixSocketConfig,
};

#[derive(Clone)]
pub(crate) struct Knobs(UnixSocketBuilder, CallPolicyBuilder);

impl Knobs {
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self(UnixSocketConfig::builder(path), CallPolicy::builder())
    }

    pub(crate) fn apply(self, plugin: PluginConfigBuilder) -> PluginConfigBuilder {
        plugin.unix_socket(self.0).policy(self.1)
    }
}

macro_rules! forwards {
    ($part:tt: $($name:ident: $type:ty),+ $(,)?) => {
        impl Knobs {$(
            pub(crate) fn $name(mut self, $name: $type) -> Self {
                self.$part = self.$part.$name($name);
                self
            }
        )+}
    };
}

forwards! { 0:
    reconnect_attempts: u32,
    reconnect_delay: Duration,
    max_backoff: Duration,
    connect_timeout: Duration,
    max_connections: usize,
    max_in_flight: usize,
    idle_timeout: Duration,
    keep_alive: Option<Duration>,
    max_connection_age: Option<Duration>,
    stall_limit: Duration,
    max_frame_len: usize,
    trust_path: bool,
    peer_uids: impl IntoIterator<Item = u32>,
    peer_gids: impl IntoIterator<Item = u32>,
}

forwards! { 1:
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
