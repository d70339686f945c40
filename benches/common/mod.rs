//! What the benchmarks here and in `peers/` share: one call, and a server that
//! costs next to nothing.
// Every benchmark compiles its own copy and uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/common/knobs.rs"]
pub mod knobs;
pub mod null_server;
pub mod sample;
pub(crate) mod structpb;

#[cfg(feature = "grpc")]
use hookwire::config::GrpcBuilder;
use hookwire::config::{CallPolicyBuilder, PluginConfigBuilder, UnixSocketBuilder};
use hookwire::{BigIntegers, CallPolicy, DeepNesting, RetryPolicy, UnixSocketConfig};
