//! What the configuration says, as the transport takes it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::{Authority, Scheme};

use super::connect::{TcpConnector, TlsConnector};
use super::name::NameConnector;
use super::settings::{Remote, Servers, Settings};
use super::target::Target;
use super::tls;
use crate::config::{GrpcConfig, TlsConfig};
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

/// A name is one server, whatever it resolves to.
pub(crate) fn servers(grpc: &GrpcConfig) -> Servers {
    let tls = grpc.tls().map(|tls| Arc::new(tls::TlsConfig::from(tls)));
    let mut servers = Servers::new();
    for target in grpc.targets() {
        match target {
            Target::Host { host, port } => {
                let connector = Arc::new(NameConnector::new(host, *port));
                // The dot of a name that is looked up as it is, is no part of it.
                let host = host.trim_end_matches('.');
                servers.push(remote(target.to_string(), host, *port, connector, tls.as_ref()));
            }
            Target::Addresses(addresses) => servers.extend(addresses.iter().map(|address| {
                let connector = Arc::new(TcpConnector::new(*address));
                let (ip, port) = (address.ip().to_string(), address.port());
                remote(address.to_string(), &ip, port, connector, tls.as_ref())
            })),
            Target::Unix(path) => {
                let connector = Arc::new(UnixConnector::new(path.as_path().into(), grpc.into()));
                let authority = Authority::from_static("localhost");
                servers.push(Remote::new(target.to_string(), Scheme::HTTP, &authority, connector));
            }
        }
    }
    servers
}

fn remote(
    name: String,
    host: &str,
    port: u16,
    connector: Arc<dyn Connect>,
    tls: Option<&Arc<tls::TlsConfig>>,
) -> Remote {
    let authority = match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    };
    // What the configuration takes for a host is one.
    let authority = authority.parse().unwrap_or(Authority::from_static("localhost"));
    let (scheme, connector) = match tls {
        None => (Scheme::HTTP, connector),
        Some(tls) => (Scheme::HTTPS, secured(connector, tls, host)),
    };
    Remote::new(name, scheme, &authority, connector)
}

fn secured(inner: Arc<dyn Connect>, tls: &Arc<tls::TlsConfig>, host: &str) -> Arc<dyn Connect> {
    match TlsConnector::new(inner, Arc::clone(tls), Some(host)) {
        Ok(connector) => Arc::new(connector),
        Err(error) => Arc::new(Never(error.kind(), error.to_string())),
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

/// Has no way to its server that would be as secure as it is to be.
struct Never(io::ErrorKind, String);

impl Connect for Never {
    fn connect(&self) -> Connecting {
        let error = io::Error::new(self.0, self.1.clone());
        Box::pin(async { Err(error) })
    }
}
