//! How a connection gets its socket.

use std::{io, path::Path, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::nosignal::NoSignal;
use crate::trust::Trust;

/// What a connection task reads from and writes to.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// An attempt to connect.
pub(crate) type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Makes sockets; tests make in-memory pipes instead.
pub(crate) trait Connector: Send + 'static {
    type Transport: Transport;

    /// Starts one attempt.
    fn connect(&mut self) -> Connecting<Self::Transport>;
}

/// Connects to a plugin's Unix socket, if who listens there is to be trusted.
#[derive(Debug, Clone)]
pub(crate) struct UnixConnector {
    path: Arc<Path>,
    trust: Arc<Trust>,
}

impl UnixConnector {
    pub(crate) fn new(path: Arc<Path>, trust: Trust) -> Self {
        Self { path, trust: Arc::new(trust) }
    }
}

impl Connector for UnixConnector {
    type Transport = NoSignal;

    fn connect(&mut self) -> Connecting<NoSignal> {
        let Self { path, trust } = self.clone();
        Box::pin(async move {
            trust.check_path(&path)?;
            let stream = UnixStream::connect(&path).await.map_err(explained)?;
            trust.check_peer(&stream)?;
            Ok(NoSignal::new(stream))
        })
    }
}

/// "Resource temporarily unavailable" tells nobody what to do.
fn explained(error: io::Error) -> io::Error {
    if !is_busy(&error) {
        return error;
    }
    let reason = format!("the server is busy, its backlog of connections is full ({error})");
    io::Error::new(io::ErrorKind::WouldBlock, reason)
}

/// A full backlog is told by EAGAIN, with no readiness to wait for: the server
/// is there, but busy.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
