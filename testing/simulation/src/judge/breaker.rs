//! Invariant 8: only what is known of hook calls and of connections moves the breaker.

use std::collections::{BTreeMap, VecDeque};

use super::calls::Calls;
use super::{Found, broken};
use crate::event::{Conn, Event, Kind, Millis, Outcome, Over};

/// For so long a plugin takes it from one that it shares connections with that a server cannot be
/// reached.
const TAKEN_FROM_OTHERS: Millis = 50;

/// How far a connection over gRPC has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Its server has not said yet that it is there. It is waited for since then.
    Silent(Millis),
    /// It has, and nothing shows that the client knows: it may meet the end of the connection first.
    Greeted,
    /// The client has used it, or counts it.
    Known,
}

#[derive(Debug, Default)]
pub(super) struct BreakerJudge {
    /// When it was last seen closed, and open.
    closed_at: Millis,
    open: bool,
    last_hook_reply: Option<Millis>,
    over: Over,
    /// Where several plugins share their connections: how long each of them waits for one.
    shared_patience: Option<Millis>,
    /// Since when there are attempts to connect that are under way.
    connecting: VecDeque<Millis>,
    /// Over gRPC: those that are open, and when that was last another one.
    connections: BTreeMap<Conn, Stage>,
    changed_at: Millis,
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
                let shared_patience = (bounds.plugins > 1).then_some(bounds.connect_timeout);
                let over = bounds.over;
                *self = Self { closed_at: now, over, shared_patience, ..Self::default() };
            }
            // A wrong reply speaks for the plugin too: it is there, and answers hooks.
            Event::Replied { kind: Kind::Hook, .. }
            | Event::Misanswered { .. }
            | Event::Damaged { .. }
            // It may have been read late.
            | Event::Answered { outcome: Outcome::Hook { .. }, .. } => {
                self.last_hook_reply = Some(now);
            }
            Event::Connecting => self.connecting.push_back(now),
            // Which of them it was is not told, so what is left may be the oldest.
            Event::ConnectFailed => {
                self.connecting.pop_back();
                self.unreachable = true;
                self.trouble(now);
            }
            Event::Connected { conn } => {
                let since = self.connecting.pop_front().unwrap_or(now);
                match self.over {
                    Over::Grpc => self.becomes(now, conn, Stage::Silent(since)),
                    Over::Socket => self.reached(now),
                }
            }
            Event::Greeted { conn } => {
                self.becomes(now, conn, Stage::Greeted);
                self.reached(now);
            }
            Event::Written { conn, .. } => {
                if let Some(stage) = self.connections.get_mut(&conn) {
                    *stage = Stage::Known;
                }
            }
            Event::Closed { conn, .. } => {
                let stage = self.connections.remove(&conn);
                self.unreachable |= stage.is_some_and(|stage| stage != Stage::Known);
                self.changed_at = now;
                self.trouble(now);
            }
            Event::Sampled(sample) => {
                self.counted(now, sample.connections);
                return self.sampled(now, sample.breaker_closed);
            }
            _ => {}
        }
        Ok(())
    }

    fn becomes(&mut self, now: Millis, conn: Conn, stage: Stage) {
        self.connections.insert(conn, stage);
        self.changed_at = now;
    }

    /// The client has so many that are ready. If that is all whose server was heard of, it knows
    /// each of them.
    fn counted(&mut self, now: Millis, ready: usize) {
        let greeted =
            self.connections.values_mut().filter(|stage| !matches!(stage, Stage::Silent(_)));
        let greeted: Vec<_> = greeted.collect();
        // In the moment of a change it may not have looked yet.
        if self.changed_at < now && greeted.len() == ready {
            greeted.into_iter().for_each(|stage| *stage = Stage::Known);
        }
    }

    fn reached(&mut self, now: Millis) {
        if std::mem::take(&mut self.unreachable) {
            self.reached_again = Some(now);
        }
    }

    fn trouble(&mut self, now: Millis) {
        let lasts = if self.shared_patience.is_some() { TAKEN_FROM_OTHERS } else { 0 };
        self.last_trouble = self.last_trouble.max(Some(now + lasts));
    }

    /// One plugin may have given up what another one still waits for: of that no event tells.
    fn may_be_given_up(&self, now: Millis) -> bool {
        let Some(patience) = self.shared_patience else { return false };
        let silent = self.connections.values().filter_map(|stage| match stage {
            Stage::Silent(since) => Some(since),
            Stage::Greeted | Stage::Known => None,
        });
        self.connecting.iter().chain(silent).any(|since| since + patience <= now)
    }

    fn sampled(&mut self, now: Millis, closed: bool) -> Found {
        let since = |at: Option<Millis>| at.is_some_and(|at| at >= self.closed_at);
        if self.open && closed && !since(self.last_hook_reply) && !since(self.reached_again) {
            return broken(8, "the breaker closed without the reply of a hook or a connection");
        }
        if !self.open && !closed && !since(self.last_trouble) && !self.may_be_given_up(now) {
            return broken(8, "the breaker opened, and no hook or connection was in trouble");
        }
        self.unreachable |= !closed && self.may_be_given_up(now);
        self.open = !closed;
        if closed {
            self.closed_at = now;
        }
        Ok(())
    }
}
