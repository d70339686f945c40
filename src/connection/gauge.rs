//! What a connection shows to those who choose one: atomics, read without a lock.

use super::state::ConnectionState;
use crate::sync::AtomicWaker;
use crate::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst,
};

/// Shared by a connection's task and the handles.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Requests handed to this connection and not answered by it: queued, in
    /// flight, tombstones. Counted up by who hands over, down by the task.
    load: AtomicUsize,
    in_flight: AtomicUsize,
    state: AtomicU8,
    /// The plugin is down as far as this connection knows: calls fail at once.
    failing: AtomicBool,
    /// The reply at the head is overdue: nothing new is sent behind it.
    stalled: AtomicBool,
    /// The number of a socket whose replies cannot be trusted, plus one.
    suspect: AtomicU64,
    suspect_reason: AtomicU8,
    /// The number of the socket that brought a reply which was found good, plus one.
    confirmed: AtomicU64,
    waker: AtomicWaker,
    pub(crate) traffic: Traffic,
}

/// Counters of one connection, only ever counted up by its task.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) connects: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) abandoned: AtomicU64,
}

/// Why a socket was given up because of one reply on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    Mismatch,
    Undecodable,
    Empty,
    Unproven,
}

impl Suspicion {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mismatch => "a reply on it belonged to another request",
            Self::Undecodable => "a reply on it could not be decoded",
            Self::Empty => "a reply on it held neither a result nor an error",
            Self::Unproven => "a reply on it did not bring back the stamp of its request",
        }
    }
}

impl Gauge {
    pub(crate) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    /// Claims the connection if nobody uses it.
    pub(crate) fn claim_unused(&self) -> bool {
        self.load.compare_exchange(0, 1, Relaxed, Relaxed).is_ok()
    }

    pub(crate) fn add_load(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    pub(crate) fn sub_load(&self, count: usize) {
        self.load.fetch_sub(count, Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn set_in_flight(&self, count: usize) {
        self.in_flight.store(count, Relaxed);
    }

    pub(crate) fn state(&self) -> ConnectionState {
        match self.state.load(Relaxed) {
            0 => ConnectionState::Idle,
            1 => ConnectionState::Connecting,
            2 => ConnectionState::Ready,
            3 => ConnectionState::TransientFailure,
            _ => ConnectionState::Shutdown,
        }
    }

    pub(crate) fn set_state(&self, state: ConnectionState) {
        let code = match state {
            ConnectionState::Idle => 0,
            ConnectionState::Connecting => 1,
            ConnectionState::Ready => 2,
            ConnectionState::TransientFailure => 3,
            ConnectionState::Shutdown => 4,
        };
        self.state.store(code, Relaxed);
    }

    /// A call that is handed over now is sent now, or soon.
    pub(crate) fn is_ready(&self) -> bool {
        self.state() == ConnectionState::Ready && !self.is_stalled()
    }

    pub(crate) fn is_unopened(&self) -> bool {
        self.state() == ConnectionState::Idle && self.load() == 0
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    pub(crate) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Relaxed);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        if self.is_stalled() != stalled {
            self.stalled.store(stalled, Relaxed);
        }
    }

    /// Tells the task that a reply from `socket` was not what was asked for.
    pub(crate) fn suspect(&self, socket: u64, suspicion: Suspicion) {
        self.suspect_reason.store(suspicion as u8, SeqCst);
        self.suspect.fetch_max(socket + 1, SeqCst);
        self.waker.wake();
    }

    /// Why `socket` cannot be trusted, if somebody found out.
    pub(crate) fn suspicion(&self, socket: u64) -> Option<Suspicion> {
        if self.suspect.load(SeqCst) != socket + 1 {
            return None;
        }
        Some(match self.suspect_reason.load(SeqCst) {
            0 => Suspicion::Mismatch,
            1 => Suspicion::Undecodable,
            2 => Suspicion::Empty,
            _ => Suspicion::Unproven,
        })
    }

    /// A reply from `socket` was decoded and is what was asked for.
    pub(crate) fn confirm(&self, socket: u64) {
        if self.confirmed.load(Relaxed) != socket + 1 {
            self.confirmed.store(socket + 1, Relaxed);
        }
    }

    /// Whether any reply from `socket` was found good.
    pub(crate) fn is_confirmed(&self, socket: u64) -> bool {
        self.confirmed.load(Relaxed) == socket + 1
    }

    /// Wakes the task to look at what changed.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}
