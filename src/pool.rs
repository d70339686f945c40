//! The connections of one plugin, and which of them takes a call.
//!
//! A plugin server works on one request of a connection at a time, so the number
//! of connections is the number of hooks that run side by side. The pool opens
//! them as calls need them; each closes itself when idle. Choosing reads a few
//! atomics and takes no lock.
//!
//! 1. A ready connection that nobody uses.
//! 2. If all ready ones are in use: one that is not open yet.
//! 3. If all are open: the one with the least to do; the call is written ahead.
//! 4. If none is ready: the first. The plugin is down or was never called, and
//!    one series of attempts to reach it is enough for all.
//!
//! At most `max_connections * max_in_flight` calls are handed over at any time;
//! up to `queue_capacity` more wait for a place. No order is promised between
//! calls, not even between those of one caller.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{TryAcquireError, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::connection::gauge::Gauge;
use crate::connection::message::{Freedom, Loss, Request};
use crate::connection::shared::Shared;
use crate::connection::state::ConnectionState;
use crate::connection::task::Task;
use crate::connection::transport::Connector;
use crate::error::Stage;

/// Starts the task of connection `index`: generic over the transport once, here.
type Spawn = Box<dyn Fn(&Handle, Arc<Shared>, usize, mpsc::Receiver<Request>) + Send + Sync>;

/// Hands calls to connections. Dropping it ends their tasks.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    queue_capacity: usize,
    /// Where the tasks run: where the pool was made, or else where the first call came
    /// from.
    runtime: OnceLock<Handle>,
    /// The queue of each connection whose task was started.
    queues: Box<[OnceLock<mpsc::Sender<Request>>]>,
    spawn: Spawn,
}

/// Why a call got no place.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// `queue_capacity` is `None` if the call chose not to wait.
    Overloaded {
        waiting: usize,
        queue_capacity: Option<usize>,
    },
    Lost(Loss),
}

impl Pool {
    /// A pool whose tasks run on `runtime`, or on that of the first call. Nothing
    /// is opened yet.
    pub(crate) fn new<C>(
        shared: Arc<Shared>,
        queue_capacity: usize,
        runtime: Option<Handle>,
        connector: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self
    where
        C: Connector + Unpin,
    {
        let queues = shared.gauges.iter().map(|_| OnceLock::new()).collect();
        let spawn: Spawn = Box::new(move |runtime, shared, index, requests| {
            runtime.spawn(Task::new(shared, index, connector(), requests));
        });
        let runtime = runtime.map_or_else(OnceLock::new, OnceLock::from);
        Self { shared, queue_capacity, runtime, queues, spawn }
    }

    /// Gets a place for one call; every place is given back by the connection
    /// that the call is handed to.
    ///
    /// # Cancel safety
    /// A caller that leaves while it waits loses its place in the line, no more.
    pub(crate) async fn enter(&self, deadline: Instant, may_wait: bool) -> Result<(), Refusal> {
        match self.shared.places.try_acquire() {
            Ok(place) => {
                place.forget();
                return Ok(());
            }
            Err(TryAcquireError::Closed) => return Err(Refusal::Lost(self.ended())),
            Err(TryAcquireError::NoPermits) => {}
        }
        if !may_wait {
            // It is never counted: it takes nobody's room in the line.
            let waiting = self.shared.waiting.load(Relaxed);
            return Err(Refusal::Overloaded { waiting, queue_capacity: None });
        }
        let waiting = self.shared.waiting.fetch_add(1, Relaxed);
        let _left = Leave(&self.shared);
        if waiting >= self.queue_capacity {
            // Others that are being refused are counted for a moment too.
            let (waiting, queue_capacity) = (self.queue_capacity, Some(self.queue_capacity));
            return Err(Refusal::Overloaded { waiting, queue_capacity });
        }
        let wait = {
            // The caller may be on no runtime, or on one without a timer.
            let runtime = self.runtime().ok_or(Refusal::Lost(Loss::TaskGone))?;
            let _entered = runtime.enter();
            timeout_at(deadline, self.shared.places.acquire())
        };
        match wait.await {
            Ok(Ok(place)) => {
                place.forget();
                Ok(())
            }
            Ok(Err(_)) => Err(Refusal::Lost(self.ended())),
            Err(_) => Err(Refusal::Lost(Loss::Expired(Stage::Admission, None))),
        }
    }

    /// Hands over a request that has a place: to which connection.
    pub(crate) fn hand_over(&self, request: Request) -> Result<usize, Loss> {
        let index = self.choose(request.freedom > Freedom::Stay);
        // Never full: it has room for as many requests as there are places.
        if self.queue(index).is_some_and(|queue| queue.try_send(request).is_ok()) {
            return Ok(index);
        }
        self.shared.release(index, 1);
        Err(self.ended())
    }

    /// Why nothing is taken any more.
    fn ended(&self) -> Loss {
        if self.shared.stop_at().is_some() { Loss::Shutdown } else { Loss::TaskGone }
    }

    /// Picks a connection and counts the call to its load. A call that was handed
    /// back by a connection that could not be opened goes where one is open.
    fn choose(&self, may_open: bool) -> usize {
        let gauges = &*self.shared.gauges;
        let [only] = gauges else { return Self::choose_among(gauges, may_open) };
        only.add_load();
        0
    }

    pub(crate) fn choose_among(gauges: &[Gauge], may_open: bool) -> usize {
        // Some connection is open, so the server is there.
        let mut open = false;
        let mut closed = None;
        let mut least: Option<(usize, usize)> = None;
        let mut least_stalled: Option<(usize, usize)> = None;
        let less = |index, gauge: &Gauge, least: &mut Option<(usize, usize)>| {
            let load = gauge.load();
            if least.is_none_or(|(_, other)| load < other) {
                *least = Some((index, load));
            }
        };
        for (index, gauge) in gauges.iter().enumerate() {
            match gauge.state() {
                ConnectionState::Ready => {
                    open = true;
                    if gauge.is_stalled() {
                        less(index, gauge, &mut least_stalled);
                        continue;
                    }
                    if gauge.claim_unused() {
                        return index;
                    }
                }
                ConnectionState::Idle if gauge.load() == 0 => {
                    closed = closed.or(Some(index));
                    continue;
                }
                // With a load, an idle one is about to connect.
                ConnectionState::Idle | ConnectionState::Connecting
                    if may_open && !gauge.is_failing() => {}
                _ => continue,
            }
            less(index, gauge, &mut least);
        }
        if open
            && may_open
            && let Some(index) = closed
            && gauges[index].claim_unused()
        {
            return index;
        }
        let index = match least.or(least_stalled) {
            Some((index, _)) if open => index,
            _ => 0,
        };
        gauges[index].add_load();
        index
    }

    fn runtime(&self) -> Option<&Handle> {
        let current = || Handle::try_current().ok();
        let here = || current().map(|current| self.runtime.get_or_init(|| current));
        self.runtime.get().or_else(here)
    }

    /// The queue of connection `index`; `None` if there is no runtime to start it on.
    fn queue(&self, index: usize) -> Option<&mpsc::Sender<Request>> {
        let queue = &self.queues[index];
        if let Some(queue) = queue.get() {
            return Some(queue);
        }
        let runtime = self.runtime()?;
        Some(queue.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(self.shared.capacity());
            // The task's timer belongs to the runtime that the task runs on, not
            // to that of the caller who happens to come first.
            let _entered = runtime.enter();
            (self.spawn)(runtime, Arc::clone(&self.shared), index, receiver);
            sender
        }))
    }

    /// Stops all connections at `deadline`, or earlier if nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.shared.stop(deadline);
        for (queue, gauge) in self.queues.iter().zip(&self.shared.gauges) {
            // A task that was never started has nothing to stop.
            if queue.get().is_none_or(mpsc::Sender::is_closed) {
                gauge.set_state(ConnectionState::Shutdown);
            }
        }
        self.shared.publish_state();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// Counts a waiting call out, however it ends.
struct Leave<'a>(&'a Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
