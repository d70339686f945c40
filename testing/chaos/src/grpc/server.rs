//! One of a plugin's servers, on an address of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::connection::serve;
use super::member::Member;
use crate::site::Site;

/// As many connections as wait to be accepted.
const BACKLOG: u32 = 1024;

/// The server itself. Dropping it ends everything.
pub(crate) struct Server {
    pub(crate) member: Arc<Member>,
    address: SocketAddr,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Connections {
    /// Ends them.
    dying: watch::Sender<()>,
    /// How many there are.
    open: watch::Sender<usize>,
    accepted: AtomicUsize,
}

impl Server {
    /// Listens on this address, at a port that is free now.
    pub(crate) fn start(
        site: &Arc<Site>,
        index: usize,
        mut address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let member = Arc::new(Member::new(site, index, acceptor));
        let listener = listen(address);
        address = listener.local_addr().expect("it is bound");
        let mut new = Self { member, address, connections: Arc::default(), accepting: None };
        new.accept(listener);
        new
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens again, on the same address.
    pub(crate) fn restart(&mut self) {
        self.accept(listen(self.address));
    }

    fn accept(&mut self, listener: TcpListener) {
        let (member, connections) = (Arc::clone(&self.member), Arc::clone(&self.connections));
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let number = connections.accepted.fetch_add(1, Relaxed);
                let (member, connections) = (Arc::clone(&member), Arc::clone(&connections));
                let mut dying = connections.dying.subscribe();
                connections.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = dying.changed() => {}
                        () = serve(stream, member, number) => {}
                    }
                    connections.open.send_modify(|open| *open -= 1);
                });
            }
        }));
    }

    /// Takes no more connections; those that are there go on.
    pub(crate) async fn stop_listening(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Dies as in a crash: closes all connections and listens no more.
    pub(crate) async fn kill(&mut self) {
        self.stop_listening().await;
        self.connections.dying.send_replace(());
        // The sender is the server's.
        let _ = self.connections.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connections.dying.send_replace(());
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Connections of the one before may still be closing.
    socket.set_reuseaddr(true).expect("a socket of this kind");
    socket.bind(address).expect("the address is its own");
    socket.listen(BACKLOG).expect("a bound socket listens")
}
