//! What a handle and a connection task say to each other, and nothing else.
//!
//! A [`Request`] goes in, exactly one [`Answer`] comes out: the responder
//! answers when it is dropped, so no path through the task, not even a panic or
//! a runtime that is shut down, leaves a caller waiting.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::shared::Shared;
use crate::error::{Cause, Sent, Stage};
use crate::trust::is_refusal;
use crate::wire::request::Frame;

/// A call, encoded by its caller.
#[derive(Debug)]
pub(crate) struct Request {
    /// Frame header and message. An empty frame asks for a connection only, and
    /// is answered as soon as there is one.
    pub(crate) frame: Frame,
    /// When the caller's time is over.
    pub(crate) deadline: Instant,
    pub(crate) freedom: Freedom,
    pub(crate) responder: Responder,
}

/// What a connection may do with a request that it cannot send, if the plugin has
/// several. It only ever gets less, so a request moves twice at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freedom {
    /// It stays where it is.
    Stay,
    /// It may be handed back, for a connection that is open.
    Move,
    /// It may be handed back, also for one that has to be opened.
    Open,
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
    /// With [`Loss::Moved`]: the request, for another connection to take.
    pub(crate) moved: Option<Moved>,
}

/// A request on its way from one connection to another.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) frame: Frame,
    pub(crate) freedom: Freedom,
    pub(crate) place: Place,
}

/// A place for one call, on its way from one connection to another. Given back if
/// its caller leaves instead.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Shared>>);

impl Place {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Some(Arc::clone(shared)))
    }

    /// The next connection has it now.
    pub(crate) fn pass_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.places.add_permits(1);
        }
    }
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
        /// `None`: an attempt is under way.
        retry_after: Option<Duration>,
    },
    Unresponsive {
        missing: u32,
        /// `None`: a call is on trial.
        retry_after: Option<Duration>,
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
            Self::Unavailable { attempts, error, retry_after } if is_refusal(&error) => {
                Cause::Untrusted { attempts, error, retry_after }
            }
            Self::Unavailable { attempts, error, retry_after } => {
                Cause::Unavailable { attempts, error, retry_after }
            }
            Self::Unresponsive { missing, retry_after } => {
                Cause::Unresponsive { missing, retry_after }
            }
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
    /// The call gives the plugin less time than it is configured to have.
    hasty: bool,
}

impl Responder {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Self { slot: Some(sender), sent: Sent::No, hasty: false }, receiver)
    }

    /// The call has less time than the plugin is configured to have.
    pub(crate) fn mark_hasty(&mut self) {
        self.hasty = true;
    }

    pub(crate) fn is_hasty(&self) -> bool {
        self.hasty
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
    pub(crate) fn fail(self, loss: Loss) -> bool {
        self.answer(loss, None)
    }

    /// Hands the request back for another connection to take.
    pub(crate) fn hand_back(self, moved: Moved) {
        self.answer(Loss::Moved, Some(moved));
    }

    fn answer(mut self, loss: Loss, moved: Option<Moved>) -> bool {
        let sent = self.sent;
        self.slot.take().is_some_and(|slot| slot.send(Err(Failure { loss, sent, moved })).is_ok())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let _ = slot.send(Err(Failure { loss: Loss::TaskGone, sent: self.sent, moved: None }));
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
