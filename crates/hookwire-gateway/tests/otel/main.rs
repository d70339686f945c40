//! Traces of a chain, as a collector gets them, and how they go on in the plugins.
#![cfg(feature = "otel")]
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

/// The reference server and the reading of traces, as in the client's tests.
#[path = "../../../../tests/common"]
#[allow(dead_code, unused_imports, unexpected_cfgs)]
#[allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
mod common {
    pub(crate) mod log;
    pub(crate) mod reference;
}

mod carried;
mod collector;
mod reference;
mod spans;
mod world;
