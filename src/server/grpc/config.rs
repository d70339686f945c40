//! Where a gRPC server listens, and its limits.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ServerTlsConfig;

/// Where a gRPC server listens, and its limits: for
/// [`bind_grpc`](crate::server::PluginServerBuilder::bind_grpc).
///
/// ```
/// use hookwire::server::grpc::{GrpcServerConfig, ServerTlsConfig};
///
/// let tls = ServerTlsConfig::new("/etc/plugins/tls.crt", "/etc/plugins/tls.key");
/// let config = GrpcServerConfig::tcp("0.0.0.0:50051".parse()?).tls(tls).max_connections(100);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct GrpcServerConfig {
    pub(super) at: At,
    pub(super) tls: Option<ServerTlsConfig>,
    plaintext: bool,
    pub(super) limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) max_request_len: usize,
    pub(super) max_connections: usize,
    pub(super) max_concurrent_streams: u32,
    pub(super) handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_len: 4 * 1024 * 1024,
            max_connections: 1024,
            max_concurrent_streams: 256,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl GrpcServerConfig {
    /// Listens on this address; with port 0, on a port that the system chooses.
    ///
    /// In plaintext on loopback only, unless [`plaintext`](Self::plaintext) says otherwise.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::at(At::Tcp(address))
    }

    /// Listens on a Unix socket, with the builder's
    /// [mode](crate::server::PluginServerBuilder::socket_mode) and for its
    /// [users](crate::server::PluginServerBuilder::peer_uids).
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::at(At::Unix(path.into()))
    }

    fn at(at: At) -> Self {
        Self { at, tls: None, plaintext: false, limits: Limits::default() }
    }

    /// Speaks TLS, and nothing else.
    pub fn tls(mut self, tls: ServerTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Without TLS, also where others than this machine can connect: where something around
    /// it encrypts, such as a service mesh. Default: refused.
    pub fn plaintext(mut self, allowed: bool) -> Self {
        self.plaintext = allowed;
        self
    }

    /// The largest request, in bytes; beyond it the call fails with `RESOURCE_EXHAUSTED`.
    /// Default: 4 MiB, as the reference server has it, and as its clients expect. The limit
    /// of replies is [`max_frame_len`](crate::server::PluginServerBuilder::max_frame_len).
    pub fn max_request_len(mut self, bytes: usize) -> Self {
        self.limits.max_request_len = bytes;
        self
    }

    /// The most connections at once; further ones wait until the kernel takes them no more.
    /// Default: 1024.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// The most calls at once on one connection, as its client is told. Default: 256. Each
    /// may hold a request of [`max_request_len`](Self::max_request_len) in memory, and its
    /// reply until that is taken.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.limits.max_concurrent_streams = streams;
        self
    }

    /// How long the TLS handshake of a client may take. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it must not be served so.
    pub(super) fn check(&self) -> io::Result<()> {
        let problem = match &self.at {
            At::Tcp(address)
                if self.tls.is_none()
                    && !self.plaintext
                    && !address.ip().to_canonical().is_loopback() =>
            {
                format!(
                    "cannot serve gRPC on {address} without TLS: others could read and forge \
                     calls; set `tls`, or `plaintext` where something else encrypts"
                )
            }
            _ if self.limits.max_connections == 0 || self.limits.max_concurrent_streams == 0 => {
                "a gRPC server needs at least one connection, and one stream on it".to_owned()
            }
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_beyond_this_machine_must_be_written_out() {
        let at = |text: &str| GrpcServerConfig::tcp(text.parse().unwrap());
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let error = at(address).check().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("without TLS"), "{error}");
            at(address).plaintext(true).check().unwrap();
            at(address).tls(ServerTlsConfig::new("a", "b")).check().unwrap();
        }
        at("127.0.0.1:1").check().unwrap();
        at("[::1]:1").check().unwrap();
        GrpcServerConfig::unix("/s").check().unwrap();
    }

    #[test]
    fn limits_that_let_nobody_in_are_refused() {
        assert!(GrpcServerConfig::unix("/s").max_connections(0).check().is_err());
        assert!(GrpcServerConfig::unix("/s").max_concurrent_streams(0).check().is_err());
    }
}
