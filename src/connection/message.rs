//! What a handle and a connection task say to each other, and nothing else.
//!
//! A [`Request`] goes in, exactly one [`Answer`] comes out: the responder
//! answers when it is dropped, so no path through the task, not even a panic or
//! a runtime that is shut down, leaves a caller waiting.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use crate::error::{Cause, Sent, Stage};
use crate::wire::request::Frame;

/// A call, encoded by its caller.
#[derive(Debug)]
pub(crate) struct Request {
    /// Frame header and message. An empty frame asks for a connection only, and
    /// is answered as soon as there is one.
    pub(crate) frame: Frame,
    /// When the caller's time is over.
    pub(crate) deadline: Instant,
    /// The connection may hand the request back for another one to take it.
    pub(crate) may_move: bool,
    pub(crate) responder: Responder,
}

/// What comes back for a [`Request`].
pub(crate) type Answer = Result<Reply, Failure>;

/// A reply's message, and which socket of the connection it came from.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) message: Bytes,
    pub(crate) socket: u64,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) loss: Loss,
    pub(crate) sent: Sent,
    /// The request, given back where none of it was sent.
    pub(crate) frame: Option<Frame>,
}

/// What happened to a request or to its connection.
#[derive(Debug, Clone)]
pub(crate) enum Loss {
    /// Not a failure: choose another connection.
    Moved,
    Expired(Stage),
    Unavailable {
        attempts: u32,
        error: Arc<io::Error>,
    },
    Disconnected(Arc<io::Error>),
    Faulted(&'static str),
    Framing(Arc<io::Error>),
    Shutdown,
    TaskGone,
}

impl Loss {
    /// True if the same request may find a connection later.
    pub(crate) fn is_disconnect(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::Faulted(_) | Self::Framing(_))
    }

    /// The cause as the caller is told it.
    pub(crate) fn into_cause(self, timeout: Duration) -> Cause {
        match self {
            Self::Expired(stage) => Cause::Timeout { timeout, stage },
            Self::Unavailable { attempts, error } => Cause::Unavailable { attempts, error },
            Self::Disconnected(error) => Cause::Disconnected(error),
            Self::Faulted(reason) => Cause::ClosedAfterFault(reason),
            Self::Framing(error) => Cause::Framing(error),
            Self::Shutdown => Cause::Shutdown,
            Self::Moved | Self::TaskGone => Cause::TaskGone,
        }
    }
}

/// The reply's slot. Dropped unanswered, it tells the caller that the task is gone.
#[derive(Debug)]
pub(crate) struct Responder {
    slot: Option<oneshot::Sender<Answer>>,
    sent: Sent,
}

impl Responder {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Self { slot: Some(sender), sent: Sent::No }, receiver)
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
    pub(crate) fn reply(mut self, reply: Reply) -> bool {
        self.slot.take().is_some_and(|slot| slot.send(Ok(reply)).is_ok())
    }

    /// Answers with a failure; false if the caller has left.
    pub(crate) fn fail(mut self, loss: Loss, frame: Option<Frame>) -> bool {
        let sent = self.sent;
        self.slot.take().is_some_and(|slot| slot.send(Err(Failure { loss, sent, frame })).is_ok())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let _ = slot.send(Err(Failure { loss: Loss::TaskGone, sent: self.sent, frame: None }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_responder_that_is_dropped_answers() {
        let (responder, answer) = Responder::new();
        drop(responder);
        let failure = answer.await.unwrap().unwrap_err();
        assert!(matches!(failure.loss, Loss::TaskGone));
        assert_eq!(failure.sent, Sent::No);
    }

    #[tokio::test]
    async fn a_sent_request_is_never_called_unsent() {
        let (mut responder, answer) = Responder::new();
        responder.mark_sent();
        drop(responder);
        assert_eq!(answer.await.unwrap().unwrap_err().sent, Sent::Maybe);
    }

    #[test]
    fn a_responder_knows_that_its_caller_left() {
        let (responder, answer) = Responder::new();
        assert!(!responder.is_abandoned());
        drop(answer);
        assert!(responder.is_abandoned());
    }
}
