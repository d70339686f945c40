//! One server, the trouble with reaching it, and a plugin's part in one connection to it, as callers
//! and tasks share them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::pool::Pool;
use super::remote::{Paths, Remote};
use super::session::Session;
use super::subchannel::Subchannel;
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
    /// Where other plugins may use the connection too.
    shared: Option<Arc<Subchannel>>,
    own: OnceLock<Arc<Subchannel>>,
    max_in_flight: usize,
}

impl Server {
    pub(crate) fn new(remote: Remote, pool: Option<&Pool>, max_in_flight: usize) -> Self {
        let shared = pool.and_then(|pool| pool.subchannel(&remote));
        let (slot, own) = (Arc::default(), OnceLock::new());
        let (doubt, gone) = (Notify::new(), Notify::new());
        Self { remote, slot, doubt, gone, shared, own, max_in_flight }
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.remote.paths
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.slot.state()
    }

    pub(crate) fn subchannel(&self) -> &Arc<Subchannel> {
        match (&self.shared, self.own.get()) {
            (Some(shared), None) => shared,
            _ => self.own_subchannel(),
        }
    }

    /// The plugin shares no connection to it from the next one on. What one of its replies has
    /// ended for all, those that come after must not end again.
    pub(crate) fn separate(&self) {
        self.own_subchannel();
    }

    fn own_subchannel(&self) -> &Arc<Subchannel> {
        self.own.get_or_init(|| {
            let (connector, check) =
                (Arc::clone(&self.remote.connector), self.paths().check.clone());
            let owner = Arc::clone(&self.slot);
            Arc::new(Subchannel::own(connector, check, owner, self.max_in_flight))
        })
    }
}

/// How attempts to connect to a server went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// Failures in a row.
    pub(crate) attempts: u32,
    pub(crate) is_down: bool,
    pub(crate) error: Option<Arc<io::Error>>,
    pub(crate) next: Option<Instant>,
}

/// A plugin's part in a connection that takes calls, or did: those that are on it may still be
/// answered.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) server: Arc<Server>,
    /// Where the server is among the plugin's.
    pub(crate) index: usize,
    /// Never given twice.
    pub(crate) number: u64,
    pub(crate) session: Arc<Session>,
    /// Calls wait, and all streams of the connection are taken by others.
    pub(crate) crowded: Notify,
    /// It is to be looked after no more.
    pub(crate) closed: Notify,
    /// What those learn whose calls are on it, where the others' go on.
    severed: OnceLock<Cause>,
    ending: Notify,
    has_left: AtomicBool,
}

impl Connection {
    /// `None` if the connection takes no more calls. `patience`: how long the plugin waits for a
    /// server.
    pub(crate) fn new(
        server: Arc<Server>,
        index: usize,
        number: u64,
        session: Arc<Session>,
        patience: Duration,
    ) -> Option<Self> {
        session.enter(patience).then(|| {
            let (crowded, closed, ending) = (Notify::new(), Notify::new(), Notify::new());
            let (severed, has_left) = (OnceLock::new(), AtomicBool::new(false));
            Self { server, index, number, session, crowded, closed, severed, ending, has_left }
        })
    }

    /// Ends all that the plugin has under way on it. What others have goes on. Only the first
    /// reason counts.
    pub(crate) fn sever(&self, why: Cause) {
        if self.session.is_shared {
            let _ = self.severed.set(why);
            self.ending.notify_waiters();
            self.leave();
        } else {
            self.session.cut.cut(why);
        }
    }

    fn leave(&self) {
        if !self.has_left.swap(true, SeqCst) {
            self.session.leave();
        }
    }

    /// Counts the bytes of a call and its reply, where those of the connection are several
    /// plugins'.
    pub(crate) fn count(&self, sent: &[u8], received: &[u8]) {
        if self.session.is_shared {
            let traffic = &self.server.slot.traffic;
            traffic.bytes_sent.fetch_add(sent.len() as u64, Relaxed);
            traffic.bytes_received.fetch_add(received.len() as u64, Relaxed);
        }
    }

    /// A call that is under way on it now.
    pub(crate) fn call(&self) -> UnderWay<'_> {
        UnderWay { abandoned: &self.server.slot.traffic.abandoned, has_left: true }
    }

    /// Why it was ended, if that was on this side.
    pub(crate) fn why(&self) -> Option<&Cause> {
        self.severed.get().or_else(|| self.session.cut.why())
    }

    /// Waits until it is severed from a connection that others go on to use.
    pub(crate) async fn is_severed(&self) {
        if !self.session.is_shared {
            return std::future::pending().await;
        }
        let ending = self.ending.notified();
        // Looked at after that began: what comes in between wakes.
        if self.severed.get().is_none() {
            ending.await;
        }
    }
}

/// Counts a call whose caller leaves before it is over.
pub(crate) struct UnderWay<'a> {
    abandoned: &'a AtomicU64,
    has_left: bool,
}

impl UnderWay<'_> {
    /// The caller was there to the end.
    pub(crate) fn over(mut self) {
        self.has_left = false;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.has_left {
            self.abandoned.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
    }
}
