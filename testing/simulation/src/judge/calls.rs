//! Invariants 1, 2, 5, 7, 9: whose reply is whose, and what becomes of a call.

use std::collections::{BTreeMap, BTreeSet};

use super::sockets::Sockets;
use super::{Found, LATE, broken};
use crate::event::{Call, Conn, Counters, Event, Kind, Millis, Outcome, Over, Sent, Verdict, work};

/// A call so far.
#[derive(Debug)]
struct State {
    kind: Kind,
    asked: Millis,
    deadline: Millis,
    may_rerun: bool,
    /// Asked for after a shutdown.
    too_late: bool,
    /// The last connection that has bytes of it.
    written: Option<Conn>,
    /// Over gRPC, the one that last brought something else in the place of its reply. Bytes of a
    /// call that was passed over may be written after it is sent again.
    misanswered: Option<Conn>,
    began: u32,
    /// Where and when its reply was in the kernel, for each time it was sent.
    replied: Vec<Reply>,
    told: Option<Sent>,
    open: bool,
    /// The server has said that its time is over.
    said_late: bool,
}

#[derive(Debug)]
struct Reply {
    conn: Conn,
    at: Millis,
    /// Behind bytes that are no frame.
    lost: bool,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: BTreeMap<Call, State>,
    /// Calls that wait for their answer, by deadline.
    open: BTreeSet<(Millis, Call)>,
    /// Hook calls whose reply a server may owe: their first bytes do not tell whose they
    /// are.
    owed: BTreeSet<Call>,
    counted: Counters,
    panicked: u64,
    stopping: Option<Millis>,
    recovered: bool,
}

impl Calls {
    /// True if a server owes a reply to a hook.
    pub(super) fn owes_hooks(&self) -> bool {
        !self.owed.is_empty()
    }

    pub(super) fn see(
        &mut self,
        now: Millis,
        event: &Event,
        over: Over,
        sockets: &mut Sockets,
    ) -> Found {
        match *event {
            Event::Handle(_) => {
                *self = Self::default();
                Ok(())
            }
            Event::Asked { call, kind, deadline, may_rerun } => {
                self.ask(now, call, kind, deadline, may_rerun);
                Ok(())
            }
            Event::Answered { call, outcome } => {
                self.answered(now, call, outcome, sockets)?;
                self.give_up(call, over);
                Ok(())
            }
            Event::Left { call } => {
                self.close(call);
                self.give_up(call, over);
                Ok(())
            }
            Event::SaidLate { call } => {
                if let Some(state) = self.calls.get_mut(&call) {
                    state.said_late = true;
                }
                Ok(())
            }
            Event::Panicked { call } => {
                self.panicked += 1;
                self.close(call);
                Ok(())
            }
            Event::Written { conn, call } => self.written(conn, call, sockets),
            Event::Began { conn, call } => self.began(conn, call),
            Event::Replied { conn, call, kind } => {
                self.owed.remove(&call);
                if kind == Kind::Hook
                    && let Some(state) = self.calls.get_mut(&call)
                {
                    let lost = sockets.framing_is_broken(conn);
                    state.replied.push(Reply { conn, at: now, lost });
                }
                Ok(())
            }
            Event::Misanswered { conn, call } => {
                self.owed.remove(&call);
                if over == Over::Grpc
                    && let Some(state) = self.calls.get_mut(&call)
                {
                    state.misanswered = Some(conn);
                }
                Ok(())
            }
            Event::Closed { conn, .. } => {
                let calls = &self.calls;
                // One that waits for its answer may be sent again.
                self.owed.retain(|call| {
                    calls.get(call).is_some_and(|state| state.open || state.written != Some(conn))
                });
                Ok(())
            }
            Event::Stopping { by } => {
                self.stopping = Some(self.stopping.map_or(by, |stop| stop.min(by)));
                Ok(())
            }
            Event::Recovered => {
                self.recovered = true;
                self.owed.clear();
                Ok(())
            }
            Event::Sampled(_) | Event::Rested(..) | Event::Ended => self.nobody_hangs(now),
            _ => Ok(()),
        }
    }

    fn ask(&mut self, now: Millis, call: Call, kind: Kind, deadline: Millis, may_rerun: bool) {
        if kind == Kind::Hook {
            self.counted.calls += 1;
            self.owed.insert(call);
        }
        let state = State {
            kind,
            asked: now,
            deadline,
            may_rerun,
            too_late: self.stopping.is_some(),
            written: None,
            misanswered: None,
            began: 0,
            replied: Vec::new(),
            told: None,
            open: true,
            said_late: false,
        };
        self.calls.insert(call, state);
        self.open.insert((deadline, call));
    }

    fn close(&mut self, call: Call) {
        if let Some(state) = self.calls.get_mut(&call) {
            state.open = false;
            self.open.remove(&(state.deadline, call));
        }
    }

    /// Over gRPC nobody waits for the reply of a call that is over.
    fn give_up(&mut self, call: Call, over: Over) {
        if over == Over::Grpc {
            self.owed.remove(&call);
        }
    }

    fn written(&mut self, conn: Conn, call: Call, sockets: &Sockets) -> Found {
        let Some(state) = self.calls.get_mut(&call) else { return Ok(()) };
        sockets.written(conn, state.asked)?;
        if state.told == Some(Sent::No) {
            return broken(5, format!("call {call} was told that it was not sent, and is"));
        }
        state.written = Some(conn);
        // Again, if it is sent again.
        if state.kind == Kind::Hook {
            self.owed.insert(call);
        }
        Ok(())
    }

    fn began(&mut self, conn: Conn, call: Call) -> Found {
        let Some(state) = self.calls.get_mut(&call) else { return Ok(()) };
        state.began += 1;
        if state.began > 1 && !state.may_rerun {
            let again = format!("the hook of call {call} runs again, on connection {conn}");
            return broken(5, again);
        }
        match state.told {
            Some(Sent::No | Sent::Unstarted) if !state.may_rerun => {
                broken(5, format!("call {call} was told that its hook cannot have begun: it does"))
            }
            _ => Ok(()),
        }
    }

    fn answered(
        &mut self,
        now: Millis,
        call: Call,
        outcome: Outcome,
        sockets: &mut Sockets,
    ) -> Found {
        let recovered = std::mem::take(&mut self.recovered);
        let Some(state) = self.calls.get_mut(&call) else {
            return broken(2, format!("call {call} is answered and was never asked"));
        };
        if !state.open {
            return broken(2, format!("call {call} is answered twice"));
        }
        if now > state.deadline + LATE {
            return broken(2, format!("call {call} is answered {} ms late", now - state.deadline));
        }
        if state.too_late {
            let at_once = now == state.asked;
            let refused = matches!(outcome, Outcome::Failed { reason: "shutdown", sent: Sent::No });
            if !refused || !at_once {
                return broken(7, format!("call {call} came after the shutdown: {outcome:?}"));
            }
        }
        let is_failure = matches!(outcome, Outcome::Failed { .. });
        if recovered && is_failure && !state.too_late {
            return broken(
                2,
                format!("the plugin is well, and the first call after it fails: {outcome:?}"),
            );
        }
        if state.kind == Kind::Hook {
            let counted = &mut self.counted;
            *match outcome {
                Outcome::Hook { verdict: Verdict::Allow, .. } => &mut counted.ok,
                Outcome::Hook { verdict: Verdict::Deny, .. } => &mut counted.violations,
                Outcome::Hook { verdict: Verdict::Fault, .. } => &mut counted.plugin_errors,
                Outcome::Config | Outcome::Failed { .. } => &mut counted.failures,
            } += 1;
        }
        match outcome {
            Outcome::Hook { verdict, call: of, conn, number } => {
                state.belongs(call, (verdict, of, conn, number), sockets)?;
            }
            Outcome::Config if state.kind == Kind::Hook => {
                return broken(1, format!("the hook call {call} got the answer to a question"));
            }
            Outcome::Config => {}
            Outcome::Failed { reason, sent } => {
                state.told = Some(sent);
                state.failed(now, call, reason, sent, sockets)?;
            }
        }
        if !matches!(outcome, Outcome::Failed { sent: Sent::Maybe, .. }) {
            self.owed.remove(&call);
        }
        self.close(call);
        Ok(())
    }

    fn nobody_hangs(&self, now: Millis) -> Found {
        if let Some((deadline, call)) = self.open.first()
            && deadline + LATE < now
        {
            return broken(2, format!("call {call} hangs since {deadline}, its deadline"));
        }
        match (self.stopping, self.open.first()) {
            (Some(stop), Some((_, call))) if stop + LATE < now => {
                broken(7, format!("call {call} outlives the shutdown at {stop}"))
            }
            _ => Ok(()),
        }
    }

    /// Every call is counted once, by what became of it.
    pub(super) fn counted(&self, told: &Counters, log_panics: bool) -> Found {
        // A subscriber that panics may take a call down anywhere.
        let slack = if log_panics { self.panicked } else { 0 };
        let mine = &self.counted;
        let pairs = [
            ("calls", mine.calls, told.calls),
            ("ok", mine.ok, told.ok),
            ("violations", mine.violations, told.violations),
            ("plugin_errors", mine.plugin_errors, told.plugin_errors),
            ("failures", mine.failures, told.failures),
        ];
        for (name, mine, told) in pairs {
            if mine.abs_diff(told) > slack {
                return broken(2, format!("{name}: {mine} calls ended so, {told} are counted"));
            }
        }
        if told.panics > 0 && !log_panics {
            return broken(10, format!("{} panics in the plugin's tasks", told.panics));
        }
        Ok(())
    }
}

impl State {
    /// A reply is this call's own, in all its parts.
    fn belongs(
        &self,
        call: Call,
        (verdict, of, conn, number): (Verdict, Call, Conn, u64),
        sockets: &Sockets,
    ) -> Found {
        if self.kind == Kind::Question {
            return broken(1, format!("the question {call} got the reply of a hook"));
        }
        if of != call {
            return broken(1, format!("the reply to call {of} reached call {call}"));
        }
        if (verdict, number) != work(call) {
            let wrong = format!("call {call} got {verdict:?}, should be {:?}", work(call));
            return broken(1, wrong);
        }
        let Some(reply) = self.replied.iter().rfind(|reply| reply.conn == conn) else {
            return broken(1, format!("call {call} was answered, and its hook did not run"));
        };
        if sockets.condemned(conn).is_some_and(|since| since < reply.at) {
            return broken(4, format!("connection {conn} was given up, and still answers {call}"));
        }
        if reply.lost {
            return broken(4, format!("a reply behind broken frames answers call {call}"));
        }
        Ok(())
    }

    fn failed(
        &self,
        now: Millis,
        call: Call,
        reason: &str,
        sent: Sent,
        sockets: &mut Sockets,
    ) -> Found {
        if sent == Sent::No && self.written.is_some() {
            return broken(5, format!("call {call} is said to be unsent, and the server has it"));
        }
        if sent == Sent::Unstarted && self.began > 0 && !self.may_rerun {
            return broken(5, format!("call {call} is said not to have begun, and it did"));
        }
        match reason {
            "timeout" if self.said_late => {}
            "timeout" if now < self.deadline => {
                return broken(2, format!("call {call} timed out before its deadline"));
            }
            // It may be under way elsewhere, and the reply that of the call before.
            "timeout" if self.may_rerun && sockets.are_shared() => {}
            "timeout" => {
                if let Some(&Reply { conn, at, .. }) = self.replied.last()
                    && at < self.deadline
                    && sockets.is_whole(conn)
                {
                    return broken(9, format!("call {call} is late, its reply was there at {at}"));
                }
            }
            // Over gRPC what is behind it has a stream of its own.
            "empty_reply" if sockets.over() == Over::Grpc => {}
            "mismatch" | "unproven" | "empty_reply" => {
                if let Some(conn) = self.misanswered.or(self.written) {
                    sockets.condemn(conn, now);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
