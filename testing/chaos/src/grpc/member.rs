//! One of a plugin's servers, on an address of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::connection::serve;
use super::wire::{Flow, Valve};
use crate::site::Site;

/// As many connections as wait to be accepted.
const BACKLOG: u32 = 1024;

/// What its connections look at.
pub(crate) struct Member {
    pub(crate) site: Arc<Site>,
    /// Among the servers of its plugin.
    pub(crate) index: usize,
    state: Mutex<State>,
    /// Sends GOAWAY, in good order, on all connections.
    stopping: watch::Sender<()>,
    /// Ends them.
    dying: watch::Sender<()>,
    /// How many there are.
    open: watch::Sender<usize>,
    accepted: AtomicUsize,
}

struct State {
    acceptor: Option<TlsAcceptor>,
    is_serving: bool,
    flow: Flow,
    valves: Vec<Weak<Valve>>,
}

impl Member {
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.state().acceptor.clone()
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.state().acceptor.is_some()
    }

    /// What it says of itself when it is asked.
    pub(crate) fn is_serving(&self) -> bool {
        self.state().is_serving
    }

    pub(crate) fn flow(&self) -> Flow {
        self.state().flow
    }

    /// That of a new connection.
    pub(crate) fn valve(&self) -> Arc<Valve> {
        let mut state = self.state();
        let valve = Valve::new(state.flow);
        state.valves.retain(|valve| valve.strong_count() > 0);
        state.valves.push(Arc::downgrade(&valve));
        valve
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<()> {
        self.stopping.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server itself. Dropping it ends everything.
pub(crate) struct Server {
    member: Arc<Member>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on this address, at a port that is free now.
    pub(crate) fn start(
        site: &Arc<Site>,
        index: usize,
        mut address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let (is_serving, flow, valves) = (true, Flow::Free, Vec::new());
        let member = Member {
            site: Arc::clone(site),
            index,
            state: Mutex::new(State { acceptor, is_serving, flow, valves }),
            stopping: watch::Sender::new(()),
            dying: watch::Sender::new(()),
            open: watch::Sender::new(0),
            accepted: AtomicUsize::new(0),
        };
        let listener = listen(address);
        address = listener.local_addr().expect("it is bound");
        let mut new = Self { member: Arc::new(member), address, accepting: None };
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
        let member = Arc::clone(&self.member);
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let number = member.accepted.fetch_add(1, Relaxed);
                let member = Arc::clone(&member);
                let mut dying = member.dying.subscribe();
                member.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = dying.changed() => {}
                        () = serve(stream, Arc::clone(&member), number) => {}
                    }
                    member.open.send_modify(|open| *open -= 1);
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

    /// Says on all connections that it takes no more calls there.
    pub(crate) fn go_away(&self) {
        self.member.stopping.send_replace(());
    }

    /// Dies as in a crash: closes all connections and listens no more.
    pub(crate) async fn kill(&mut self) {
        self.stop_listening().await;
        self.member.dying.send_replace(());
        // The sender is the member's.
        let _ = self.member.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// What becomes of the bytes of all connections.
    pub(crate) fn set_flow(&self, flow: Flow) {
        let valves = {
            let mut state = self.member.state();
            state.flow = flow;
            state.valves.clone()
        };
        valves.iter().filter_map(Weak::upgrade).for_each(|valve| valve.set(flow));
    }

    pub(crate) fn set_serving(&self, is_serving: bool) {
        self.member.state().is_serving = is_serving;
    }

    /// For connections from now on.
    pub(crate) fn set_acceptor(&self, acceptor: Option<TlsAcceptor>) {
        self.member.state().acceptor = acceptor;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.member.dying.send_replace(());
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
