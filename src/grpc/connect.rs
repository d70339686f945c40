//! A byte stream to one server: over TCP or a Unix socket, and in TLS or not.
//!
//! TLS is a connector around another: what has it in its configuration has no way to a
//! stream without it. Plaintext that was not asked for in so many words goes to this
//! machine only, whatever a name resolves to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::tls::TlsConfig;
use crate::nosignal::NoSignal;
use crate::unix::connect::{Connect, Connecting, Transport};
use crate::unix::place::Place;

/// How the way to a server is secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    Tls(Arc<TlsConfig>),
    /// Nothing that leaves this machine.
    Loopback,
    /// Plaintext, to wherever: something around us encrypts.
    Plaintext,
}

/// The way to one address. `host` is what the server's certificate must be for, unless the
/// configuration names something else: the name that has led here, or the address.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no safe way, by the
/// configuration.
pub(crate) fn to_address(
    address: SocketAddr,
    host: Option<&str>,
    security: &Security,
) -> io::Result<Arc<dyn Connect>> {
    let tcp = Arc::new(TcpConnector::new(address));
    match security {
        Security::Tls(config) => {
            let ip = address.ip().to_string();
            let tls = TlsConnector::new(tcp, Arc::clone(config), Some(host.unwrap_or(&ip)))?;
            Ok(Arc::new(tls))
        }
        Security::Loopback if !address.ip().to_canonical().is_loopback() => {
            let reason = format!(
                "{address} is not on this machine, and plaintext would leave it; set `tls`, or \
                 `plaintext` where something else encrypts"
            );
            Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
        }
        Security::Loopback | Security::Plaintext => Ok(tcp),
    }
}

/// Connects to an address. Small messages go out at once (`TCP_NODELAY`).
#[derive(Debug)]
pub(crate) struct TcpConnector(SocketAddr);

impl TcpConnector {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl Connect for TcpConnector {
    fn connect(&self) -> Connecting {
        let address = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await.map_err(explained)?;
            stream.set_nodelay(true)?;
            let transport: Box<dyn Transport> = Box::new(NoSignal::new(stream));
            Ok(transport)
        })
    }
}

/// Connects as another connector does, and speaks TLS on that.
pub(crate) struct TlsConnector {
    inner: Arc<dyn Connect>,
    config: Arc<TlsConfig>,
    name: ServerName<'static>,
}

impl TlsConnector {
    /// `host` is what the server is asked for, by the configuration: a name or an address,
    /// or neither for a Unix socket.
    ///
    /// # Errors
    /// As [`TlsConfig::expected_name`].
    pub(crate) fn new(
        inner: Arc<dyn Connect>,
        config: Arc<TlsConfig>,
        host: Option<&str>,
    ) -> io::Result<Self> {
        let name = config.expected_name(host)?;
        Ok(Self { inner, config, name })
    }
}

impl Connect for TlsConnector {
    /// Fails as [`TlsConfig::load`], before anything is sent, as the inner connector, and as
    /// [`Loaded::handshake`](super::tls::Loaded::handshake).
    ///
    /// That a server refuses the client's certificate may show on the first read only: a
    /// connection is proved good by an answer, such as that of the connect probe.
    fn connect(&self) -> Connecting {
        let (config, name) = (Arc::clone(&self.config), self.name.clone());
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let files = config.load().await?;
            let stream = inner.connect().await?;
            let transport: Box<dyn Transport> = Box::new(files.handshake(stream, name).await?);
            Ok(transport)
        })
    }

    fn place(&self) -> Option<Place> {
        self.inner.place()
    }
}

/// What the system's words leave open.
fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            let reason = "nobody listens there; is the plugin's server running?";
            io::Error::new(error.kind(), format!("{reason} ({error})"))
        }
        // Not of that kind, which stands for a server that is not trusted.
        io::ErrorKind::PermissionDenied => {
            io::Error::other(format!("this system does not let us connect there ({error})"))
        }
        _ => error,
    }
}

#[cfg(test)]
#[path = "connect_tests/mod.rs"]
mod tests;
