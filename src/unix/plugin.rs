//! A plugin over its Unix socket, as calls reach it: an encoded request in, its encoded
//! reply out.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connect::Connect;
use super::connections::{Connections, Full, Start};
use super::listening::{Heard, Listener};
use super::message::{Failure, Method, Origin, Reply, Request, Responder};
use super::reconnect::ConnectionState;
use super::slot::Suspicion;
use super::supervisor::Supervisor;
use crate::breaker::Gate;
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::error::{Cause, Sent, Slots};
use crate::identity::Identity;
use crate::wire::request::EncodedFrame;

/// A request, and how long it may take.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) method: Method,
    /// Empty for [`Method::Connect`].
    pub(crate) frame: EncodedFrame,
    pub(crate) deadline: Instant,
    /// How long that was in all.
    pub(crate) timeout: Duration,
    /// Whether it may wait where there is no room for it.
    pub(crate) may_wait: bool,
}

/// Dropping it ends the plugin's tasks.
#[derive(Debug)]
pub(crate) struct UnixPlugin {
    connections: Arc<Connections>,
}

impl UnixPlugin {
    /// Its tasks run on `runtime`, or else on the one that is entered here, or else on
    /// that of the first call. Nothing is opened yet.
    pub(crate) fn new(
        identity: Arc<Identity>,
        config: &UnixSocketConfig,
        policy: &CallPolicy,
        gate: Arc<Gate>,
        connector: Arc<dyn Connect>,
        runtime: Option<Handle>,
    ) -> Self {
        let connections = Connections::new(identity, config, policy, gate, connector, runtime);
        Self { connections: Arc::new(connections) }
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// Why there is no reply, and whether the plugin can have seen the request.
    ///
    /// # Cancel safety
    /// A request of which nothing was written is not sent any more; the reply to one that
    /// was is thrown away when it comes.
    pub(crate) async fn exchange(&self, request: Outbound) -> Result<Reply, Box<Failure>> {
        let Outbound { method, frame, deadline, timeout, may_wait } = request;
        let (responder, answer) = Responder::new();
        let request = Request { method, frame, deadline, responder };
        self.hand_over(request, may_wait).map_err(|full| self.overloaded(full, may_wait))?;
        let mut leaving = Leaving { connections: &self.connections, answered: false };
        let answer = answer.await;
        leaving.answered = true;
        // A responder answers even where it is dropped.
        let answer = answer.unwrap_or_else(|_| {
            Err(Box::new(Failure { cause: Cause::TaskGone, sent: Sent::Maybe }))
        });
        answer.map_err(|failure| failure.of_a_call_with(timeout))
    }

    /// Hands a request to the tasks, and starts them if they are not there.
    pub(super) fn hand_over(&self, request: Request, may_wait: bool) -> Result<(), Full> {
        if self.connections.push(request, may_wait)? {
            self.supervise();
        }
        Ok(())
    }

    /// Starts the supervisor on the runtime of the last one. If that has ended, on the
    /// caller's.
    fn supervise(&self) {
        let mut here = Handle::try_current().ok();
        loop {
            match self.connections.begin_supervision(&mut here) {
                Start::IsThere => return,
                Start::Nowhere => return self.connections.task_gone(),
                Start::On(runtime) => {
                    runtime.spawn(Supervisor::new(Arc::clone(&self.connections)));
                    if self.connections.end_starting(runtime) {
                        return;
                    }
                }
            }
        }
    }

    fn overloaded(&self, Full { capacity, waiting }: Full, may_wait: bool) -> Box<Failure> {
        let queue_capacity = may_wait.then_some(self.connections.queue_capacity);
        let slots = Slots::OfSockets;
        let cause = Cause::Overloaded { places: capacity, waiting, queue_capacity, slots };
        Box::new(Failure { cause, sent: Sent::No })
    }

    /// A reply of this origin was what had been asked for.
    pub(crate) fn confirm(&self, origin: Origin) {
        self.connections.slots[origin.slot].confirm(origin.socket);
    }

    /// A reply of this origin was not what had been asked for: its socket is closed.
    pub(crate) fn suspect(&self, origin: Origin, suspicion: Suspicion) {
        self.connections.slots[origin.slot].suspect(origin.socket, suspicion);
    }

    /// From now on the plugin's task asks the server about the plugin, whenever it may be
    /// another one, and until it has answered. `heard`: how the caller's own question went, and
    /// where its answer came from.
    pub(crate) fn listen(&self, listener: Arc<dyn Listener>, heard: Heard, origin: Option<Origin>) {
        let socket = origin.map_or(u64::MAX, |origin| origin.socket);
        self.connections.listening.begin(listener, heard, socket);
        self.connections.supervisor.wake();
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.connections.state()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.connections.watch_state()
    }

    /// True if it takes no more calls.
    pub(crate) fn is_stopped(&self) -> bool {
        self.connections.stop_at().is_some()
    }

    /// Asks the tasks to end at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.connections.stop(deadline);
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }
}

/// The last handle is gone: nobody can wait any more.
impl Drop for UnixPlugin {
    fn drop(&mut self) {
        self.connections.release();
    }
}

/// Notes a caller that leaves while its request waits.
struct Leaving<'a> {
    connections: &'a Connections,
    answered: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.connections.note_left();
        }
    }
}
