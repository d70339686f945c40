//! What several test binaries share.
// Every test binary compiles its own copy and uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[cfg(all(feature = "grpc", feature = "server"))]
pub(crate) mod balancer;
pub(crate) mod calls;
pub(crate) mod child;
pub(crate) mod entries;
#[cfg(all(feature = "grpc", feature = "server"))]
pub(crate) mod guards;
pub(crate) mod knobs;
#[cfg(all(feature = "grpc", feature = "server"))]
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod over;
pub(crate) mod reference;
#[cfg(all(feature = "grpc", feature = "server"))]
pub(crate) mod several;
mod socket_knobs;

use hookwire::config::{CallPolicyBuilder, PluginConfigBuilder, UnixSocketBuilder};
use hookwire::{BigIntegers, CallPolicy, DeepNesting, RetryPolicy, UnixSocketConfig};
use hookwire::{PluginResult, Verdict};

/// What the plugin put in place of the payload; a denial has nothing, and fails the test.
pub(crate) fn modified<P>(result: PluginResult<P>) -> Option<P> {
    match result.into_verdict() {
        Verdict::Allowed(modified) => modified,
        Verdict::Denied(violation) => panic!("a denial: {violation:?}"),
    }
}
