//! A chain over plugins on an embedded server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod contexts;
mod decisions;
mod failures;
mod guards;
mod limits;
#[allow(dead_code)]
#[path = "../../../../tests/common/log.rs"]
mod log;
mod modes;
mod told;
mod trials;
mod world;
