//! A plugin's servers as its callers and its tasks share them.
//!
//! All that they have to agree on is behind one lock, held for a few moves at a time and
//! never while anything is awaited.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::admission::{Admission, Bounds};
use super::link::Cut;
use super::listening::Listening;
use super::members::Members;
use super::pool::Pool;
use super::seat::Ticket;
use super::server::{Connection, Server, Trouble};
use super::session::Session;
use super::settings::{Names, Servers, Settings};
use crate::breaker::{Gate, Signal};
use crate::config::CallPolicy;
use crate::error::{Cause, Sent};
use crate::identity::Identity;
use crate::unix::message::Failure;
use crate::unix::reconnect::ConnectionState;

pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) settings: Settings,
    /// The time of a call that does not choose its own.
    pub(crate) timeout: Duration,
    pub(crate) queue_capacity: usize,
    pub(crate) gate: Arc<Gate>,
    /// Finds the servers, where they are not known for good.
    pub(crate) names: Option<Arc<dyn Names>>,
    /// Wakes who looks after the servers: there are others.
    pub(crate) changed: Notify,
    /// Wakes who finds the servers: one of them cannot be reached.
    pub(crate) lost: Notify,
    locked: Mutex<Locked>,
    pub(super) state: watch::Sender<ConnectionState>,
    started: Instant,
    /// When to stop, in milliseconds after `started`; `u64::MAX` is never.
    stop_at: AtomicU64,
    /// Wakes the supervisor: to stop, or to look whether it can.
    pub(crate) ending: Notify,
    pub(super) connections: AtomicU64,
    /// Who hears what the servers tell of the plugin.
    pub(crate) listening: Listening,
}

/// What is behind the lock.
pub(crate) struct Locked {
    pub(crate) members: Members,
    pub(crate) admission: Admission<Ticket>,
    /// By server: the connection that takes calls.
    pub(crate) open: Vec<Option<Arc<Connection>>>,
    /// By server: why it is not connected, and whether it counts as down.
    pub(crate) troubles: Vec<Trouble>,
    /// Why no servers were found.
    pub(crate) not_found: Trouble,
    /// Every connection that has not ended, those that take no calls any more included.
    alive: Vec<Alive>,
    pub(crate) supervision: Supervision,
    pub(crate) runtime: Option<Handle>,
    /// The last handle is gone, and with it everybody who could wait.
    pub(crate) released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Supervision {
    None,
    /// One is being spawned: whoever does it sees whether it was dropped at once.
    Starting,
    Running,
}

/// A connection that was made and may not be gone.
#[derive(Debug, Clone)]
struct Alive {
    index: usize,
    number: u64,
    server: Weak<Server>,
    part: Weak<Connection>,
    cut: Arc<Cut>,
}

impl Alive {
    fn of(connection: &Arc<Connection>) -> Self {
        Self {
            index: connection.index,
            number: connection.number,
            server: Arc::downgrade(&connection.server),
            part: Arc::downgrade(connection),
            cut: Arc::clone(&connection.session.cut),
        }
    }
}

impl Shared {
    pub(crate) fn new(
        identity: Arc<Identity>,
        settings: Settings,
        policy: &CallPolicy,
        gate: Arc<Gate>,
        servers: Servers,
        runtime: Option<Handle>,
        pool: Option<Pool>,
    ) -> Self {
        let bounds = Bounds {
            max_in_flight: settings.max_in_flight,
            queue_capacity: policy.queue_capacity(),
            threshold: policy.breaker_threshold(),
            longest_rest: policy.breaker_max_open(),
            longest_trial: policy.timeout(),
        };
        let (known, names) = match servers {
            Servers::Known(servers) => (servers, None),
            Servers::Named(names) => (Vec::new(), Some(names)),
        };
        let members = Members::new(known, pool, settings.max_in_flight);
        let count = members.len();
        let locked = Locked {
            members,
            admission: Admission::new(count, bounds),
            open: vec![None; count],
            troubles: vec![Trouble::default(); count],
            not_found: Trouble::default(),
            alive: Vec::new(),
            supervision: Supervision::None,
            runtime: runtime.or_else(|| Handle::try_current().ok()),
            released: false,
        };
        Self {
            identity,
            settings,
            timeout: policy.timeout(),
            queue_capacity: bounds.queue_capacity,
            gate,
            names,
            changed: Notify::new(),
            lost: Notify::new(),
            locked: Mutex::new(locked),
            state: watch::Sender::new(ConnectionState::Idle),
            started: Instant::now(),
            stop_at: AtomicU64::new(u64::MAX),
            ending: Notify::new(),
            connections: AtomicU64::new(0),
            listening: Listening::default(),
        }
    }

    /// Nothing that panics runs while it is held, and what is behind it is whole at all
    /// times. No seat is dropped while it is held: that takes the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the plugin's handle was made, for what knows no clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn server(&self, index: usize) -> Arc<Server> {
        Arc::clone(self.lock().members.get(index))
    }

    /// This plugin's part in a connection to one of its servers, if that still takes calls.
    pub(crate) fn part(
        &self,
        server: &Arc<Server>,
        index: usize,
        session: Arc<Session>,
    ) -> Option<Arc<Connection>> {
        let number = self.connections.fetch_add(1, Relaxed) + 1;
        let patience = self.settings.connect_timeout;
        Connection::new(Arc::clone(server), index, number, session, patience).map(Arc::new)
    }

    /// Calls go to this connection from now on.
    pub(crate) fn opened(self: &Arc<Self>, connection: &Arc<Connection>, limit: usize) {
        let index = connection.index;
        self.listening.opened(index);
        let mut locked = self.lock();
        locked.troubles[index] = Trouble::default();
        locked.open[index] = Some(Arc::clone(connection));
        locked.alive.retain(|one| one.part.strong_count() > 0 || is_ending(&one.cut));
        locked.alive.push(Alive::of(connection));
        locked.admission.set_limit(index, limit, self.now());
        locked.admission.set_alive(index);
        drop(locked);
        // Before anybody sees that it is ready: whoever does may call.
        self.gate.signal(Signal::Connected);
        connection.server.slot.traffic.connects.fetch_add(1, Relaxed);
        self.set_state(index, ConnectionState::Ready);
        self.hand_out(&mut self.lock());
    }

    /// This connection takes no more calls. Those on it go on, if they can.
    pub(crate) fn close(&self, connection: &Connection) {
        let index = connection.index;
        let mut locked = self.lock();
        let is_open = |open: &Arc<Connection>| open.number == connection.number;
        if locked.open[index].as_ref().is_some_and(is_open) {
            locked.open[index] = None;
            locked.admission.set_limit(index, 0, self.now());
        }
        drop(locked);
        connection.closed.notify_one();
    }

    /// A connection may have this many calls under way from now on.
    pub(crate) fn limit(self: &Arc<Self>, server: usize, number: u64, limit: usize) {
        let mut locked = self.lock();
        if locked.open[server].as_ref().is_some_and(|open| open.number == number) {
            locked.admission.set_limit(server, limit, self.now());
            self.hand_out(&mut locked);
        }
    }

    /// The connection of this number, if it still takes calls.
    pub(crate) fn connection(&self, server: usize, number: u64) -> Option<Arc<Connection>> {
        let open = self.lock().open.get(server).cloned().flatten();
        open.filter(|open| open.number == number)
    }

    /// Ends the connection of this number for all who use it, also if it takes no more calls, and
    /// if this plugin has none on it any more: others may still be answered there.
    pub(crate) fn cut(&self, server: usize, number: u64, why: Cause) {
        let found = {
            let locked = self.lock();
            let is_it = |one: &&Alive| (one.index, one.number) == (server, number);
            locked.alive.iter().find(is_it).cloned()
        };
        let Some(one) = found else { return };
        // The next one is this plugin's alone: if it is itself at fault, that is no reason to end the
        // others' calls again.
        if let Some(server) = one.server.upgrade() {
            server.separate();
        }
        if let Some(connection) = one.part.upgrade() {
            self.close(&connection);
        }
        one.cut.cut(why);
    }

    /// Ends all that is under way, at once, and every connection that nobody else uses. Gives
    /// those.
    pub(crate) fn sever_all(&self, why: &Cause) -> Vec<Arc<Cut>> {
        let alive = std::mem::take(&mut self.lock().alive);
        for part in alive.iter().filter_map(|one| one.part.upgrade()) {
            part.sever(why.clone());
        }
        alive.into_iter().map(|one| one.cut).filter(|cut| is_ending(cut)).collect()
    }

    #[cfg(test)]
    pub(crate) fn cuts(&self) -> Vec<Arc<Cut>> {
        self.lock().alive.iter().map(|one| Arc::clone(&one.cut)).collect()
    }

    /// Answers all who wait, unsent.
    pub(crate) fn answer_waiting(&self, cause: &Cause) {
        let waiting = self.lock().admission.drain();
        for Ticket(waiter) in waiting {
            let failure = Failure { cause: cause.clone(), sent: Sent::No };
            // It may have left.
            let _ = waiter.send(Err(Box::new(failure)));
        }
    }

    /// When to stop, if somebody asked for it.
    pub(crate) fn stop_at(&self) -> Option<Instant> {
        match self.stop_at.load(Relaxed) {
            u64::MAX => None,
            after => Some(self.started + Duration::from_millis(after)),
        }
    }

    /// Asks the tasks to stop: at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        let after = deadline.saturating_duration_since(self.started).as_millis();
        let locked = self.lock();
        self.stop_at.fetch_min(u64::try_from(after).unwrap_or(u64::MAX - 1), SeqCst);
        self.end(locked);
    }

    /// The last handle is gone.
    pub(crate) fn release(&self) {
        let mut locked = self.lock();
        locked.released = true;
        self.end(locked);
    }

    fn end(&self, locked: MutexGuard<'_, Locked>) {
        let supervised = locked.supervision != Supervision::None;
        drop(locked);
        if supervised {
            self.ending.notify_one();
        } else {
            // What was never started has nothing to stop.
            self.publish(ConnectionState::Shutdown);
        }
    }
}

impl Locked {
    /// No server is connected to.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.open.len() {
            self.open[index] = None;
            self.admission.set_limit(index, 0, Duration::ZERO);
        }
    }

    /// Whether the runtime that is entered here is known to have timers: that of the plugin's
    /// tasks has.
    pub(crate) fn keeps_time(&self) -> bool {
        let is_own = |own: &Handle| Handle::try_current().is_ok_and(|here| own.id() == here.id());
        self.runtime.as_ref().is_some_and(is_own)
    }
}

/// It was cut, and is not closed yet.
fn is_ending(cut: &Cut) -> bool {
    cut.why().is_some() && !cut.is_gone()
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("identity", &self.identity)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
