//! What the configuration says, as the transport takes it.

use std::sync::Arc;

use super::connect::Security;
use super::names::ByName;
use super::settings::{Servers, Settings};
use super::target::Target;
use super::tls;
use super::way::Way;
use crate::config::{GrpcConfig, TlsConfig};
use crate::unix::connect::Connect;

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

/// `connector`: what leads to the servers that are known, in the place of their addresses.
pub(crate) fn servers(grpc: &GrpcConfig, connector: Option<&dyn Connect>) -> Servers {
    let (way, targets) = (Way::from(grpc), grpc.targets());
    if targets.iter().any(|target| matches!(target, Target::Host { .. })) {
        return Servers::Named(Arc::new(ByName::new(
            targets.to_vec(),
            way,
            grpc.connect_timeout() / 2,
        )));
    }
    let mut known: Vec<_> = targets.iter().flat_map(|target| way.to(target)).collect();
    for remote in &mut known {
        if let Some(connector) = connector.and_then(|all| all.to_server(&remote.name)) {
            remote.connector = connector;
        }
    }
    Servers::Known(known)
}

impl From<&GrpcConfig> for Way {
    fn from(grpc: &GrpcConfig) -> Self {
        let security = match (grpc.tls(), grpc.plaintext()) {
            (Some(tls), _) => Security::Tls(Arc::new(tls.into())),
            (None, Some(true)) => Security::Plaintext,
            (None, _) => Security::Loopback,
        };
        Self { security, trust: Some(Arc::new(grpc.clone())) }
    }
}

impl From<&TlsConfig> for tls::TlsConfig {
    fn from(tls: &TlsConfig) -> Self {
        Self {
            ca_bundle: tls.ca_bundle.clone(),
            certfile_and_keyfile: tls.certfile.clone().zip(tls.keyfile.clone()),
            server_name: tls.server_name.clone(),
        }
    }
}
