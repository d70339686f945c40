//! The plugin's servers over gRPC: HTTP/2 by the h2 crate on streams in memory, and what goes
//! wrong with it.
//!
//! `connection` is one connection, `line` what its calls share, `call` one of them on its stream,
//! and `serve` what becomes of it.
//! `splice` puts frames in between that h2 would not write. `frames` reads HTTP/2 for that, and
//! for the `tap`, which tells what is in the kernel.

pub mod call;
pub mod connection;
pub mod frames;
pub mod line;
mod serve;
pub mod splice;
pub mod tap;
#[cfg(test)]
mod tests;
