//! Where the bridge listens. Nothing here is encrypted, so nobody on the network may reach it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

use crate::socket_file::{self, SocketFile};

/// A Unix socket, or a port of this machine for itself.
///
/// ```
/// use hookwire_agentgateway::Address;
///
/// assert!("unix:/run/hookwire/agentgateway.sock".parse::<Address>().is_ok());
/// assert!("127.0.0.1:9001".parse::<Address>().is_ok());
/// let error = "0.0.0.0:9001".parse::<Address>().unwrap_err();
/// assert!(error.to_string().contains("loopback"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Unix(PathBuf),
    Loopback(SocketAddr),
}

/// Why an address is none to listen on. See [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressError(&'static str);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<Self, AddressError> {
        if let Some(path) = address.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let path = Some(path).filter(|path| path.is_absolute());
            let path = path.ok_or(AddressError("a socket is `unix:` and an absolute path"))?;
            return Ok(Self(Kind::Unix(path)));
        }
        let address: SocketAddr = address
            .parse()
            .map_err(|_| AddressError("neither `unix:/PATH` nor `127.0.0.1:PORT`"))?;
        if !address.ip().is_loopback() {
            return Err(AddressError(
                "not a loopback address: the bridge speaks without TLS, so it listens on this \
                 machine only; run it beside the gateway",
            ));
        }
        Ok(Self(Kind::Loopback(address)))
    }
}

/// Something that takes connections. A socket file is removed with it.
#[derive(Debug)]
pub struct Listener(pub(crate) Open);

#[derive(Debug)]
pub(crate) enum Open {
    Unix(UnixListener, SocketFile),
    Loopback(TcpListener),
}

impl Address {
    /// Listens. A socket file has `mode` before anybody can connect, and takes the place of one
    /// that nobody listens on; who may write to it may connect. For a port, `mode` has no meaning:
    /// every user of the machine may connect.
    ///
    /// # Errors
    /// The system's, with the address in the text; `AddrInUse` if somebody listens there.
    ///
    /// # Cancel safety
    /// Dropped, it leaves no socket file of its own; one that nobody listened on may be gone.
    pub async fn listen(&self, mode: u32) -> io::Result<Listener> {
        Ok(Listener(match &self.0 {
            Kind::Unix(path) => {
                let (listener, file) = socket_file::listen(path, mode).await?;
                Open::Unix(listener, file)
            }
            Kind::Loopback(address) => {
                let told = |error: io::Error| {
                    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
                };
                Open::Loopback(TcpListener::bind(address).await.map_err(told)?)
            }
        }))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Open::Unix(_, file) => write!(f, "unix:{}", file.path().display()),
            Open::Loopback(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("an unknown address"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        for fine in ["unix:/a.sock", "127.0.0.1:0", "127.8.8.8:1", "[::1]:9001"] {
            assert!(fine.parse::<Address>().is_ok(), "{fine}");
        }
        for wrong in
            ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "unix:a.sock", "unix:", "localhost:1", ""]
        {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
