//! One of a plugin's servers, as its connections look at it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::wire::{Flow, Valve};
use crate::site::Site;

pub(crate) struct Member {
    pub(crate) site: Arc<Site>,
    /// Among the servers of its plugin.
    pub(crate) index: usize,
    state: Mutex<State>,
    /// Sends GOAWAY, in good order, on all connections.
    stopping: watch::Sender<()>,
}

struct State {
    acceptor: Option<TlsAcceptor>,
    is_serving: bool,
    flow: Flow,
    valves: Vec<Weak<Valve>>,
}

impl Member {
    /// That of this index, of the plugin.
    pub(crate) fn new(site: &Arc<Site>, index: usize, acceptor: Option<TlsAcceptor>) -> Self {
        let (is_serving, flow, valves) = (true, Flow::Free, Vec::new());
        let state = Mutex::new(State { acceptor, is_serving, flow, valves });
        Self { site: Arc::clone(site), index, state, stopping: watch::Sender::new(()) }
    }

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

    /// Says on all connections that it takes no more calls there.
    pub(crate) fn go_away(&self) {
        self.stopping.send_replace(());
    }

    /// What becomes of the bytes of all connections.
    pub(crate) fn set_flow(&self, flow: Flow) {
        let valves = {
            let mut state = self.state();
            state.flow = flow;
            state.valves.clone()
        };
        valves.iter().filter_map(Weak::upgrade).for_each(|valve| valve.set(flow));
    }

    pub(crate) fn set_serving(&self, is_serving: bool) {
        self.state().is_serving = is_serving;
    }

    /// For connections from now on.
    pub(crate) fn set_acceptor(&self, acceptor: Option<TlsAcceptor>) {
        self.state().acceptor = acceptor;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
