//! What a call and the tasks below it hand to each other, and nothing else.
//!
//! A [`Request`] goes in, exactly one [`Answer`] comes out: no path through the
//! tasks, not even a panic or a runtime that ends, leaves a caller waiting.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{dispatch::Queued, in_flight::Kind};
use crate::error::{Cause, Sent, Stage};
use crate::wire::request::EncodedFrame;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// A connection and nothing else: answered as soon as there is one.
    Connect,
    /// A hook to run.
    InvokeHook,
    /// A configuration, or all of them.
    GetConfig,
    /// The plugin's configuration, for the plugin's own task.
    Check,
}

impl Method {
    /// How it is marked while it is in flight; `None` if nothing is sent for it.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Self::Connect => None,
            Self::InvokeHook => Some(Kind::Hook),
            Self::GetConfig => Some(Kind::Question),
            Self::Check => Some(Kind::Check),
        }
    }
}

/// A call, encoded by its caller.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Frame header and message; empty for [`Method::Connect`].
    pub(crate) frame: EncodedFrame,
    /// When the caller's time is over.
    pub(crate) deadline: Instant,
    pub(crate) responder: Responder,
}

impl Queued for Request {
    type Instant = Instant;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.responder.is_abandoned()
    }
}

/// What comes back for a [`Request`]. Failures are rare and large: in a box, so that
/// replies are moved in little room.
pub(crate) type Answer = Result<Reply, Box<Failure>>;

/// A reply's message, where it came from, and when.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) message: Bytes,
    pub(crate) origin: Origin,
    /// One look at the clock for all replies of a turn: callers need none of their own to
    /// count how long theirs took.
    pub(crate) arrived: Instant,
}

/// A socket: of which slot, and which of the plugin's sockets it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) slot: usize,
    pub(crate) socket: u64,
}

/// Why there is no reply, and whether the plugin can have seen the request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) sent: Sent,
}

impl Failure {
    /// A call whose time is over was given `timeout` in all: the tasks know deadlines only,
    /// so that requests are moved in little room.
    pub(super) fn of_a_call_with(mut self: Box<Self>, given: Duration) -> Box<Self> {
        if let Cause::Timeout { timeout, .. } = &mut self.cause {
            *timeout = given;
        }
        self
    }
}

/// The reply's slot. Dropped unanswered it tells the caller that the task is gone.
#[derive(Debug)]
pub(crate) struct Responder {
    slot: Option<oneshot::Sender<Answer>>,
    sent: Sent,
}

impl Responder {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Answer>) {
        let (slot, receiver) = oneshot::channel();
        (Self { slot: Some(slot), sent: Sent::No }, receiver)
    }

    /// From here on the kernel may have seen the request.
    pub(crate) fn mark_sent(&mut self) {
        self.sent = Sent::Maybe;
    }

    /// The request was taken back: the kernel has not seen it.
    pub(crate) fn mark_unsent(&mut self) {
        self.sent = Sent::No;
    }

    /// True if the caller has left.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Answers with a reply; false if the caller has left.
    pub(crate) fn reply(self, reply: Reply) -> bool {
        self.answer(Ok(reply))
    }

    /// Answers with a failure; false if the caller has left.
    pub(crate) fn fail(self, cause: Cause, sent: Sent) -> bool {
        self.answer(Err(Box::new(Failure { cause, sent })))
    }

    /// Answers a call whose time is over; its caller knows how much that was. `last_error` is why there was no connection, if
    /// it waited for one.
    pub(crate) fn expire(self, stage: Stage, last_error: Option<Arc<io::Error>>) {
        let sent = self.sent;
        self.fail(Cause::Timeout { timeout: Duration::ZERO, stage, last_error }, sent);
    }

    fn answer(mut self, answer: Answer) -> bool {
        self.slot.take().is_some_and(|slot| slot.send(answer).is_ok())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let failure = Failure { cause: Cause::TaskGone, sent: self.sent };
            // The caller may have left.
            let _ = slot.send(Err(Box::new(failure)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(answer: oneshot::Receiver<Answer>) -> Failure {
        *answer.await.unwrap().unwrap_err()
    }

    #[tokio::test]
    async fn a_responder_that_is_dropped_leaves_nobody_waiting() {
        for sent in [Sent::No, Sent::Maybe] {
            let (mut responder, answer) = Responder::new();
            if sent == Sent::Maybe {
                responder.mark_sent();
            }
            drop(responder);
            let failure = failure(answer).await;
            assert!(matches!(failure.cause, Cause::TaskGone));
            assert_eq!(failure.sent, sent);
        }
    }

    #[tokio::test]
    async fn a_request_that_was_taken_back_is_unsent() {
        let (mut responder, answer) = Responder::new();
        responder.mark_sent();
        responder.mark_unsent();
        drop(responder);
        assert_eq!(failure(answer).await.sent, Sent::No);
    }

    #[tokio::test]
    async fn a_call_whose_time_is_over_is_told_how_much_it_had() {
        let (responder, answer) = Responder::new();
        responder.expire(Stage::Queued, None);
        let failure = Box::new(failure(answer).await).of_a_call_with(Duration::from_secs(7));
        let Cause::Timeout { timeout, stage, .. } = failure.cause else { panic!("{failure:?}") };
        assert_eq!((timeout, stage), (Duration::from_secs(7), Stage::Queued));
    }

    #[test]
    fn a_responder_knows_that_its_caller_left() {
        let (responder, answer) = Responder::new();
        assert!(!responder.is_abandoned());
        drop(answer);
        assert!(responder.is_abandoned());
    }
}
