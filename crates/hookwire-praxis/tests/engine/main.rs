//! The adapter in an engine, over the embedded server. A test that is named `d7_…` stands for
//! the decision of that number in docs/engines.md.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod answers;
mod contexts;
mod failures;
mod forms;
mod lifecycle;
mod modes;
#[cfg(feature = "grpc")]
mod over_grpc;
mod reload;
mod script;
mod world;
