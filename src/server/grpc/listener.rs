//! Accepts connections, up to as many as there may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Shared, connection};
use crate::nosignal::NoSignal;
use crate::server::listener::{Accept as _, Guarded, PAUSE, Run};
use crate::unix::connect::Transport;

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(Guarded),
}

impl Listener {
    /// A client, and its address where it has one.
    async fn accept(&mut self) -> io::Result<(Box<dyn Transport>, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Fails only for one that is gone already.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(NoSignal::new(stream)), Some(peer)))
            }
            Self::Unix(listener) => Ok((Box::new(listener.accept().await?), None)),
        }
    }
}

/// Accepts until the server is to stop. Connections that nobody has accepted then are
/// closed: nothing was promised on them.
pub(super) async fn run(mut listener: Listener, shared: Arc<Shared>) {
    let mut run = shared.run.clone();
    let room = Arc::new(Semaphore::new(shared.limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let accept = async {
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let served = connection::serve(stream, peer, Arc::clone(&shared));
                    tokio::spawn(async move {
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a client's connection ended");
                        }
                        drop(place);
                    });
                }
                // A client that has left before it was accepted: no trouble of ours.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = Run::Drain.reaches(&mut run) => {}
        () = accept => {}
    }
}
