//! Plugins over gRPC, on this machine or another.
//!
//! | file | role |
//! |---|---|
//! | `target` | where a server is, from text; pure |
//! | `configured` | what the configuration says, as the transport takes it |

pub(crate) mod configured;
pub(crate) mod plugin;
#[allow(dead_code)] // A stub.
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod target;
