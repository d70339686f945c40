//! What a handle and a connection task say to each other, and nothing else.
//!
//! A [`Request`] goes in, exactly one [`Answer`] comes out: no path through the
//! task, not even a panic or a runtime that is shut down, leaves a caller waiting.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::gauge::Gauge;
use super::shared::Shared;
use crate::error::{Cause, Sent, Stage};
use crate::sync::atomic::{Ordering::SeqCst, fence};
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
/// several. It never gets more, and less with each move, but for moves to the first
/// connection while none is open: so no request goes round and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freedom {
    /// It stays where it is.
    Stay,
    /// It may be handed back once more, for a connection that is open.
    Move,
    /// It may be handed back, also for one that has to be opened.
    Open,
}

/// What comes back for a [`Request`]. Failures are rare and large: in a box, so that replies are moved in little room.
pub(crate) type Answer = Result<Reply, Box<Failure>>;

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
///
/// While it exists the call is in nobody's queue, and no connection that drains ends
/// before its time is over.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    held: bool,
}

impl Place {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.moving.fetch_add(1, SeqCst);
        Self { shared: Arc::clone(shared), held: true }
    }

    /// It belongs to the request now that the next connection gets.
    pub(crate) fn pass_on(&mut self) {
        self.held = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.held {
            self.shared.places.add_permits(1);
        }
        let last = self.shared.moving.fetch_sub(1, SeqCst) == 1;
        // Either who stops sees that nothing moves any more, or is seen here.
        fence(SeqCst);
        if last && self.shared.stop_at().is_some() {
            self.shared.gauges.iter().for_each(Gauge::wake);
        }
    }
}

/// What happened to a request or to its connection.
#[derive(Debug, Clone)]
pub(crate) enum Loss {
    /// Not a failure: choose another connection.
    Moved,
    /// The caller's time is over. It has the error only where it waited for a connection.
    Expired(Stage, Option<Arc<io::Error>>),
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
            Self::Expired(stage, last_error) => Cause::Timeout { timeout, stage, last_error },
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

/// The reply's slot. Dropped unanswered, which only a panic does, it tells the caller
/// that nobody knows any more.
#[derive(Debug)]
pub(crate) struct Responder {
    slot: oneshot::Sender<Answer>,
    sent: Sent,
}

impl Responder {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Answer>) {
        let (slot, receiver) = oneshot::channel();
        (Self { slot, sent: Sent::No }, receiver)
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
        self.slot.is_closed()
    }

    /// Answers with a reply; false if the caller has left.
    pub(crate) fn reply(self, reply: Reply) -> bool {
        self.slot.send(Ok(reply)).is_ok()
    }

    /// Answers with a failure; false if the caller has left.
    pub(crate) fn fail(self, loss: Loss) -> bool {
        self.answer(loss, None)
    }

    /// Hands the request back for another connection to take.
    pub(crate) fn hand_back(self, moved: Moved) {
        self.answer(Loss::Moved, Some(moved));
    }

    fn answer(self, loss: Loss, moved: Option<Moved>) -> bool {
        self.slot.send(Err(Box::new(Failure { loss, sent: self.sent, moved }))).is_ok()
    }
}

/// Waits for the answer to a request that was handed over.
///
/// # Errors
/// As the task says; without a word of it, the request may have been sent.
pub(crate) async fn answered(receiver: oneshot::Receiver<Answer>) -> Answer {
    let gone = || Failure { loss: Loss::TaskGone, sent: Sent::Maybe, moved: None };
    receiver.await.unwrap_or_else(|_| Err(Box::new(gone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_responder_that_is_dropped_leaves_nobody_waiting() {
        let (responder, answer) = Responder::new();
        drop(responder);
        let failure = answered(answer).await.unwrap_err();
        assert!(matches!(failure.loss, Loss::TaskGone));
        assert_eq!(failure.sent, Sent::Maybe);
    }

    #[tokio::test]
    async fn a_failure_says_whether_the_request_sent() {
        let (mut responder, answer) = Responder::new();
        responder.mark_sent();
        responder.fail(Loss::Shutdown);
        assert_eq!(answered(answer).await.unwrap_err().sent, Sent::Maybe);

        let (mut responder, answer) = Responder::new();
        responder.mark_sent();
        responder.mark_unsent();
        responder.fail(Loss::Shutdown);
        assert_eq!(answered(answer).await.unwrap_err().sent, Sent::No);
    }

    #[test]
    fn a_responder_knows_that_its_caller_left() {
        let (responder, answer) = Responder::new();
        assert!(!responder.is_abandoned());
        drop(answer);
        assert!(responder.is_abandoned());
    }
}
