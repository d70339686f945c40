//! A plugin over gRPC, as calls reach it: an encoded request in, its encoded reply out.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::attempt::{Attempt, Call};
use super::call::message_len;
use super::deadline::{Over, deadline, limit};
use super::pool::Pool;
use super::seat::{Seat, Ticket};
use super::settings::{Servers, Settings};
use super::shared::{Shared, Supervision};
use super::supervisor::{Guard, supervise};
use crate::breaker::Gate;
use crate::config::CallPolicy;
use crate::error::{Cause, Sent, Slots, Stage};
use crate::identity::Identity;
use crate::unix::listening::{Heard, Listener};
use crate::unix::message::{Failure, Origin, Reply};
use crate::unix::plugin::Outbound;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;

/// How often a call that was passed over is sent again by itself. A server that stops passes it
/// over once; a proxy that ends its connections after so many requests may do so a few times.
const MOST_PASSED_OVER: u32 = 3;

/// Dropping it ends the plugin's tasks.
#[derive(Debug)]
pub(crate) struct GrpcPlugin {
    shared: Arc<Shared>,
}

impl GrpcPlugin {
    /// Its tasks run on `runtime`, or else on the one that is entered here, or else on
    /// that of the first call. Nothing is opened yet. Connections are those of the pool, if
    /// there is one.
    pub(crate) fn new(
        identity: Arc<Identity>,
        settings: Settings,
        policy: &CallPolicy,
        gate: Arc<Gate>,
        servers: Servers,
        runtime: Option<Handle>,
        pool: Option<Pool>,
    ) -> Self {
        let shared = Shared::new(identity, settings, policy, gate, servers, runtime, pool);
        Self { shared: Arc::new(shared) }
    }

    /// Sends a request and waits for its reply.
    ///
    /// What did not leave for a server goes to the next one by itself, and so does what a
    /// server that stops will not come to.
    ///
    /// # Errors
    /// Why there is no reply, and whether the plugin can have seen the request.
    ///
    /// # Cancel safety
    /// A request that waits is not sent any more. The stream of one that was sent is reset,
    /// and its reply thrown away.
    pub(crate) async fn exchange(&self, request: Outbound) -> Result<Reply, Box<Failure>> {
        let Outbound { method, frame, deadline: until, timeout, may_wait } = request;
        let (size, limit) = (message_len(&frame), self.shared.settings.max_request_len);
        if size > limit {
            return Err(unsent(Cause::MessageTooLarge { size, limit: Some(limit) }));
        }
        let frame = Bytes::from(frame);
        let (mut asked, keeps_time) = self.ask_for_seat(may_wait)?;
        let time = pin!(deadline(until, keeps_time));
        let mut call = Call { method, frame, until, timeout, time };
        let mut passed_over = 0;
        loop {
            let seat = match asked {
                Asked::Has(seat) => Ok(seat),
                Asked::Waits(waiter) => self.wait(waiter, &mut call).await,
            };
            let seat = seat.map_err(|failure| unstarted(failure, passed_over))?;
            match self.shared.attempt(seat, &mut call).await {
                Ok(reply) => return Ok(reply),
                Err(Attempt::Unsent) => {}
                Err(Attempt::Late) => {
                    let (stage, last_error) = (Stage::Queued, None);
                    let late = unsent(Cause::Timeout { timeout, stage, last_error });
                    return Err(unstarted(late, passed_over));
                }
                Err(Attempt::PassedOver(_)) if passed_over < MOST_PASSED_OVER => passed_over += 1,
                Err(Attempt::PassedOver(cause)) => {
                    return Err(Box::new(Failure { cause, sent: Sent::Unstarted }));
                }
                Err(Attempt::Failed(cause, sent)) => {
                    return Err(Box::new(Failure { cause, sent }));
                }
            }
            let again = self.ask_for_seat(may_wait);
            (asked, _) = again.map_err(|failure| unstarted(failure, passed_over))?;
        }
    }

    /// A place on a server, or one among those who wait for it; and whether the runtime that is
    /// entered here has timers.
    fn ask_for_seat(&self, may_wait: bool) -> Result<(Asked, bool), Box<Failure>> {
        let shared = &self.shared;
        let mut locked = shared.lock();
        // Under the lock: what is taken in before a stop is finished, or answered by it.
        if shared.stop_at().is_some() {
            return Err(unsent(Cause::Shutdown));
        }
        if let Some(down) = locked.down() {
            return Err(unsent(down.into()));
        }
        let keeps_time = locked.keeps_time();
        if let Some(seat) = shared.enter(&mut locked) {
            return Ok((Asked::Has(seat), keeps_time));
        }
        let (waiter, seat) = oneshot::channel();
        if let Err(waiting) = locked.admission.wait(Ticket(waiter), may_wait) {
            let queue_capacity = may_wait.then_some(shared.queue_capacity);
            let (places, slots) = (locked.admission.places(), Slots::OfServers);
            return Err(unsent(Cause::Overloaded { places, waiting, queue_capacity, slots }));
        }
        shared.ask_for_streams(&locked);
        let unsupervised = locked.supervision == Supervision::None;
        drop(locked);
        if unsupervised {
            self.supervise();
        }
        Ok((Asked::Waits(seat), keeps_time))
    }

    /// Waits for a place on a server.
    async fn wait(&self, waiter: Waiter, call: &mut Call<'_>) -> Result<Seat, Box<Failure>> {
        match limit(call.time.as_mut(), waiter).await {
            Ok(Ok(seat)) => seat,
            Ok(Err(_)) => Err(unsent(Cause::TaskGone)),
            Err(Over) => {
                let locked = self.shared.lock();
                let no_room = locked.admission.is_connected();
                let stage = if no_room { Stage::Admission } else { Stage::Queued };
                let last_error = locked.why().filter(|_| !no_room);
                Err(unsent(Cause::Timeout { timeout: call.timeout, stage, last_error }))
            }
        }
    }

    /// Starts the supervisor on the runtime of the last one. If that has ended, on the
    /// caller's.
    fn supervise(&self) {
        let mut here = Handle::try_current().ok();
        loop {
            let mut locked = self.shared.lock();
            if locked.supervision != Supervision::None {
                return;
            }
            let Some(runtime) = locked.runtime.clone().or_else(|| here.take()) else {
                drop(locked);
                return self.shared.task_gone();
            };
            locked.supervision = Supervision::Starting;
            drop(locked);
            runtime.spawn(supervise(Guard::new(Arc::clone(&self.shared))));
            let mut locked = self.shared.lock();
            // A runtime that has ended drops it at once.
            let is_there = locked.supervision != Supervision::None;
            locked.runtime = is_there.then_some(runtime);
            if is_there {
                locked.supervision = Supervision::Running;
                return;
            }
        }
    }

    /// A reply of this origin was what had been asked for: which is taken for granted, until
    /// it is [suspected](Self::suspect).
    #[allow(clippy::unused_self)]
    pub(crate) fn confirm(&self, _: Origin) {}

    /// A reply of this origin was not what had been asked for. One that is another call's
    /// shows that somebody on the way mixes them up: its connection is closed.
    pub(crate) fn suspect(&self, origin: Origin, suspicion: Suspicion) {
        self.shared.distrust(origin.slot);
        let mixed_up = matches!(suspicion, Suspicion::Mismatch | Suspicion::Unproven);
        if mixed_up {
            let why = Cause::ClosedAfterFault(suspicion.as_str());
            self.shared.cut(origin.slot, origin.socket, why);
        }
    }

    /// From now on the plugin's task asks its servers about the plugin, whenever one of them
    /// may be another one, and until it has answered. `heard`: how the caller's own question
    /// went, and where its answer came from.
    pub(crate) fn listen(&self, listener: Arc<dyn Listener>, heard: Heard, origin: Option<Origin>) {
        self.shared.listening.begin(listener, heard, origin);
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.shared.state()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.watch_state()
    }

    /// True if it takes no more calls.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stop_at().is_some()
    }

    /// Asks the tasks to end at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.shared.stop(deadline);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// The last handle is gone: nobody can wait any more.
impl Drop for GrpcPlugin {
    fn drop(&mut self) {
        self.shared.release();
    }
}

type Waiter = oneshot::Receiver<Result<Seat, Box<Failure>>>;

/// What there is for a call.
enum Asked {
    Has(Seat),
    Waits(Waiter),
}

/// Once it was passed over, some of a call's bytes have left.
fn unstarted(mut failure: Box<Failure>, passed_over: u32) -> Box<Failure> {
    if passed_over > 0 {
        failure.sent = Sent::Unstarted;
    }
    failure
}

fn unsent(cause: Cause) -> Box<Failure> {
    Box::new(Failure { cause, sent: Sent::No })
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
