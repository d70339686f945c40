//! What becomes of a call: its hook runs, and it is answered or not.
//!
//! Calls of one connection do not wait for each other. The server hears of a client that leaves,
//! and does nothing more for it.

use fault_server::{Reply, Request, config_reply, frame};
use h2::Reason;

use super::call::{Call, Ending, Left, OK, framed};
use super::line::Line;
use super::tap::End;
use crate::answer::{junk, odd, right_reply};
use crate::dice::chance;
use crate::event::{self, Event, Kind, Verdict, work};
use crate::mood::Fault;
use crate::tap;

const DEADLINE_EXCEEDED: u32 = 4;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

impl Call {
    /// Whether anybody is there.
    pub async fn check(mut self) {
        // Who leaves needs no answer.
        let _ = self.answer_check().await;
    }

    async fn answer_check(&mut self) -> Result<(), Left> {
        self.read().await?;
        let mut code = OK;
        match self.fault(&[Fault::Late, Fault::Hang, Fault::Close, Fault::Status]) {
            Some(Fault::Late) => self.pause(1, 4_000).await?,
            // Mostly a plugin hangs and its server answers.
            Some(Fault::Hang) if chance(&mut self.rng, 20) => self.hang().await?,
            Some(Fault::Close) => {
                self.line.ends.close();
                return Ok(());
            }
            Some(Fault::Status) => {
                code = [UNIMPLEMENTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED]
                    [self.rng.usize(0..4)];
            }
            _ => {}
        }
        let is_resting = self.line.world.mood().resting.has(self.line.server);
        // One that does not know the question is there.
        let is_there = code == UNIMPLEMENTED || code == OK && !is_resting;
        let conn = self.line.conn;
        let mut events = vec![Event::Replied { conn, call: 0, kind: Kind::Question }];
        if is_there && self.line.greets() {
            events.push(Event::Greeted { conn });
        }
        if code == OK {
            let serving_status = if is_resting { 2 } else { 1 };
            let message = framed(&frame(&[8, serving_status]));
            self.send(message, Ending::Status(OK), End { events, closes: false }).await;
        } else {
            self.decline(code, events);
        }
        Ok(())
    }

    /// The question for the plugin's configuration.
    pub async fn config(mut self) {
        let _ = self.answer_config().await;
    }

    async fn answer_config(&mut self) -> Result<(), Left> {
        let message = self.read().await?;
        match self.fault(&[Fault::Late, Fault::Hang, Fault::Close]) {
            Some(Fault::Late) => self.pause(1, 4_000).await?,
            Some(Fault::Hang) if chance(&mut self.rng, 20) => self.hang().await?,
            Some(Fault::Close) => {
                self.line.ends.close();
                return Ok(());
            }
            _ => {}
        }
        let reply = match Request::read(&message) {
            Request::Config(name) => config_reply(&name, &["tool_pre_invoke"]),
            _ => Vec::new(),
        };
        let events = vec![Event::Replied { conn: self.line.conn, call: 0, kind: Kind::Question }];
        self.send(framed(&frame(&reply)), Ending::Status(OK), End { events, closes: false }).await;
        Ok(())
    }

    /// A hook, and what goes wrong with it.
    pub async fn hook(mut self, fault: Option<Fault>) {
        let _open = self.line.world.stream();
        let _ = self.run_hook(fault).await;
    }

    async fn run_hook(&mut self, fault: Option<Fault>) -> Result<(), Left> {
        if self.rng.bool() && self.ends_before(fault) {
            return Ok(());
        }
        let message = self.read().await?;
        let request = Request::read(&message);
        let Some(call) = tap::call(request.marker()) else { return Ok(()) };
        self.line.world.see(Event::Began { conn: self.line.conn, call });
        let longest = self.line.world.mood().work;
        if longest > 0 {
            self.pause(0, longest).await?;
        }
        let (right, verdict) = (right_reply(&request, call, self.line.conn), work(call).0);
        let bytes = right.frame();
        match fault {
            Some(Fault::Late) => self.pause(1, 8_000).await?,
            Some(Fault::Hang) => self.hang().await?,
            Some(Fault::Close) if self.closes(bytes.len()) => return Ok(()),
            Some(Fault::BadFrame) => self.line.damage(&mut self.rng),
            Some(Fault::Foreign) => {
                return self.misanswer(call, &right.named("Other").frame()).await;
            }
            Some(Fault::Twice) => {
                if let Some(last) = self.line.take_last(call) {
                    return self.misanswer(call, &last).await;
                }
            }
            Some(Fault::Empty) => {
                return self.misanswer(call, &Reply::empty(&request).frame()).await;
            }
            Some(Fault::Junk) => {
                let junk = junk(right, verdict, &mut self.rng);
                return self.misanswer(call, &junk).await;
            }
            Some(Fault::Lie) => {
                let lie = right_reply(&request, call + 1, self.line.conn).frame();
                return self.reply(call, &lie, fault).await;
            }
            Some(Fault::Odd) if verdict == Verdict::Allow => {
                return self.reply(call, &odd(right).frame(), fault).await;
            }
            Some(fault) if self.declines(call, fault, &bytes).await => return Ok(()),
            _ => {}
        }
        let is_proven = right.0.context.is_some();
        self.reply(call, &bytes, fault).await?;
        self.line.set_last(is_proven.then_some((call, bytes)));
        Ok(())
    }

    /// Ends the call before its hook has run, if that is the fault.
    fn ends_before(&mut self, fault: Option<Fault>) -> bool {
        match fault {
            Some(Fault::Status) => {
                // Not that its time is over: nobody has read whose it is.
                let code = self.rng.u32(DEADLINE_EXCEEDED + 1..=UNAUTHENTICATED);
                self.decline(code, Vec::new());
            }
            Some(Fault::Reset) => self.respond.send_reset(reason(&mut self.rng, true)),
            _ => return false,
        }
        true
    }

    /// Ends the call without a reply though its hook has run, if that is the fault.
    async fn declines(&mut self, call: event::Call, fault: Fault, bytes: &[u8]) -> bool {
        let declined = Event::Declined { conn: self.line.conn, call };
        let end = End { events: vec![declined], closes: false };
        let whole = framed(bytes);
        match fault {
            Fault::Status => {
                let code = self.rng.u32(1..=UNAUTHENTICATED);
                let late = (code == DEADLINE_EXCEEDED).then_some(Event::SaidLate { call });
                self.decline(code, late.into_iter().chain([declined]).collect());
            }
            Fault::Reset if self.rng.bool() => {
                self.respond.send_reset(reason(&mut self.rng, false));
                self.line.world.see(declined);
            }
            Fault::Reset => {
                let part = whole.slice(..self.rng.usize(0..whole.len()));
                let reason = reason(&mut self.rng, false);
                self.send(part, Ending::Reset(reason), end).await;
                self.line.world.see(declined);
            }
            Fault::NoStatus => self.send(whole, Ending::Silence, end).await,
            Fault::TakenBack => {
                let code = self.rng.u32(DEADLINE_EXCEEDED + 1..=UNAUTHENTICATED);
                self.send(whole, Ending::Status(code), end).await;
            }
            Fault::Doubled => {
                let twice = [&whole[..], &whole[..]].concat().into();
                self.send(twice, Ending::Status(OK), end).await;
            }
            Fault::NotGrpc => self.answer_as_a_proxy(whole, end),
            _ => return false,
        }
        true
    }

    /// Closes before the reply, within it, with requests unread, or a while later; true if there
    /// is to be no reply at all.
    fn closes(&mut self, size: usize) -> bool {
        let Line { ends, scissors, .. } = &*self.line;
        match self.rng.u32(0..5) {
            0 => {
                ends.close();
                return true;
            }
            1 => {
                scissors.reset();
                ends.close();
                return true;
            }
            2 => scissors.cut_down(self.rng.usize(0..size + 100)),
            3 => scissors.cut_up(self.rng.usize(0..2_000)),
            // Behind the reply.
            _ => {}
        }
        false
    }
}

/// Why a stream is reset. `REFUSED_STREAM` stands for a hook that has not run.
fn reason(rng: &mut fastrand::Rng, may_refuse: bool) -> Reason {
    match Reason::from(rng.u32(0..=13)) {
        Reason::REFUSED_STREAM if !may_refuse => Reason::CANCEL,
        reason => reason,
    }
}
