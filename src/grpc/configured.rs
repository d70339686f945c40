//! What the configuration says, as the transport takes it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::uri::{Authority, Scheme};

use super::connect::{Security, to_address};
use super::names::ByName;
use super::remote::{Key, Place, Remote};
use super::settings::{Servers, Settings};
use super::target::Target;
use super::tls;
use crate::config::{GrpcConfig, TlsConfig};
use crate::trust::Trust;
use crate::unix::connect::{Connect, Connecting, UnixConnector};

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

/// How every server of a plugin is reached.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) security: Security,
    /// Of a Unix socket.
    pub(super) trust: Option<Arc<GrpcConfig>>,
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

impl Way {
    /// The servers of a target that is no name.
    pub(super) fn to(&self, target: &Target) -> Vec<Remote> {
        match target {
            Target::Host { .. } => Vec::new(),
            Target::Addresses(addresses) => {
                let to = |address: &SocketAddr| remote(address.to_string(), None, *address, self);
                addresses.iter().map(to).collect()
            }
            Target::Unix(path) => vec![self.to_socket(target.to_string(), path)],
        }
    }

    fn to_socket(&self, name: String, path: &Path) -> Remote {
        let authority = Authority::from_static("localhost");
        let Some(grpc) = &self.trust else {
            let never = Arc::new(Never(io::ErrorKind::InvalidInput, "nobody is trusted".into()));
            return Remote::new(name, Scheme::HTTP, &authority, never);
        };
        let place = Place::Socket {
            path: path.into(),
            trust_path: grpc.trust_path(),
            peer_uids: grpc.peer_uids().to_vec(),
            peer_gids: grpc.peer_gids().to_vec(),
        };
        let key = Key { place, scheme: Scheme::HTTP, authority };
        let connector = UnixConnector::new(path.into(), Trust::from(&**grpc));
        Remote::keyed(name, key, Arc::new(connector))
    }
}

/// The server at an address, which a host name may have led to.
pub(super) fn remote(name: String, host: Option<&str>, address: SocketAddr, way: &Way) -> Remote {
    // The dot of a name that is looked up as it is, is no part of it.
    let host = host.map(|host| host.trim_end_matches('.'));
    let authority = match host {
        Some(host) => format!("{host}:{}", address.port()),
        // Without a scope, which an authority has no place for.
        None => SocketAddr::new(address.ip(), address.port()).to_string(),
    };
    // What the configuration takes for a host is one.
    let authority = authority.parse().unwrap_or(Authority::from_static("localhost"));
    let scheme = match way.security {
        Security::Tls(_) => Scheme::HTTPS,
        Security::Loopback | Security::Plaintext => Scheme::HTTP,
    };
    let connector = to_address(address, host, &way.security);
    let connector = connector
        .unwrap_or_else(|error| Arc::new(Never(error.kind(), error.to_string())) as Arc<_>);
    let (host, security) = (host.map(Into::into), way.security.clone());
    let key = Key { place: Place::Address { address, host, security }, scheme, authority };
    Remote::keyed(name, key, connector)
}

#[cfg(test)]
pub(super) fn remote_of(grpc: &GrpcConfig, host: Option<&str>, address: SocketAddr) -> Remote {
    remote(address.to_string(), host, address, &Way::from(grpc))
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

/// There is no way to the server that would be as secure as the configuration asks.
struct Never(io::ErrorKind, String);

impl Connect for Never {
    fn connect(&self) -> Connecting {
        let error = io::Error::new(self.0, self.1.clone());
        Box::pin(async { Err(error) })
    }
}
