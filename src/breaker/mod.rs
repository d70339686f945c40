//! The circuit breaker of a plugin: calls fail at once while it is down.

mod gate;
mod machine;

pub(crate) use gate::{Gate, HalfOpenPermit};
pub use machine::BreakerState;
#[cfg(feature = "grpc")]
pub(crate) use machine::Verdict;
pub(crate) use machine::{Breaker, Signal};
