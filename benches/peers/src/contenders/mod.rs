//! Those who make the same call.

pub mod embedded;
pub mod grpc;
pub mod ours;
pub mod ping_pong;
pub mod raw;
pub mod reference;
pub mod tarpc;
pub mod tonic;
