//! One of a plugin's connections, whether it is open or not: its counters, and what
//! callers found out about its replies.
//!
//! Sockets come and go in a slot, each with a number of its own. What is found out of
//! one socket is never taken for another's.

use std::sync::atomic::{
    AtomicU8, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

use futures::task::AtomicWaker;

use super::reconnect::ConnectionState;

/// Written by the supervisor, the socket's task and the callers; read by all.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: AtomicU8,
    in_flight: AtomicUsize,
    /// The number of a socket whose replies cannot be trusted.
    suspect: AtomicU64,
    suspect_reason: AtomicU8,
    /// The number of the last socket that brought a reply which was found good.
    confirmed: AtomicU64,
    /// Wakes the task of the open socket.
    waker: AtomicWaker,
    pub(crate) traffic: Traffic,
}

/// Counters, only ever counted up.
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

impl Slot {
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

    /// Tells the task of `socket` that a reply from it was not what was asked for.
    pub(crate) fn suspect(&self, socket: u64, suspicion: Suspicion) {
        self.suspect_reason.store(suspicion as u8, SeqCst);
        self.suspect.fetch_max(socket, SeqCst);
        self.waker.wake();
    }

    /// Why `socket` cannot be trusted, if somebody found out.
    pub(crate) fn suspicion(&self, socket: u64) -> Option<Suspicion> {
        if self.suspect.load(SeqCst) != socket {
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
        if self.confirmed.load(Relaxed) < socket {
            self.confirmed.fetch_max(socket, Relaxed);
        }
    }

    /// The last socket of which a reply was found good; 0 if there is none.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Relaxed)
    }

    /// Wakes the task of the open socket to look at what changed.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_of_an_earlier_socket_is_none_of_a_later_one_and_hides_none() {
        let slot = Slot::default();
        slot.suspect(1, Suspicion::Mismatch);
        assert_eq!(slot.suspicion(1), Some(Suspicion::Mismatch));
        assert_eq!(slot.suspicion(2), None);
        slot.suspect(2, Suspicion::Unproven);
        // A caller that looks late into a reply of the first.
        slot.suspect(1, Suspicion::Mismatch);
        assert!(slot.suspicion(2).is_some());
    }

    #[test]
    fn a_good_reply_of_an_earlier_socket_confirms_no_later_one() {
        let slot = Slot::default();
        slot.confirm(2);
        slot.confirm(1);
        assert_eq!(slot.confirmed(), 2);
    }

    #[test]
    fn a_state_is_read_as_it_was_set() {
        let slot = Slot::default();
        for state in ConnectionState::ALL {
            slot.set_state(state);
            assert_eq!(slot.state(), state);
        }
    }

    #[test]
    fn each_suspicion_is_told_as_what_it_is() {
        let all =
            [Suspicion::Mismatch, Suspicion::Undecodable, Suspicion::Empty, Suspicion::Unproven];
        for (socket, suspicion) in (1..).zip(all) {
            let slot = Slot::default();
            slot.suspect(socket, suspicion);
            assert_eq!(slot.suspicion(socket), Some(suspicion));
        }
    }
}
