//! One request on one server, and what its end tells of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::admission::Outcome;
use super::call::{Fault, call, message_len};
use super::deadline::{Deadline, Over, limit_under_way};
use super::seat::Seat;
use super::server::Connection;
use super::shared::Shared;
use crate::error::{Cause, Sent, Stage};
use crate::unix::message::{Method, Origin, Reply};

/// Shorter silence than this says nothing of a server: calls that waited for their turn have
/// little time left.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// A call, in what stays the same for every server that it is tried on.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) frame: Bytes,
    pub(super) until: Instant,
    pub(super) timeout: Duration,
    pub(super) time: Pin<&'a mut Deadline>,
}

/// Why a server has not answered.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The request has not left.
    Unsent,
    /// Nor will it: its caller's time is over.
    Late,
    /// It has, and the server will not come to it.
    PassedOver(Cause),
    Failed(Cause, Sent),
}

impl Shared {
    /// One request on one server.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        mut seat: Seat,
        task: &mut Call<'_>,
    ) -> Result<Reply, Attempt> {
        let connection = Arc::clone(&seat.connection);
        let origin = Origin { slot: connection.index, socket: connection.number };
        if task.method == Method::Connect {
            return Ok(Reply { message: Bytes::new(), origin, arrived: Instant::now() });
        }
        let size = message_len(&task.frame);
        let path = connection.server.paths().of(task.method, size == 0);
        let settings = &self.settings;
        let (begun, heard) = (Instant::now(), connection.session.cut.received());
        let left = task.until.saturating_duration_since(begun);
        if left.is_zero() {
            // Its hook would run for a caller who is told that it did not answer.
            return Err(Attempt::Late);
        }
        let (sender, frame) = (&connection.session.sender, task.frame.clone());
        let call = call(sender, path, frame, left, settings.max_reply_len);
        let call = async {
            tokio::select! {
                biased;
                answer = call => answer,
                () = connection.is_severed() => Err(Fault::Lost(Cause::Shutdown)),
            }
        };
        let under_way = connection.call();
        let answer = limit_under_way(task.time.as_mut(), task.until, call).await;
        let arrived = Instant::now();
        match answer {
            Ok(_) => under_way.over(),
            Err(Over) => drop(under_way),
        }
        let is_hook = task.method == Method::InvokeHook;
        let fault = match answer {
            Ok(Ok(message)) => {
                connection.session.prove();
                connection.count(&task.frame, &message);
                seat.outcome = if is_hook { Outcome::Answered } else { Outcome::Silent };
                return Ok(Reply { message, origin, arrived });
            }
            Ok(Err(fault)) => Some(fault),
            Err(Over) => None,
        };
        let late =
            || Cause::Timeout { timeout: task.timeout, stage: Stage::InFlight, last_error: None };
        let lost = |cause| connection.why().cloned().unwrap_or(cause);
        let fault_came = fault.is_some();
        let (outcome, attempt) = match fault {
            Some(Fault::Unsent(_)) => {
                // Whoever comes next must not find it again.
                self.retire(&connection);
                (Outcome::Silent, Attempt::Unsent)
            }
            Some(Fault::Refused(error)) => {
                // It would be unstarted, if proxies did not say so too of a request that they had
                // passed on to a server which then was lost.
                (Outcome::Failed, Attempt::Failed(Cause::Disconnected(error), Sent::Maybe))
            }
            Some(Fault::PassedOver(error)) => {
                self.retire(&connection);
                (Outcome::Silent, Attempt::PassedOver(Cause::Disconnected(error)))
            }
            Some(Fault::Lost(cause)) => {
                (Outcome::Silent, Attempt::Failed(lost(cause), Sent::Maybe))
            }
            Some(Fault::Status(status)) if !status.is_late() && arrived < task.until => {
                let cause = status.into_cause(size, settings.max_request_len);
                let too_large = matches!(cause, Cause::MessageTooLarge { .. });
                let outcome = if too_large { Outcome::Silent } else { Outcome::Failed };
                (outcome, Attempt::Failed(cause, Sent::Maybe))
            }
            Some(Fault::Failed(cause)) if arrived < task.until => {
                (Outcome::Failed, Attempt::Failed(cause, Sent::Maybe))
            }
            // The server counts the time too, and may be quicker to say that it is over.
            Some(Fault::Status(_) | Fault::Failed(_)) | None => {
                // One that has said so long before answers, whatever its reason.
                let is_early =
                    fault_came && task.until.saturating_duration_since(arrived) > left / 10;
                // Every call loses some of its time on the way.
                let outcome = if is_early {
                    Outcome::Failed
                } else if left >= self.timeout / 2 {
                    Outcome::Missing
                } else if connection.session.cut.received() == heard && left >= LEAST_PATIENCE {
                    Outcome::Failed
                } else {
                    Outcome::Silent
                };
                (outcome, Attempt::Failed(late(), Sent::Maybe))
            }
        };
        seat.outcome = if is_hook { outcome } else { Outcome::Silent };
        Err(attempt)
    }

    /// The server takes no more calls on it, from whomever.
    fn retire(&self, connection: &Connection) {
        let reason = "the server takes no more calls on this connection";
        connection.session.retire(Arc::new(io::Error::other(reason)));
        self.close(connection);
    }
}
