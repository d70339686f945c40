//! From a target of the configuration to servers: what they are called, and how they are
//! connected to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::uri::{Authority, Scheme};

use super::connect::{Security, to_address};
use super::remote::{Key, Place, Remote};
use super::target::Target;
use crate::config::GrpcConfig;
use crate::trust::Trust;
use crate::unix::connect::{Connect, Connecting, UnixConnector};

/// How every server of a plugin is reached.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) security: Security,
    /// Of a Unix socket.
    pub(super) trust: Option<Arc<GrpcConfig>>,
}

impl Way {
    /// The servers of a target that is no name.
    pub(super) fn to(&self, target: &Target) -> Vec<Remote> {
        match target {
            Target::Host { .. } => Vec::new(),
            Target::Addresses(addresses) => {
                let to =
                    |address: &SocketAddr| self.to_address(address.to_string(), None, *address);
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

    /// The server at an address, which a host name may have led to.
    pub(super) fn to_address(
        &self,
        name: String,
        host: Option<&str>,
        address: SocketAddr,
    ) -> Remote {
        // The dot of a name that is looked up as it is, is no part of it.
        let host = host.map(|host| host.trim_end_matches('.'));
        let authority = match host {
            Some(host) => format!("{host}:{}", address.port()),
            // Without a scope, which an authority has no place for.
            None => SocketAddr::new(address.ip(), address.port()).to_string(),
        };
        // What the configuration takes for a host is one.
        let authority = authority.parse().unwrap_or(Authority::from_static("localhost"));
        let scheme = match self.security {
            Security::Tls(_) => Scheme::HTTPS,
            Security::Loopback | Security::Plaintext => Scheme::HTTP,
        };
        let connector = to_address(address, host, &self.security);
        let connector = connector
            .unwrap_or_else(|error| Arc::new(Never(error.kind(), error.to_string())) as Arc<_>);
        let (host, security) = (host.map(Into::into), self.security.clone());
        let key = Key { place: Place::Address { address, host, security }, scheme, authority };
        Remote::keyed(name, key, connector)
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
