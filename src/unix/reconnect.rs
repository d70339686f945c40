//! Whether and when a plugin is connected to: the state machine of its supervisor,
//! events in, what to do next out.
//!
//! There is one for each plugin, so one series of attempts is shared by all callers.
//! It knows no socket and no clock, so every path through it is tested as a plain value.

use std::time::Duration;

use crate::backoff::Backoff;

/// The state of a connection, and of a plugin as a whole.
///
/// ```
/// use hookwire::ConnectionState;
///
/// assert!(ConnectionState::Ready.is_ready());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// No socket. The next call opens one.
    Idle,
    /// A connection is being made; calls wait for it.
    Connecting,
    /// There is a socket. Calls may be refused all the same, by an
    /// [open breaker](crate::PluginHandle::watch_breaker): a socket is no answer.
    Ready,
    /// The last attempt failed, or the connection was lost before it proved
    /// itself. Calls wait, or fail at once after `reconnect_attempts` failures.
    TransientFailure,
    /// Shut down for good.
    Shutdown,
}

impl ConnectionState {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] =
        [Self::Idle, Self::Connecting, Self::Ready, Self::TransientFailure, Self::Shutdown];

    /// True if a call that the breaker lets through can be sent at once.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }

    /// The stable snake_case name used in traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::TransientFailure => "transient_failure",
            Self::Shutdown => "shutdown",
        }
    }
}

impl std::fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the next attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wait {
    pub(crate) delay: Duration,
    /// Calls fail fast from now on if no socket works: answer those that wait.
    pub(crate) give_up: bool,
}

/// Attempts, failures, and the wait between them.
///
/// ```text
///   Idle ── a call waits ──▶ Connecting ── opened ──▶ Ready ── lost, proven ──▶ Idle
///    ▲                        ▲      │                  │                (or Connecting,
///    │                        │      └─ failed ─┐       │                if calls wait)
///    │ elapsed, nobody waits  │                 ▼       │
///    └─────────────── TransientFailure ◀────────────────┘
///                             │                   lost before a good reply
///                             └─ elapsed, and calls wait or it fails fast ─▶ Connecting
///
///   any ── shut down ─▶ Shutdown
/// ```
///
/// The state is that of the best of the plugin's sockets: `Ready` while one is open,
/// whatever becomes of attempts to open more.
///
/// Failures count from one good *reply* to the next, not from one connect to the
/// next: a server that accepts and closes again is as down as one that refuses. A good
/// reply counts only if its socket is younger than the last failure: an old one that
/// still works does not show that another could be opened.
#[derive(Debug)]
pub(crate) struct Reconnect {
    backoff: Backoff,
    /// Failures in a row after which calls fail fast; at least one.
    limit: u32,
    /// Failures since the last good reply, busy servers left out.
    failures: u32,
    /// The number of the youngest socket when the last failure happened.
    failed_at: u64,
    /// Set by a failure at the limit, cleared by the next socket.
    failing_fast: bool,
    /// Between two attempts.
    waits: bool,
}

impl Reconnect {
    pub(crate) fn new(backoff: Backoff, reconnect_attempts: u32) -> Self {
        let limit = reconnect_attempts.max(1);
        Self { backoff, limit, failures: 0, failed_at: 0, failing_fast: false, waits: false }
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// True while calls are to be refused at once, if no socket works: the plugin is down.
    pub(crate) fn is_failing_fast(&self) -> bool {
        self.failing_fast
    }

    /// A socket is open.
    pub(crate) fn opened(&mut self) {
        self.failing_fast = false;
    }

    /// A socket of this number brought a good reply.
    pub(crate) fn proven(&mut self, socket: u64) {
        if socket > self.failed_at {
            self.failures = 0;
            self.backoff.reset();
        }
    }

    /// An attempt failed, or a socket was lost before a good reply; the youngest socket
    /// so far has this number. `counts` is false for a server whose backlog is full: it is
    /// there. `random` in `[0, 1)` is the jitter.
    pub(crate) fn failed(&mut self, youngest: u64, counts: bool, random: f64) -> Wait {
        self.failed_at = youngest;
        self.failures = self.failures.saturating_add(u32::from(counts));
        self.failing_fast = self.failures >= self.limit;
        self.waits = true;
        Wait { delay: self.backoff.next(random), give_up: self.failing_fast }
    }

    /// The last working socket, which had brought good replies, is gone.
    pub(crate) fn lost_all(&mut self) {
        self.failures = 0;
        self.backoff.reset();
    }

    /// The delay of a [`Wait`] is over.
    pub(crate) fn elapsed(&mut self) {
        self.waits = false;
    }

    /// The plugin's state, from what its sockets are doing.
    pub(crate) fn state(&self, open: bool, opening: bool) -> ConnectionState {
        match (open, opening, self.waits) {
            (true, ..) => ConnectionState::Ready,
            (_, true, _) => ConnectionState::Connecting,
            (.., true) => ConnectionState::TransientFailure,
            _ => ConnectionState::Idle,
        }
    }
}

#[cfg(test)]
#[path = "reconnect_tests.rs"]
mod tests;
