//! The circuit breaker of a plugin: signals in, what becomes of a call out.
//!
//! It knows no clock and no task: `now` is the time since the plugin's handle was
//! made, `random` is in `[0, 1)`, and both come from outside.

use std::time::Duration;

use crate::backoff::Backoff;

/// The first rest after replies went missing; it doubles with every failed trial.
const FIRST_REST: Duration = Duration::from_secs(1);

/// Whether calls to a plugin are let through.
///
/// ```
/// # async fn show(handle: hookwire::PluginHandle) {
/// if handle.breaker() != hookwire::BreakerState::Closed {
///     println!("{} is down", handle.name());
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls pass: all is well, as far as is known.
    Closed,
    /// Calls fail at once: the plugin cannot be reached, or does not answer.
    Open,
    /// One call is on trial, and the others fail at once.
    HalfOpen,
}

impl BreakerState {
    /// The stable snake_case name used in traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Health signals. Replies are those to hook calls: a server can answer questions while
/// every hook hangs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Signal {
    /// `attempts` in a row to reach the plugin failed, and no connection is left;
    /// the next attempt is due at `next`. `broken`: the last of them did connect,
    /// and lost the connection before a good reply.
    Unreachable { attempts: u32, next: Duration, broken: bool },
    /// There is a connection.
    Connected,
    /// The server ended a connection.
    HungUp,
    /// A reply that the server owes did not come.
    Missing,
    /// No server of several answers any more: so many replies in a row did not come.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code))]
    AllMissing { missing: u32 },
    /// A reply came. `timely`: its caller was still there.
    Reply { timely: bool },
    /// The trial of this number ended, and nothing else was heard of it.
    TrialOver(u64),
    /// Nobody is left who could find out that the plugin is back.
    Reset,
}

/// Why calls are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Unreachable { attempts: u32 },
    Unresponsive { missing: u32 },
}

/// What becomes of a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Pass,
    /// It passes, and decides for those that come after it.
    Trial(u64),
    /// It fails at once; see [`Breaker::refusal`].
    Refuse(Reason, Option<Duration>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Closed,
    /// There has to be a connection first; connecting goes on in the background.
    Reconnecting {
        next: Duration,
        broken: bool,
    },
    /// From `until` on, the next call is the trial.
    Resting {
        until: Duration,
    },
    /// From `until` on, the next call is the trial instead.
    OnTrial {
        number: u64,
        until: Duration,
    },
}

/// The states and what leads from one to the next.
///
/// ```text
///          Unreachable                     Missing, `threshold` times in a row
///    ┌───────────────────── Closed ──────────────────────────────┐
///    ▼                      ▲ ▲  ▲                               ▼
///  Reconnecting ─ Connected ┘ │  └─ Reply in time ──────────── Resting ◀───────┐
///    │                        │                     call after  │  TrialOver:  │
///    │                        └────── Reply ──── OnTrial ◀──────┘  rest over   │
///    │                                              ├──────────────────────────┤
///    │                                              │  Missing: a longer rest  │
///    └── Connected, but the last one was `broken`: rest over ──────────────────┘
///
///   any ── Unreachable ─▶ Reconnecting (a rest that is not over goes on: `broken`)
///   Resting ── HungUp, or a late Reply ─▶ rest over
/// ```
///
/// What opened the breaker decides what closes it. A plugin that could not be
/// reached is back once there is a connection. For one that did not answer, or
/// that closed every connection, a connection proves nothing: it takes a reply,
/// and one call at a time is risked for it. A server that hangs up or answers late
/// has changed, for better or worse, so the next call may try at once.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    state: State,
    /// The last one; says nothing while closed.
    reason: Reason,
    /// Missing replies in a row that open it; with 0, silence never does.
    threshold: u32,
    missing: u32,
    rest: Backoff,
    trials: u64,
    /// How long one call may hold up the others: its caller may have given it years.
    longest_trial: Duration,
}

impl Breaker {
    pub(crate) fn new(threshold: u32, longest_rest: Duration, longest_trial: Duration) -> Self {
        Self {
            state: State::Closed,
            reason: Reason::Unresponsive { missing: 0 },
            threshold,
            missing: 0,
            rest: Backoff::new(FIRST_REST, longest_rest),
            trials: 0,
            longest_trial,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Reconnecting { .. } | State::Resting { .. } => BreakerState::Open,
            State::OnTrial { .. } => BreakerState::HalfOpen,
        }
    }

    /// What a call that is refused now is told: why, and how long until one more is
    /// tried; `None` while that is under way.
    pub(crate) fn refusal(&self, now: Duration) -> (Reason, Option<Duration>) {
        let due = match self.state {
            State::Reconnecting { next, .. } => Some(next),
            State::Resting { until } => Some(until),
            State::Closed | State::OnTrial { .. } => None,
        };
        let after = due.and_then(|due| due.checked_sub(now)).filter(|after| !after.is_zero());
        (self.reason, after)
    }

    /// True if there has to be a connection first.
    pub(crate) fn is_reconnecting(&self) -> bool {
        matches!(self.state, State::Reconnecting { .. })
    }

    /// True if the next reply makes no difference.
    pub(crate) fn is_untroubled(&self) -> bool {
        self.state == State::Closed && self.missing == 0
    }

    pub(crate) fn on(&mut self, signal: Signal, now: Duration, random: f64) {
        use State::{Closed, OnTrial, Reconnecting, Resting};

        match (self.state, signal) {
            (_, Signal::Reset) => self.close(),
            // A connection that was closed for its silence must not end the rest.
            (Resting { until }, Signal::Unreachable { broken: true, .. }) if until > now => {}
            (_, Signal::Unreachable { attempts, next, broken }) => {
                self.reason = Reason::Unreachable { attempts };
                self.state = Reconnecting { next, broken };
            }
            (Reconnecting { broken: false, .. }, Signal::Connected) => self.close(),
            (Reconnecting { broken: true, .. }, Signal::Connected) => self.end_rest(now),
            (_, Signal::Missing) if self.threshold > 0 => self.miss(now, random),
            (_, Signal::Reply { timely: true }) | (OnTrial { .. }, Signal::Reply { .. }) => {
                self.close();
            }
            (Resting { until }, Signal::HungUp | Signal::Reply { .. }) if until > now => {
                self.end_rest(now);
            }
            (OnTrial { number, .. }, Signal::TrialOver(over)) if number == over => {
                self.end_rest(now)
            }
            (_, Signal::AllMissing { missing }) if self.threshold > 0 => {
                self.missing = self.missing.max(missing.saturating_sub(1));
                self.miss(now, random);
            }
            (Closed | Reconnecting { .. } | Resting { .. } | OnTrial { .. }, _) => {}
        }
    }

    /// What becomes of a call that comes now.
    pub(crate) fn admit(&mut self, now: Duration) -> Verdict {
        match self.state {
            State::Closed => Verdict::Pass,
            State::Resting { until } | State::OnTrial { until, .. } if until <= now => {
                self.trials += 1;
                let until = now + self.longest_trial;
                self.state = State::OnTrial { number: self.trials, until };
                Verdict::Trial(self.trials)
            }
            _ => {
                let (reason, after) = self.refusal(now);
                Verdict::Refuse(reason, after)
            }
        }
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.missing = 0;
        self.rest.reset();
    }

    fn end_rest(&mut self, now: Duration) {
        self.state = State::Resting { until: now };
    }

    fn miss(&mut self, now: Duration, random: f64) {
        self.missing = self.missing.saturating_add(1);
        let is_news = match self.state {
            State::Closed => self.missing >= self.threshold,
            State::OnTrial { .. } => true,
            // Of calls from before it opened, unless a trial could have begun since.
            State::Resting { until } => until <= now,
            State::Reconnecting { .. } => false,
        };
        if is_news {
            self.reason = Reason::Unresponsive { missing: self.missing };
            // Not below the half: some rest there must be.
            let rest = self.rest.next(0.5 + random / 2.0);
            self.state = State::Resting { until: now + rest };
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
