//! What the fuzz targets and the seeds share.

pub mod grpc;
pub mod json;
pub mod memory;
pub mod messages;
pub mod queue;
pub mod script;
