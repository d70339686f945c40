//! A plugin's connections as its callers, its supervisor and its sockets' tasks share
//! them.
//!
//! All that they have to agree on is in one value, the [`Dispatch`], behind one lock. It
//! is held for a few moves at a time and never while anything is awaited.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::closed::Closed;
use super::connect::Connect;
use super::dispatch::{Bounds, Dispatch, Pushed};
use super::in_flight::Entry;
use super::listening::Listening;
use super::message::{Method, Origin, Reply, Request, Responder};
use super::place::Lookout;
use super::reconnect::ConnectionState;
use super::slot::Slot;
use crate::breaker::Gate;
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::error::{Cause, Sent};
use crate::identity::Identity;

pub(crate) struct Connections {
    pub(crate) identity: Arc<Identity>,
    pub(crate) config: UnixSocketConfig,
    /// The time of a call that does not choose its own.
    pub(crate) timeout: Duration,
    pub(crate) queue_capacity: usize,
    pub(crate) gate: Arc<Gate>,
    pub(crate) connector: Arc<dyn Connect>,
    /// One for each connection that there may be.
    pub(crate) slots: Box<[Slot]>,
    /// Sockets opened so far: their numbers.
    sockets: AtomicU64,
    pub(super) lookout: Lookout,
    shared: Mutex<Shared>,
    /// Who hears what the server tells of the plugin.
    pub(super) listening: Listening,
    /// Wakes the supervisor.
    pub(crate) supervisor: AtomicWaker,
    /// Callers that left before they were answered, since the queue was last swept.
    left: AtomicUsize,
    state: watch::Sender<ConnectionState>,
    /// When to stop, in milliseconds after `started`; `u64::MAX` is never.
    stop_at: AtomicU64,
    started: Instant,
    /// The last handle is gone, and with it everybody who could wait.
    released: AtomicBool,
}

/// What is behind the lock.
pub(crate) struct Shared {
    pub(crate) dispatch: Dispatch<Request, mpsc::Sender<Request>>,
    /// Sockets that ended, for the supervisor to look at.
    pub(crate) ended: Vec<Ended>,
    supervision: Supervision,
    /// Where the supervisor runs: where it was told to, or where the handle was made, or
    /// else where a call came from. Forgotten when that ends.
    runtime: Option<Handle>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Supervision {
    None,
    /// One is being spawned: whoever does it sees whether it was dropped at once.
    Starting,
    Running,
}

/// Where a supervisor is to be spawned.
pub(super) enum Start {
    On(Handle),
    /// Another caller was quicker.
    IsThere,
    /// There is no runtime.
    Nowhere,
}

/// How a socket ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) slot: usize,
    pub(crate) socket: u64,
    pub(crate) why: Closed,
    /// It had brought a good reply.
    pub(crate) proven: bool,
    /// A server that works in order has begun no request but the oldest.
    pub(crate) ordered: bool,
    /// The requests without a reply, oldest first.
    pub(crate) owed: Vec<Entry<Responder, Instant>>,
}

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) capacity: usize,
    pub(crate) waiting: usize,
}

impl Connections {
    pub(crate) fn new(
        identity: Arc<Identity>,
        config: &UnixSocketConfig,
        policy: &CallPolicy,
        gate: Arc<Gate>,
        connector: Arc<dyn Connect>,
        runtime: Option<Handle>,
    ) -> Self {
        let bounds = Bounds {
            max_connections: config.max_connections(),
            max_in_flight: config.max_in_flight(),
            queue_capacity: policy.queue_capacity(),
        };
        let shared = Shared {
            dispatch: Dispatch::new(bounds),
            ended: Vec::new(),
            supervision: Supervision::None,
            runtime: runtime.or_else(|| Handle::try_current().ok()),
        };
        Self {
            identity,
            config: config.clone(),
            timeout: policy.timeout(),
            queue_capacity: bounds.queue_capacity,
            gate,
            connector,
            slots: (0..bounds.max_connections).map(|_| Slot::default()).collect(),
            sockets: AtomicU64::new(0),
            lookout: Lookout::new(Instant::now()),
            shared: Mutex::new(shared),
            listening: Listening::default(),
            supervisor: AtomicWaker::new(),
            left: AtomicUsize::new(0),
            state: watch::Sender::new(ConnectionState::Idle),
            stop_at: AtomicU64::new(u64::MAX),
            started: Instant::now(),
            released: AtomicBool::new(false),
        }
    }

    /// Nothing that panics runs while it is held, and what is behind it is whole at all
    /// times.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a request to a socket, or lets it wait for one: whether it needs a supervisor
    /// to be started. It is answered in any case, but for one that could not be taken in.
    ///
    /// # Errors
    /// The queue is full, or there is no room and it `may_wait` for none.
    pub(super) fn push(&self, request: Request, may_wait: bool) -> Result<bool, Full> {
        let mut shared = self.lock();
        // Under the lock: what is taken in before a stop is finished, or answered by it.
        if self.stop_at().is_some() {
            drop(shared);
            request.responder.fail(Cause::Shutdown, Sent::No);
            return Ok(false);
        }
        let mut pushed = shared.dispatch.push(request, may_wait);
        if let Pushed::Full(request, _) = pushed {
            // Those who have left need no room.
            self.sweep(&mut shared);
            self.hand_out(&mut shared);
            pushed = shared.dispatch.push(request, may_wait);
        }
        match pushed {
            Pushed::Bound(slot, request) => {
                self.bind(&mut shared, slot, request);
                Ok(false)
            }
            Pushed::Waits { wake } => {
                self.hand_out(&mut shared);
                let unsupervised = shared.supervision == Supervision::None;
                drop(shared);
                if wake && !unsupervised {
                    self.supervisor.wake();
                }
                Ok(unsupervised)
            }
            Pushed::Full(request, waiting) => {
                let capacity = shared.dispatch.capacity();
                drop(shared);
                // Answered by the error: nobody listens to this one.
                drop(request);
                Err(Full { capacity, waiting })
            }
        }
    }

    /// Binds waiting requests to sockets, for as long as there is one that should take
    /// the next. To be called after every change of the dispatcher.
    pub(crate) fn hand_out(&self, shared: &mut Shared) {
        while let Some((slot, request)) = shared.dispatch.next() {
            self.bind(shared, slot, request);
        }
    }

    /// Puts a request into the channel of its socket's task. It has room for as many as
    /// can be bound, and is open for as long as the dispatcher knows the socket.
    pub(crate) fn bind(&self, shared: &mut Shared, slot: usize, request: Request) {
        if request.method == Method::Connect {
            shared.dispatch.release(slot, 1);
            let origin = Origin { slot, socket: 0 };
            let arrived = Instant::now();
            request.responder.reply(Reply { message: Bytes::new(), origin, arrived });
        } else if let Some(sink) = shared.dispatch.sink(slot)
            && let Err(error) = sink.try_send(request)
        {
            debug_assert!(false, "a request found no room: {error}");
            shared.dispatch.release(slot, 1);
        }
    }

    /// A caller left before it was answered.
    pub(crate) fn note_left(&self) {
        self.left.fetch_add(1, Relaxed);
    }

    /// Forgets waiting requests whose callers have left, if any may have.
    pub(crate) fn sweep(&self, shared: &mut Shared) {
        if self.left.swap(0, Relaxed) > 0 {
            let swept = shared.dispatch.sweep();
            self.slots[0].traffic.abandoned.fetch_add(swept as u64, Relaxed);
        }
    }

    /// Makes way for a supervisor that is to be spawned on the runtime of the last one, or
    /// else `here`.
    pub(super) fn begin_supervision(&self, here: &mut Option<Handle>) -> Start {
        let mut shared = self.lock();
        if shared.supervision != Supervision::None {
            return Start::IsThere;
        }
        let Some(runtime) = shared.runtime.clone().or_else(|| here.take()) else {
            return Start::Nowhere;
        };
        shared.supervision = Supervision::Starting;
        drop(shared);
        self.slots.iter().for_each(|slot| slot.set_state(ConnectionState::Idle));
        Start::On(runtime)
    }

    /// Whether the supervisor that was spawned on `runtime` is still there. A runtime that
    /// has ended drops it at once.
    pub(super) fn end_starting(&self, runtime: Handle) -> bool {
        let mut shared = self.lock();
        let is_there = shared.supervision != Supervision::None;
        if is_there {
            shared.supervision = Supervision::Running;
        }
        shared.runtime = is_there.then_some(runtime);
        is_there
    }

    /// The supervisor is gone, and not because it was told to stop.
    pub(crate) fn unsupervised(&self) {
        let mut shared = self.lock();
        let starting = shared.supervision == Supervision::Starting;
        shared.supervision = Supervision::None;
        if !starting {
            shared.runtime = None;
            drop(shared);
            self.task_gone();
        }
    }

    /// The supervisor did what it was there for.
    pub(crate) fn supervised_to_the_end(&self) {
        self.lock().supervision = Supervision::None;
        self.publish(ConnectionState::Shutdown);
    }

    /// Answers all that waits for tasks that are gone. The next call starts them anew.
    pub(super) fn task_gone(&self) {
        self.answer_all(&Cause::TaskGone);
        self.gate.reset();
        self.publish(ConnectionState::Shutdown);
    }

    /// Answers all that waits, unsent, and those who lost a call with a socket that nobody
    /// has looked after.
    pub(crate) fn answer_all(&self, cause: &Cause) {
        let mut shared = self.lock();
        let (ended, waiting) = (std::mem::take(&mut shared.ended), shared.dispatch.drain());
        drop(shared);
        ended.into_iter().for_each(Ended::answer);
        for request in waiting {
            request.responder.fail(cause.clone(), Sent::No);
        }
    }

    /// True if a supervisor runs who looks after what waits.
    pub(crate) fn is_supervised(shared: &Shared) -> bool {
        shared.supervision != Supervision::None
    }

    pub(crate) fn state(&self) -> ConnectionState {
        *self.state.borrow()
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    /// The state before, if it is another one.
    pub(crate) fn publish(&self, state: ConnectionState) -> Option<ConnectionState> {
        if state == ConnectionState::Shutdown {
            self.slots.iter().for_each(|slot| slot.set_state(state));
        }
        let mut before = None;
        self.state.send_if_modified(|published| {
            before = Some(std::mem::replace(published, state)).filter(|before| *before != state);
            before.is_some()
        });
        before
    }

    /// Asks the tasks to stop: at `deadline`, or earlier if nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        let after = deadline.saturating_duration_since(self.started).as_millis();
        let shared = self.lock();
        self.stop_at.fetch_min(u64::try_from(after).unwrap_or(u64::MAX - 1), SeqCst);
        self.wake_all(shared);
    }

    /// The last handle is gone.
    pub(crate) fn release(&self) {
        let shared = self.lock();
        self.released.store(true, SeqCst);
        self.wake_all(shared);
    }

    fn wake_all(&self, shared: MutexGuard<'_, Shared>) {
        let supervised = Self::is_supervised(&shared);
        drop(shared);
        if supervised {
            self.slots.iter().for_each(Slot::wake);
            self.supervisor.wake();
        } else {
            // What was never started has nothing to stop.
            self.publish(ConnectionState::Shutdown);
        }
    }

    /// When to stop, if somebody asked for it.
    pub(crate) fn stop_at(&self) -> Option<Instant> {
        match self.stop_at.load(Relaxed) {
            u64::MAX => None,
            after => Some(self.started + Duration::from_millis(after)),
        }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Relaxed)
    }

    /// The number of a socket that was opened just now; never given twice.
    pub(crate) fn next_socket(&self) -> u64 {
        self.sockets.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn last_socket(&self) -> u64 {
        self.sockets.load(Relaxed)
    }

    /// The last socket of which a reply was found good.
    pub(crate) fn last_confirmed(&self) -> u64 {
        self.slots.iter().map(Slot::confirmed).max().unwrap_or(0)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("identity", &self.identity)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
