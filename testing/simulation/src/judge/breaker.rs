//! Invariant 8: only what is known of hook calls and of connections moves the breaker.

use std::collections::BTreeSet;

use super::calls::Calls;
use super::{Found, broken};
use crate::event::{Conn, Event, Kind, Millis, Over};

#[derive(Debug, Default)]
pub(super) struct BreakerJudge {
    /// When it was last seen closed, and open.
    closed_at: Millis,
    open: bool,
    last_hook_reply: Option<Millis>,
    over: Over,
    /// Over gRPC: connections whose server has not said yet that it is there.
    silent: BTreeSet<Conn>,
    /// The last attempt to connect failed.
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
                *self = Self { closed_at: now, over: bounds.over, ..Self::default() };
            }
            // A wrong reply speaks for the plugin too: it is there, and answers hooks.
            Event::Replied { kind: Kind::Hook, .. }
            | Event::Misanswered { .. }
            | Event::Damaged { .. } => self.last_hook_reply = Some(now),
            Event::ConnectFailed => {
                self.unreachable = true;
                self.last_trouble = Some(now);
            }
            Event::Connected { conn } if self.over == Over::Grpc => {
                self.silent.insert(conn);
            }
            Event::Connected { .. } => self.reached(now),
            Event::Greeted { conn } => {
                self.silent.remove(&conn);
                self.reached(now);
            }
            Event::Closed { conn, .. } => {
                self.unreachable |= self.silent.remove(&conn);
                self.last_trouble = Some(now);
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

    fn sampled(&mut self, now: Millis, closed: bool) -> Found {
        let since = |at: Option<Millis>| at.is_some_and(|at| at >= self.closed_at);
        if self.open && closed && !since(self.last_hook_reply) && !since(self.reached_again) {
            return broken(8, "the breaker closed without the reply of a hook or a connection");
        }
        // One that is silent has been waited for too long by one plugin, and not yet by another that
        // shares it.
        if !self.open && !closed && !since(self.last_trouble) && self.silent.is_empty() {
            return broken(8, "the breaker opened, and no hook or connection was in trouble");
        }
        self.open = !closed;
        if closed {
            self.closed_at = now;
        }
        Ok(())
    }
}
