//! The questions that a plugin's own task asks its server, and the way of their answers.
//!
//! A question goes over a plugin's sockets as a call does, and on a new one before all
//! calls, so that an answer is that of the server behind the socket. No caller waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connections::{Connections, Shared};
use super::listening::Heard;
use super::message::{Answer, Method, Reply, Request, Responder};
use super::questions::Questions;
use super::slot::{Slot, Suspicion};
use crate::error::Sent;
use crate::wire::request;

/// The supervisor's part that asks.
pub(super) struct Asking {
    questions: Questions,
    /// That to the question under way.
    answer: Option<oneshot::Receiver<Answer>>,
    /// When the time is over that the questions gave.
    until: Option<Instant>,
    /// The number of the last socket that was opened while no other one was: what came over
    /// one before it may be another server's.
    first: u64,
}

impl Asking {
    pub(super) fn new(connections: &Connections) -> Self {
        let mut questions = Questions::new();
        // A supervisor before this one may have heard of it.
        if connections.listening.get().is_some() {
            questions.listen();
        }
        Self { questions, answer: None, until: None, first: 0 }
    }

    /// A socket was opened, and nothing is bound to it yet. `first`: its number, if no other
    /// one is open.
    pub(super) fn opened(
        &mut self,
        connections: &Connections,
        shared: &mut Shared,
        slot: usize,
        first: Option<u64>,
    ) {
        self.listen(connections);
        self.first = first.unwrap_or(self.first);
        self.questions.opened(first.is_some());
        self.tell_if_stale(connections);
        if self.questions.is_due() {
            self.ask(connections, shared, Some(slot));
        }
    }

    /// The server ended a socket.
    pub(super) fn lost(&mut self, connections: &Connections) {
        self.questions.lost();
        self.tell_if_stale(connections);
    }

    /// When the next thing is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until
    }

    /// True if anything has moved.
    pub(super) fn poll(&mut self, connections: &Connections, cx: &mut Context<'_>) -> bool {
        self.listen(connections);
        if connections.stop_at().is_some() || connections.is_released() {
            self.give_up(connections);
            return false;
        }
        let mut progress = self.poll_answer(connections, cx);
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
            self.questions.elapsed();
            self.tell_if_stale(connections);
            progress = true;
        }
        if self.questions.is_due() {
            progress |= self.ask_somewhere(connections);
        }
        progress
    }

    fn listen(&mut self, connections: &Connections) {
        if connections.listening.take_moved() {
            self.questions.lost();
            self.tell_if_stale(connections);
        }
        let Some((heard, socket)) = connections.listening.take_news() else { return };
        self.questions.listen();
        // A question of this task's own is younger.
        if self.answer.is_none() {
            self.hear(heard);
        }
        if socket < self.first {
            self.questions.lost();
            self.tell_if_stale(connections);
        }
    }

    fn hear(&mut self, heard: Heard) {
        let delay = match heard {
            Heard::NoAnswer => Some(self.questions.failed(fastrand::f64())),
            heard => self.questions.answered(heard == Heard::Barred),
        };
        self.until = delay.map(|delay| Instant::now() + delay);
    }

    fn tell_if_stale(&self, connections: &Connections) {
        if self.questions.is_stale()
            && let Some(listener) = connections.listening.get()
        {
            listener.stale();
        }
    }

    /// A plugin that is to end waits for no answer that nobody waits for.
    fn give_up(&mut self, connections: &Connections) {
        // What is due and never done would keep the supervisor from resting.
        self.until = None;
        if self.answer.take().is_some() {
            connections.note_left();
            connections.sweep(&mut connections.lock());
            connections.slots.iter().for_each(Slot::wake);
        }
    }

    fn poll_answer(&mut self, connections: &Connections, cx: &mut Context<'_>) -> bool {
        let Some(answer) = &mut self.answer else { return false };
        let Poll::Ready(answer) = Pin::new(answer).poll(cx) else { return false };
        self.answer = None;
        match answer {
            Ok(Ok(Reply { message, origin, .. })) => {
                let listener = connections.listening.get();
                let heard = listener.map_or(Heard::NoAnswer, |listener| listener.answer(&message));
                if heard == Heard::NoAnswer {
                    let slot = &connections.slots[origin.slot];
                    slot.suspect(origin.socket, Suspicion::Undecodable);
                }
                self.hear(heard);
            }
            // The server has seen nothing of it, so it says nothing of the server.
            Ok(Err(failure)) if failure.sent == Sent::No => {
                self.until = Some(Instant::now() + self.questions.unsent());
            }
            Ok(Err(_)) | Err(_) => self.hear(Heard::NoAnswer),
        }
        self.tell_if_stale(connections);
        true
    }

    /// Asks on any socket, or before all that waits for one; true if it does.
    fn ask_somewhere(&mut self, connections: &Connections) -> bool {
        let mut shared = connections.lock();
        if self.ask(connections, &mut shared, None) {
            return true;
        }
        if !shared.dispatch.is_open() && !self.questions.opens() {
            return false;
        }
        if let Some(question) = self.question(connections) {
            shared.dispatch.push_front(question);
        }
        true
    }

    /// Asks on this socket, or else on any that has room; true if there is one.
    fn ask(&mut self, connections: &Connections, shared: &mut Shared, slot: Option<usize>) -> bool {
        let Some(slot) = shared.dispatch.ask(slot) else { return false };
        match self.question(connections) {
            Some(question) => connections.bind(shared, slot, question),
            None => shared.dispatch.release(slot, 1),
        }
        true
    }

    /// `None` for a name that cannot be asked for: it cannot be called either.
    fn question(&mut self, connections: &Connections) -> Option<Request> {
        self.questions.asked();
        let frame = request::get_plugin_config(&connections.identity.plugin).ok()?;
        let (responder, answer) = Responder::new();
        self.answer = Some(answer);
        let deadline = Instant::now() + connections.timeout;
        Some(Request { method: Method::Check, frame, deadline, responder })
    }
}
