//! What several test binaries share.
// Every test binary compiles its own copy and uses a part of it.
#![allow(dead_code, unused_imports)]
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

pub(crate) mod calls;
pub(crate) mod child;
pub(crate) mod knobs;
pub(crate) mod reference;

use hookwire::config::{CallPolicyBuilder, PluginConfigBuilder, UnixSocketBuilder};
use hookwire::{BigIntegers, CallPolicy, RetryPolicy, UnixSocketConfig};
