//! What the benchmarks here and in `peers/` share: one call, and a server that
//! costs next to nothing.
// Every benchmark compiles its own copy and uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/common/socket_knobs.rs"]
pub mod knobs;
pub mod null_server;
pub mod sample;
pub(crate) mod structpb;

use hookwire::config::{CallPolicyBuilder, PluginConfigBuilder, UnixSocketBuilder};
use hookwire::{BigIntegers, CallPolicy, DeepNesting, RetryPolicy, UnixSocketConfig};
