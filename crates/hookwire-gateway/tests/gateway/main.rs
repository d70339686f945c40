//! A gateway over plugins on embedded servers: reloads, health, and the end.
#![allow(clippy::unwrap_used, clippy::panic)]

mod apply;
mod health;
#[cfg(feature = "grpc")]
mod over_grpc;
mod reload;
mod shutdown;
mod under_load;
#[cfg(feature = "watch")]
mod watch;
mod world;
