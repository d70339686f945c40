//! Invariant 8: only what is known of hook calls and of connections moves the breaker.

use std::collections::BTreeSet;

use super::calls::Calls;
use super::{Found, broken};
use crate::event::{Conn, Event, Kind, Millis, Outcome, Over};

/// For so long a plugin takes it from one that it shares connections with that a server cannot be
/// reached.
const TAKEN_FROM_OTHERS: Millis = 50;

#[derive(Debug, Default)]
pub(super) struct BreakerJudge {
    /// When it was last seen closed, and open.
    closed_at: Millis,
    open: bool,
    last_hook_reply: Option<Millis>,
    over: Over,
    /// Several plugins share their connections.
    shared: bool,
    /// Attempts to connect that are under way.
    connecting: usize,
    /// Over gRPC: connections whose server has not said yet that it is there.
    silent: BTreeSet<Conn>,
    /// Over gRPC: connections that no hook was written to. Nothing shows that the client has read
    /// what their server said: it may have met their end first.
    unused: BTreeSet<Conn>,
    /// The last attempt to connect failed, as far as the client need know.
    unreachable: bool,
    /// It was reached again after such a failure.
    reached_again: Option<Millis>,
    /// A connection was lost, an attempt failed, or a hook's reply was owed.
    last_trouble: Option<Millis>,
}

impl BreakerJudge {
    pub(super) fn see(&mut self, now: Millis, event: &Event, calls: &Calls) -> Found {
        if calls.owes_hooks() {
            self.last_trouble = Some(now);
        }
        match *event {
            Event::Handle(bounds) => {
                let (over, shared) = (bounds.over, bounds.plugins > 1);
                *self = Self { closed_at: now, over, shared, ..Self::default() };
            }
            // A wrong reply speaks for the plugin too: it is there, and answers hooks.
            Event::Replied { kind: Kind::Hook, .. }
            | Event::Misanswered { .. }
            | Event::Damaged { .. }
            // It may have been read late.
            | Event::Answered { outcome: Outcome::Hook { .. }, .. } => {
                self.last_hook_reply = Some(now);
            }
            Event::Connecting => self.connecting += 1,
            Event::ConnectFailed => {
                self.connecting = self.connecting.saturating_sub(1);
                self.unreachable = true;
                self.trouble(now);
            }
            Event::Connected { conn } => {
                self.connecting = self.connecting.saturating_sub(1);
                if self.over == Over::Grpc {
                    self.silent.insert(conn);
                    self.unused.insert(conn);
                } else {
                    self.reached(now);
                }
            }
            Event::Greeted { conn } => {
                self.silent.remove(&conn);
                self.reached(now);
            }
            Event::Written { conn, .. } => {
                self.unused.remove(&conn);
            }
            Event::Closed { conn, .. } => {
                self.silent.remove(&conn);
                self.unreachable |= self.unused.remove(&conn);
                self.trouble(now);
            }
            Event::Sampled(sample) => return self.sampled(now, sample.breaker_closed),
            _ => {}
        }
        Ok(())
    }

    fn reached(&mut self, now: Millis) {
        if std::mem::take(&mut self.unreachable) {
            self.reached_again = Some(now);
        }
    }

    fn trouble(&mut self, now: Millis) {
        let until = if self.shared { now + TAKEN_FROM_OTHERS } else { now };
        self.last_trouble = self.last_trouble.max(Some(until));
    }

    /// One plugin may have given up what another one still waits for: of that no event tells.
    fn may_be_given_up(&self) -> bool {
        self.shared && (self.connecting > 0 || !self.silent.is_empty())
    }

    fn sampled(&mut self, now: Millis, closed: bool) -> Found {
        let since = |at: Option<Millis>| at.is_some_and(|at| at >= self.closed_at);
        if self.open && closed && !since(self.last_hook_reply) && !since(self.reached_again) {
            return broken(8, "the breaker closed without the reply of a hook or a connection");
        }
        if !self.open && !closed && !since(self.last_trouble) && !self.may_be_given_up() {
            return broken(8, "the breaker opened, and no hook or connection was in trouble");
        }
        self.unreachable |= !closed && self.may_be_given_up();
        self.open = !closed;
        if closed {
            self.closed_at = now;
        }
        Ok(())
    }
}
