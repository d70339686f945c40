//! Accepts connections, up to as many as there may be.

use std::io;
use std::iter;
use std::net::{self, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Shared, connection};
use crate::nosignal::NoSignal;
use crate::server::listener::{Accept as _, Guarded, PAUSE, Run};
use crate::server::socket_file::BACKLOG;
use crate::unix::connect::Transport;

/// A client, and its address where it has one.
type Client = (Box<dyn Transport>, Option<SocketAddr>);

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(Guarded),
}

impl Listener {
    async fn accept(&mut self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(over_tcp),
            Self::Unix(listener) => Ok((Box::new(listener.accept().await?), None)),
        }
    }

    /// The clients that wait to be accepted; no more are taken.
    fn finish(self) -> Vec<Client> {
        match self {
            Self::Tcp(listener) => {
                // It does not block, and stays so.
                let Ok(listener) = listener.into_std() else { return Vec::new() };
                let waiting = iter::from_fn(|| listener.accept().ok()).take(BACKLOG as usize);
                let client = |(stream, peer): (net::TcpStream, _)| {
                    stream.set_nonblocking(true).ok()?;
                    Some(over_tcp((TcpStream::from_std(stream).ok()?, peer)))
                };
                waiting.filter_map(client).collect()
            }
            Self::Unix(listener) => {
                let client = |stream| -> Client { (Box::new(stream), None) };
                listener.finish().map(client).collect()
            }
        }
    }
}

fn over_tcp((stream, peer): (TcpStream, SocketAddr)) -> Client {
    // Fails only for one that is gone already.
    let _ = stream.set_nodelay(true);
    (Box::new(NoSignal::new(stream)), Some(peer))
}

/// Accepts until the server is to stop, and at last those who have connected by then: what
/// they have sent is answered.
pub(super) async fn run(mut listener: Listener, shared: Arc<Shared>) {
    let mut run = shared.run.clone();
    let room = Arc::new(Semaphore::new(shared.limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let accept = async {
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(client) => serve(client, place, &shared),
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
    for client in listener.finish() {
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { break };
        serve(client, place, &shared);
    }
}

fn serve((stream, peer): Client, place: OwnedSemaphorePermit, shared: &Arc<Shared>) {
    let served = connection::serve(stream, peer, Arc::clone(shared));
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "a client's connection ended");
        }
        drop(place);
    });
}
