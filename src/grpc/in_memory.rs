//! Streams in memory in the place of connections to servers: for the simulation.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::unix::connect::{Connect, Connecting, FnConnector};

/// Connects by calling a function, which is given the server's name.
pub(crate) struct ToServers<F>(pub(crate) Arc<F>);

impl<F, Fut, S> Connect for ToServers<F>
where
    F: Fn(&str) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// It does not know to which.
    fn connect(&self) -> Connecting {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }

    fn to_server(&self, name: &str) -> Option<Arc<dyn Connect>> {
        let (connect, name) = (Arc::clone(&self.0), name.to_owned());
        Some(Arc::new(InMemory(FnConnector(move || connect(&name)))))
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

/// The way to one of them.
struct InMemory<C>(C);

impl<C: Connect> Connect for InMemory<C> {
    fn connect(&self) -> Connecting {
        self.0.connect()
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}
