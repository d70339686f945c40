//! Invariants 4, 6, 7 and 11 as far as they are about sockets: how many there are, which
//! must be closed, and which are to be used no more.

use std::collections::BTreeMap;

use super::{Found, LATE, broken};
use crate::event::{Bounds, Conn, Damage, Event, Millis, Over, Side};

#[derive(Debug, Default)]
struct State {
    /// The client has not closed it.
    open: bool,
    /// Neither side has.
    whole: bool,
    /// Since when it is known that its replies cannot be trusted.
    condemned: Option<Millis>,
    /// Bytes that are no frame were sent.
    framing: bool,
    shifted: bool,
    /// The server asks for a pong, before which h2 reads nothing: not if it cannot be written.
    asks_for_pong: bool,
    /// From then on no call may be made on it.
    outdated: Option<Millis>,
}

/// How long after another server has the path a call may still go to the one before.
const FOLLOWED: Millis = 500;

#[derive(Debug, Default)]
pub(super) struct Sockets {
    states: BTreeMap<Conn, State>,
    open: usize,
    connecting: usize,
    kind: Over,
    /// Several plugins have the same.
    shared: bool,
    /// From when on none may be open.
    over: Option<Millis>,
}

impl Sockets {
    pub(super) fn over(&self) -> Over {
        self.kind
    }

    /// A plugin may leave a connection that is silent, and nothing shows it: another one goes on to
    /// use it.
    pub(super) fn are_shared(&self) -> bool {
        self.shared
    }

    pub(super) fn condemned(&self, conn: Conn) -> Option<Millis> {
        self.states.get(&conn)?.condemned
    }

    /// A call that was asked then has bytes on it: may it?
    pub(super) fn written(&self, conn: Conn, asked: Millis) -> Found {
        let outdated = self.states.get(&conn).and_then(|state| state.outdated);
        match outdated.filter(|outdated| outdated + LATE < asked) {
            Some(since) => {
                broken(11, format!("connection {conn}, outdated since {since}, is used"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn framing_is_broken(&self, conn: Conn) -> bool {
        self.states.get(&conn).is_some_and(|state| state.framing)
    }

    /// True while neither side has closed or damaged it.
    pub(super) fn is_whole(&self, conn: Conn) -> bool {
        self.states.get(&conn).is_some_and(|state| {
            let in_order = !state.framing && !state.shifted && !state.asks_for_pong;
            state.whole && in_order && state.condemned.is_none()
        })
    }

    pub(super) fn condemn(&mut self, conn: Conn, now: Millis) {
        if let Some(state) = self.states.get_mut(&conn) {
            state.condemned.get_or_insert(now);
        }
    }

    pub(super) fn see(&mut self, now: Millis, event: &Event, bounds: Option<&Bounds>) -> Found {
        match *event {
            Event::Handle(bounds) => {
                if self.open > 0 {
                    return broken(7, format!("{} sockets of the last handle are open", self.open));
                }
                let (kind, shared) = (bounds.over, bounds.plugins > 1);
                *self = Self { kind, shared, ..Self::default() };
            }
            Event::Connecting => {
                self.connecting += 1;
                return self.bounded(bounds);
            }
            Event::ConnectFailed => self.connecting = self.connecting.saturating_sub(1),
            Event::Connected { conn } => {
                self.connecting = self.connecting.saturating_sub(1);
                self.open += 1;
                let age = bounds.and_then(|bounds| bounds.max_connection_age);
                let outdated = age.map(|age| now + age);
                let state = State { open: true, whole: true, outdated, ..State::default() };
                self.states.insert(conn, state);
                return self.bounded(bounds);
            }
            Event::Closed { conn, by } => {
                if let Some(state) = self.states.get_mut(&conn) {
                    state.whole = false;
                    if by == Side::Client && std::mem::take(&mut state.open) {
                        self.open -= 1;
                    }
                }
            }
            Event::TakenOver => {
                for state in self.states.values_mut() {
                    let outdated = now + FOLLOWED;
                    state.outdated = Some(state.outdated.map_or(outdated, |at| at.min(outdated)));
                }
            }
            Event::Damaged { conn, damage } => {
                if let Some(state) = self.states.get_mut(&conn) {
                    match damage {
                        Damage::Framing => state.framing = true,
                        Damage::Shifted => state.shifted = true,
                    }
                }
            }
            Event::GoneAway { conn } => {
                if let Some(state) = self.states.get_mut(&conn) {
                    state.asks_for_pong = true;
                }
            }
            Event::Stopping { by } => self.over = Some(self.over.map_or(by, |over| over.min(by))),
            Event::Released => self.over = Some(now),
            Event::Sampled(sample) => return self.all_closed(now, sample.shut_down),
            Event::Rested(..) => {
                self.all_closed(now, true)?;
                if let Some((conn, _)) =
                    self.states.iter().find(|(_, state)| state.open && state.framing)
                {
                    return broken(4, format!("connection {conn} is open with broken frames"));
                }
                return self.one_each(bounds);
            }
            Event::Ended if self.open + self.connecting > 0 => {
                return broken(7, format!("the end, and {} sockets are open", self.open));
            }
            _ => {}
        }
        Ok(())
    }

    fn bounded(&self, bounds: Option<&Bounds>) -> Found {
        match bounds {
            Some(bounds)
                if bounds.over == Over::Socket
                    && self.open + self.connecting > bounds.max_connections =>
            {
                let (open, connecting) = (self.open, self.connecting);
                broken(6, format!("{open} sockets are open and {connecting} to come"))
            }
            _ => Ok(()),
        }
    }

    /// Over gRPC, connections that take no more calls stay for those that they have: with those
    /// they end, and each plugin has one to each server at most.
    fn one_each(&self, bounds: Option<&Bounds>) -> Found {
        let Some(bounds) = bounds.filter(|bounds| bounds.over == Over::Grpc) else { return Ok(()) };
        let (open, most) = (self.open + self.connecting, bounds.max_connections * bounds.plugins);
        if open > most {
            return broken(6, format!("nobody calls, and {open} connections are open, not {most}"));
        }
        Ok(())
    }

    /// Whatever had to be closed by `now` is.
    fn all_closed(&self, now: Millis, shut_down: bool) -> Found {
        if let Some(over) = self.over
            && over + LATE < now
        {
            if self.open + self.connecting > 0 {
                return broken(7, format!("over since {over}, and {} are open", self.open));
            }
            if !shut_down {
                return broken(7, format!("over since {over}, and the state is another"));
            }
        }
        let late = |state: &&State| state.condemned.is_some_and(|since| since + 1 < now);
        match self.states.iter().find(|(_, state)| state.open && late(state)) {
            Some((conn, _)) => broken(4, format!("connection {conn} was not given up")),
            None => Ok(()),
        }
    }
}
