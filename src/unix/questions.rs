//! Whether the plugin's server is to be asked about the plugin now: events in, what to do
//! next out.
//!
//! A server that was restarted may have another version, mode or list of hooks. So it is
//! asked when a socket is opened while no other one is, when the server has ended one, when
//! another one has the path, and until it has answered. An answer says nothing of the plugin's health.
//!
//! It knows no socket and no clock, so every path through it is tested as a plain value.

use std::time::Duration;

use crate::backoff::Backoff;

/// How long to wait after a first question without an answer, and at most.
const DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// How long until a plugin that nothing may be called of is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// ```text
///   quiet ── opened first, or lost ──▶ wanted ── asked ──▶ under way
///     ▲                                 ▲                      │  │
///     │              held ── elapsed ───┘                      │  │
///     │               ▲                                        │  │
///     │               └─ failed, or unsent ────────────────────┘  │
///     └─ answered ────────────────────────────────────────────────┘
/// ```
///
/// What happens while a question is under way makes another one wanted.
#[derive(Debug)]
pub(crate) struct Questions {
    backoff: Backoff,
    /// Somebody listens to the answers.
    heard: bool,
    wanted: bool,
    under_way: bool,
    /// Between a question that was not answered and the next one. A server that closes the
    /// connection for each question must not lose its calls to them.
    held: bool,
    /// Nothing may be called, so no call will open a socket.
    barred: bool,
}

impl Questions {
    pub(crate) fn new() -> Self {
        Self {
            backoff: Backoff::new(DELAY, LONGEST_DELAY),
            heard: false,
            wanted: false,
            under_way: false,
            held: false,
            barred: false,
        }
    }

    /// Somebody listens from now on, and has asked about the sockets that are open.
    pub(crate) fn listen(&mut self) {
        self.heard = true;
    }

    /// A socket was opened; `first`: no other one is open.
    pub(crate) fn opened(&mut self, first: bool) {
        self.wanted |= first && self.heard;
    }

    /// The server ended a socket, or another server has its path: those that are open may be
    /// that one's.
    pub(crate) fn lost(&mut self) {
        self.wanted |= self.heard;
    }

    /// True if what is known may be another server's.
    pub(crate) fn is_stale(&self) -> bool {
        self.wanted
    }

    /// True if a question is to be asked as soon as there is a socket.
    pub(crate) fn is_due(&self) -> bool {
        self.wanted && !self.under_way && !self.held
    }

    /// True if a socket is to be opened for it.
    pub(crate) fn opens(&self) -> bool {
        self.barred
    }

    /// A question is under way.
    pub(crate) fn asked(&mut self) {
        self.wanted = false;
        self.under_way = true;
    }

    /// It was answered, or one that a caller asked while it was held; `barred`: nothing may be
    /// called after that. When to look again; no other time that was given matters any more.
    pub(crate) fn answered(&mut self, barred: bool) -> Option<Duration> {
        self.under_way = false;
        self.held = false;
        self.backoff.reset();
        self.barred = barred;
        barred.then_some(LOOK_AGAIN)
    }

    /// It was not answered. How long not to ask; `random` in `[0, 1)` is the jitter.
    pub(crate) fn failed(&mut self, random: f64) -> Duration {
        self.hold();
        self.backoff.next(random)
    }

    /// It was not sent, so it says nothing of the server. How long not to ask.
    pub(crate) fn unsent(&mut self) -> Duration {
        self.hold();
        if self.barred { LOOK_AGAIN } else { DELAY }
    }

    fn hold(&mut self) {
        self.under_way = false;
        self.wanted = true;
        self.held = true;
    }

    /// A time that was given is over.
    pub(crate) fn elapsed(&mut self) {
        self.held = false;
        self.wanted |= self.barred;
    }
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
