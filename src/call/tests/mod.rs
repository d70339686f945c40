//! The client over in-memory pipes and paused time: every fault at its exact moment.

mod batching;
mod breaker;
mod counted;
mod deadlines;
mod down;
mod errors;
mod faults;
mod healthy;
mod keep_alive;
#[path = "../../../tests/common/socket_knobs.rs"]
mod knobs;
mod latencies;
mod logging;
mod pipe;
mod pooling;
mod reconnects;
mod replaced;
mod resending;
mod scripted;
mod stamps;

use super::Caller;
use crate::config::{
    BigIntegers, CallPolicy, CallPolicyBuilder, DeepNesting, PluginConfigBuilder, RetryPolicy,
    UnixSocketBuilder, UnixSocketConfig,
};
use crate::stats::PluginStats;

impl Caller {
    fn stats(&self) -> PluginStats {
        self.counters.snapshot(self.plugin.observer().gauges())
    }
}
