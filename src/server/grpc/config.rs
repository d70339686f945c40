//! Where a gRPC server listens, and its limits.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ServerTlsConfig;
use super::memory::Memory;

/// What a call holds beside its message: its task, and the bytes that were read together
/// with it.
pub(super) const CALL: usize = 8 * 1024;

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
    pub(super) max_buffered: usize,
    pub(super) handshake_timeout: Duration,
    pub(super) transfer_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_len: 4 * 1024 * 1024,
            max_connections: 1024,
            max_concurrent_streams: 256,
            max_buffered: 256 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            transfer_timeout: Duration::from_secs(60),
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
    ///
    /// A gateway has a connection or more for each of its plugins here, so there may be many.
    /// Each takes some tens of KiB for HTTP/2 and TLS, and up to 256 KiB (or 1 KiB for each
    /// of its [streams](Self::max_concurrent_streams), if that is more) of what was received
    /// and not looked at yet: that, and nothing else, is beside
    /// [`max_buffered`](Self::max_buffered).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// How much is held at once for the clients of all connections, in bytes: requests
    /// from their first byte until they are answered, replies until the kernel has taken them,
    /// and 8 KiB for each call. Default: 256 MiB. What handlers make of requests is theirs.
    ///
    /// Of three quarters of that, a connection may hold as much as it leaves for others: one
    /// alone up to 96 MiB by default. The last quarter is for those that hold little, up
    /// to 64 KiB for each of [`max_connections`](Self::max_connections): so clients that hold on
    /// to all they can get keep no other out. A call for which there is no room ends with
    /// `RESOURCE_EXHAUSTED`: before its message is received, or where its reply is larger than
    /// its request, which is the one case in which its handler has run.
    ///
    /// Three eighths must be enough for a request and for a reply of the largest size, or else
    /// [`bind_grpc`](crate::server::PluginServerBuilder::bind_grpc) refuses it.
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.limits.max_buffered = bytes;
        self
    }

    /// The most calls at once on one connection, as its client is told; one more is refused
    /// (`REFUSED_STREAM`). Default: 256. What all of them hold is bounded by
    /// [`max_buffered`](Self::max_buffered).
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.limits.max_concurrent_streams = streams;
        self
    }

    /// How long a client may take to get ready: to finish its TLS handshake and send the 24
    /// bytes that HTTP/2 begins with. Then its connection is closed. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// How long a client may take to send a request, and how long to take a reply, as a
    /// whole and however it trickles. Default: 60 s. A request that takes longer ends with
    /// `DEADLINE_EXCEEDED`, or earlier at the call's own `grpc-timeout`. A reply that is not
    /// taken in this time (looked at once in each such time, so twice that at most) ends
    /// its connection, with all calls that are on it.
    pub fn transfer_timeout(mut self, timeout: Duration) -> Self {
        self.limits.transfer_timeout = timeout;
        self
    }

    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it must not be served so, by a server
    /// whose replies have up to `max_reply_len` bytes.
    pub(super) fn check(&self, max_reply_len: usize) -> io::Result<()> {
        let largest = self.limits.max_request_len.max(max_reply_len).saturating_add(CALL);
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
            _ if self.limits.handshake_timeout.is_zero()
                || self.limits.transfer_timeout.is_zero() =>
            {
                "a gRPC server must give its clients some time: `handshake_timeout` and \
                 `transfer_timeout` cannot be zero"
                    .to_owned()
            }
            _ if Memory::largest(self.limits.max_buffered) < largest => format!(
                "`max_buffered` is {}, and three eighths of that must be enough for the largest \
                 request or reply with what a call takes besides, {largest} bytes: raise it, or \
                 lower `max_request_len` or `max_frame_len`",
                self.limits.max_buffered
            ),
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
            let error = at(address).check(0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("without TLS"), "{error}");
            at(address).plaintext(true).check(0).unwrap();
            at(address).tls(ServerTlsConfig::new("a", "b")).check(0).unwrap();
        }
        at("127.0.0.1:1").check(0).unwrap();
        at("[::1]:1").check(0).unwrap();
        GrpcServerConfig::unix("/s").check(0).unwrap();
    }

    #[test]
    fn limits_that_let_nobody_in_are_refused() {
        assert!(GrpcServerConfig::unix("/s").max_connections(0).check(0).is_err());
        assert!(GrpcServerConfig::unix("/s").max_concurrent_streams(0).check(0).is_err());
        assert!(GrpcServerConfig::unix("/s").handshake_timeout(Duration::ZERO).check(0).is_err());
        assert!(GrpcServerConfig::unix("/s").transfer_timeout(Duration::ZERO).check(0).is_err());
    }

    #[test]
    fn the_largest_messages_must_fit_into_what_one_call_may_hold() {
        let config = |bytes| GrpcServerConfig::unix("/s").max_request_len(1000).max_buffered(bytes);
        let enough = (1000 + CALL) / 3 * 8;
        config(enough).check(1000).unwrap();
        let error = config(enough - 8).check(1000).unwrap_err();
        assert!(error.to_string().contains("three eighths of that must be enough"), "{error}");
        config(enough).check(1004).unwrap_err();
        config(usize::MAX).max_request_len(usize::MAX).check(0).unwrap_err();
    }
}
