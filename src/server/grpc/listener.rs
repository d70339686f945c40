//! Accepts connections, up to as many as there may be.

use std::io;
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
    async fn accept(&mut self) -> io::Result<Box<dyn Transport>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(NoSignal::new(stream))
            }
            Self::Unix(listener) => Box::new(listener.accept().await?),
        })
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
                Ok(stream) => {
                    let served = connection::serve(stream, Arc::clone(&shared));
                    tokio::spawn(async move {
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a client's connection ended");
                        }
                        drop(place);
                    });
                }
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
