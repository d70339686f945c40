//! What the configuration says, as the transport takes it.

use super::settings::{Servers, Settings};
use crate::config::GrpcConfig;

pub(crate) fn settings(grpc: &GrpcConfig) -> Settings {
    Settings {
        connect_timeout: grpc.connect_timeout(),
        reconnect_delay: grpc.reconnect_delay(),
        max_backoff: grpc.max_backoff(),
        // As over a socket: without any, the first failure is enough.
        reconnect_attempts: grpc.reconnect_attempts().max(1),
        max_in_flight: grpc.max_in_flight(),
        keep_alive: grpc.keep_alive(),
        max_request_len: grpc.max_message_len(),
        max_reply_len: grpc.max_reply_len(),
    }
}

/// A stub: no server is known, until the ways to them are merged. Then each target becomes one
/// or more, with the connector that its TLS asks for.
pub(crate) fn servers(_grpc: &GrpcConfig) -> Servers {
    Servers::new()
}
