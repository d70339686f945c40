//! Plugins over gRPC, on this machine or another.

pub(crate) mod target;
