//! How a connection gets its socket.

use std::{io, path::Path, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

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

/// Connects to a plugin's Unix socket.
#[derive(Debug, Clone)]
pub(crate) struct UnixConnector {
    path: Arc<Path>,
}

impl UnixConnector {
    pub(crate) fn new(path: Arc<Path>) -> Self {
        Self { path }
    }
}

impl Connector for UnixConnector {
    type Transport = UnixStream;

    fn connect(&mut self) -> Connecting<UnixStream> {
        let path = Arc::clone(&self.path);
        Box::pin(async move { UnixStream::connect(path).await })
    }
}

/// A full backlog is told by EAGAIN, with no readiness to wait for: the server
/// is there, but busy.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
