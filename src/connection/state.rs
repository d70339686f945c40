//! The state machine of one connection: events in, what to do next out.
//!
//! It knows no socket and no clock, so every path through it is tested as a
//! plain value; the task around it does what it says.

use std::time::Duration;

use super::backoff::Backoff;

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
    /// There is a socket.
    Ready,
    /// The last attempt failed, or the connection was lost before it proved
    /// itself. Calls wait, or fail at once after `reconnect_attempts` failures.
    TransientFailure,
    /// Shut down for good.
    Shutdown,
}

impl ConnectionState {
    /// True if a call can be sent at once.
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

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// There is a call to send.
    Wanted,
    /// The attempt succeeded.
    Connected,
    /// The attempt failed. A `busy` server (its backlog is full) is there, so
    /// the attempt does not count towards failing fast.
    ConnectFailed { busy: bool },
    /// A reply arrived and was asked for.
    GoodReply,
    /// The socket is gone. `demand`: calls are waiting to be sent.
    Lost { demand: bool },
    /// The delay of [`Action::Wait`] is over.
    Elapsed { demand: bool },
    /// Nothing was in flight for the idle timeout.
    IdledOut,
    /// No more calls, ever.
    ShutDown,
}

/// What the task has to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    Nothing,
    /// Start one attempt to connect.
    Connect,
    /// Report [`Event::Elapsed`] after `delay`. If `give_up`, answer the waiting
    /// calls with the last error first: from now on calls fail fast.
    Wait {
        delay: Duration,
        give_up: bool,
    },
    /// Close the socket.
    Close,
}

/// The states and what leads from one to the next.
///
/// ```text
///            Wanted                  Connected
///   Idle ───────────▶ Connecting ───────────────▶ Ready ◀─┐ GoodReply:
///    ▲ ▲                ▲      │ ConnectFailed      │ │    │ the failures
///    │ │ Elapsed,       │      ▼                    │ └────┘ are forgotten
///    │ └─────────── TransientFailure ◀──────────────┤
///    │   no demand      Elapsed, demand or failing  │ Lost before a good reply
///    │                  fast ─▶ Connecting          │
///    └──────────────────────────────────────────────┘
///      Lost after a good reply: Idle without demand, Connecting with it
///
///   any ── ShutDown ─▶ Shutdown
/// ```
///
/// Failures count from one good *reply* to the next, not from one connect to the
/// next: a server that accepts and closes again is as down as one that refuses.
#[derive(Debug)]
pub(crate) struct Machine {
    state: ConnectionState,
    backoff: Backoff,
    /// Attempts in a row after which calls fail fast; at least one.
    limit: u32,
    /// Failures since the last good reply, busy servers left out.
    failures: u32,
    failing_fast: bool,
    /// This socket has brought a good reply.
    proven: bool,
}

impl Machine {
    pub(crate) fn new(backoff: Backoff, reconnect_attempts: u32) -> Self {
        Self {
            state: ConnectionState::Idle,
            backoff,
            limit: reconnect_attempts.max(1),
            failures: 0,
            failing_fast: false,
            proven: false,
        }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.state
    }

    /// Attempts that failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// True while calls are to be refused at once: the plugin is down.
    pub(crate) fn is_failing_fast(&self) -> bool {
        self.failing_fast
    }

    /// Takes an event; `random` in `[0, 1)` is the jitter of a delay.
    pub(crate) fn on(&mut self, event: Event, random: f64) -> Action {
        use ConnectionState::{Connecting, Idle, Ready, Shutdown, TransientFailure};

        match (self.state, event) {
            (Shutdown, _) => Action::Nothing,
            (_, Event::ShutDown) => {
                self.state = Shutdown;
                Action::Close
            }
            (Idle, Event::Wanted) => self.connect(),
            (Connecting, Event::Connected) => {
                self.state = Ready;
                self.proven = false;
                self.failing_fast = false;
                Action::Nothing
            }
            (Connecting, Event::ConnectFailed { busy }) => self.fail(!busy, random),
            (Ready, Event::GoodReply) => {
                self.proven = true;
                self.failures = 0;
                self.backoff.reset();
                Action::Nothing
            }
            (Ready, Event::Lost { demand }) if self.proven => {
                if demand {
                    return self.connect();
                }
                self.state = Idle;
                Action::Nothing
            }
            (Ready, Event::Lost { .. }) => self.fail(true, random),
            (Ready, Event::IdledOut) => {
                self.state = Idle;
                Action::Close
            }
            (TransientFailure, Event::Elapsed { demand }) => {
                if demand || self.failing_fast {
                    return self.connect();
                }
                self.state = Idle;
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    fn connect(&mut self) -> Action {
        self.state = ConnectionState::Connecting;
        Action::Connect
    }

    fn fail(&mut self, counts: bool, random: f64) -> Action {
        self.state = ConnectionState::TransientFailure;
        self.failures = self.failures.saturating_add(u32::from(counts));
        self.failing_fast = self.failures >= self.limit;
        Action::Wait { delay: self.backoff.next(random), give_up: self.failing_fast }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
