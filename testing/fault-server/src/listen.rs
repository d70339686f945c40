//! Where a server listens: on the same path or port over all its restarts.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tokio_util::either::Either;

use super::{Over, Stream};

pub(crate) enum Place {
    Path(TempDir),
    Port {
        address: SocketAddr,
        /// Never listens, and keeps the port.
        _keeper: TcpSocket,
    },
}

impl Place {
    pub(crate) fn new(over: Over) -> Self {
        if over != Over::Tcp {
            let dir = tempfile::Builder::new().prefix("fault").tempdir();
            return Self::Path(dir.expect("a directory"));
        }
        let keeper = tcp((Ipv4Addr::LOCALHOST, 0).into());
        let address = keeper.local_addr().expect("it is bound");
        Self::Port { address, _keeper: keeper }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Path(dir) => dir.path().join("plugin.sock"),
            Self::Port { .. } => panic!("over TCP there is no path"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Port { address, .. } => *address,
            Self::Path(_) => panic!("a Unix socket has no port"),
        }
    }

    /// Whatever is there now.
    pub(crate) fn listen(&self, backlog: u32) -> Listener {
        let listens = "a bound socket listens";
        match self {
            Self::Path(_) => Listener::Unix(self.bound().listen(backlog).expect(listens)),
            Self::Port { address, .. } => {
                Listener::Tcp(tcp(*address).listen(backlog).expect(listens))
            }
        }
    }

    pub(crate) fn bound(&self) -> UnixSocket {
        clear(&self.path());
        let socket = UnixSocket::new_stream().expect("a socket");
        socket.bind(self.path()).expect("the path is free");
        socket
    }
}

fn tcp(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option that every socket has");
    socket.bind(address).expect("the port is free, or kept for this");
    socket
}

pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Either::Left(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Right(stream))
            }
        }
    }
}

/// Whatever is at the path, if anything.
pub(crate) fn clear(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}
