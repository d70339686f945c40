//! The client over in-memory sockets in paused time, everything drawn from one seed.
//!
//! The real handle, call, dispatcher, supervisor and socket tasks run on one thread, so a
//! seed repeats to the byte: the same events at the same times, whose hash is the run's
//! digest. What a run does is in `run`, and `dice` draws it; what goes wrong in it is in `mood`
//! and `plan`, and is done by `server` and `troubles` (the plugin's side; `peer` over a socket, `grpc` over
//! HTTP/2), `stream` (the kernel's) and `caller`; `client` is all that is used of hookwire. Every
//! `event` is shown to the `judge`, over both transports to the same one.

// Test code in the form of a program.
#![allow(clippy::expect_used, missing_docs, missing_debug_implementations)]

pub mod answer;
pub mod caller;
pub mod client;
pub mod dice;
pub mod event;
pub mod grpc;
pub mod judge;
pub mod logs;
pub mod mood;
pub mod peer;
pub mod plan;
pub mod run;
pub mod server;
pub mod servers;
pub mod shrink;
pub mod signal;
pub mod stream;
pub mod tap;
#[cfg(test)]
mod tests;
pub mod troubles;
pub mod world;
