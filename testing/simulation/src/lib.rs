//! The client over in-memory sockets in paused time, everything drawn from one seed.
//!
//! The real handle, call, dispatcher, supervisor and socket tasks run on one thread, so a
//! seed repeats to the byte: the same events at the same times, whose hash is the run's
//! digest. What a run does is in `run`; what goes wrong in it is in `mood` and `plan`,
//! and is done by `server` (the plugin's side), `stream` (the kernel's) and `caller`;
//! `client` is all that is used of hookwire. Every `event` is shown to the `judge`.

// Test code in the form of a program.
#![allow(clippy::expect_used, missing_docs, missing_debug_implementations)]

pub mod caller;
pub mod client;
pub mod event;
pub mod judge;
pub mod logs;
pub mod mood;
pub mod plan;
pub mod run;
pub mod server;
pub mod shrink;
pub mod signal;
pub mod stream;
pub mod tap;
#[cfg(test)]
mod tests;
pub mod world;
