//! One server, and one connection to it, as callers and tasks share them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hyper::client::conn::http2::SendRequest;
use tokio::sync::Notify;

use super::call::Body;
use super::link::Cut;
use super::settings::{Paths, Remote};
use crate::error::Cause;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Slot;

/// A server, whether it is connected to or not.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) remote: Remote,
    /// Its state and its counters.
    pub(crate) slot: Arc<Slot>,
    /// Its connection is to be looked at.
    pub(crate) doubt: Notify,
    /// It is no server of the plugin any more.
    pub(crate) gone: Notify,
}

impl Server {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote, slot: Arc::default(), doubt: Notify::new(), gone: Notify::new() }
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.remote.paths
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.slot.state()
    }
}

/// A connection that takes calls, or did: those that are on it may still be answered.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) server: Arc<Server>,
    /// Where the server is among the plugin's.
    pub(crate) index: usize,
    /// Never given twice.
    pub(crate) number: u64,
    pub(crate) sender: SendRequest<Body>,
    pub(crate) cut: Arc<Cut>,
    /// It takes no more calls, whatever becomes of those that are on it.
    pub(crate) retired: Notify,
    /// Something but its first check was answered on it.
    proven: AtomicBool,
}

impl Connection {
    pub(crate) fn new(
        server: Arc<Server>,
        index: usize,
        number: u64,
        sender: SendRequest<Body>,
        cut: Arc<Cut>,
    ) -> Self {
        let (retired, proven) = (Notify::new(), AtomicBool::new(false));
        Self { server, index, number, sender, cut, retired, proven }
    }

    pub(crate) fn prove(&self) {
        if !self.proven.load(Relaxed) {
            self.proven.store(true, Relaxed);
        }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }
}

/// Nobody is left who could use it.
impl Drop for Connection {
    fn drop(&mut self) {
        let error = io::Error::other("the last connection was given up");
        self.cut.cut(Cause::Disconnected(Arc::new(error)));
    }
}
