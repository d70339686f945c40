//! A client of the guardrail protocol asks the bridge, which asks plugins over their socket.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod client;
mod failures;
mod process;
mod requests;
mod results;
mod wire;
mod world;
