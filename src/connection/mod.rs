//! One connection to a plugin: the task that owns the socket, and its parts.
//!
//! A handle and a task meet in [`message`] only: a request with a responder goes
//! in over a bounded channel, one answer comes out. What is below the task is
//! pure (`state`, `backoff`, `breaker`, `in_flight`) or a thin layer over the transport.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod circuit;
pub(crate) mod gauge;
pub(crate) mod in_flight;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod shared;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod transport;

#[cfg(all(test, hookwire_loom))]
mod handover_tests;

pub use breaker::BreakerState;
pub use state::ConnectionState;
