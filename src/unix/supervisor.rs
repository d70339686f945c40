//! The plugin's own task: whether there are sockets, and what becomes of requests while
//! there are none.
//!
//! It opens sockets as they are wanted, hears how they ended, waits between attempts,
//! answers requests whose time is over in the queue, tells the breaker whether the
//! plugin can be reached, and ends after all the others. It moves no bytes: each
//! socket has a task of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::asking::Asking;
use super::connect::{Connecting, Transport, is_busy};
use super::connections::{Connections, Ended};
use super::dispatch::Made;
use super::in_flight::Kind;
use super::place::Place;
use super::reconnect::{ConnectionState, Reconnect};
use super::socket_task::SocketTask;
use super::{NEVER, closed::Closed};
use crate::backoff::Backoff;
use crate::breaker::Signal;
use crate::error::{Cause, Sent, Stage};

/// An attempt to open a socket.
struct Attempt {
    slot: usize,
    /// Where the path led just before.
    place: Option<Place>,
    connecting: Connecting,
    until: Instant,
}

pub(crate) struct Supervisor {
    pub(super) connections: Arc<Connections>,
    pub(super) reconnect: Reconnect,
    asking: Asking,
    attempts: Vec<Attempt>,
    /// When the wait between two attempts is over.
    retry_at: Option<Instant>,
    /// Why no socket is open: the error of the last attempt, or the end of the last
    /// socket. `None` while one is.
    pub(super) last_error: Option<Arc<io::Error>>,
    /// Calls were lost with the last socket: the plugin is in use, and a new socket is
    /// opened before the next call. Whoever waits for `Ready` may not make one.
    wanted_back: bool,
    /// The failure was logged at info, the recovery was not yet.
    pub(super) told_failure: bool,
    /// Made where it is polled: only there is the runtime's clock certain to be at hand.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Supervisor {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        let config = &connections.config;
        let backoff = Backoff::new(config.reconnect_delay(), config.max_backoff());
        Self {
            reconnect: Reconnect::new(backoff, config.reconnect_attempts()),
            asking: Asking::new(&connections),
            attempts: Vec::new(),
            retry_at: None,
            last_error: None,
            wanted_back: false,
            told_failure: false,
            timer: None,
            ended: false,
            connections,
        }
    }

    /// Looks at the sockets that ended since the last turn; true if any did.
    fn poll_ended(&mut self) -> bool {
        let ended = std::mem::take(&mut self.connections.lock().ended);
        let any = !ended.is_empty();
        ended.into_iter().for_each(|ended| self.lost(ended));
        any
    }

    /// Works out what the end of a socket means, and then answers those who lost a call
    /// with it: when they call again, everybody knows.
    fn lost(&mut self, ended: Ended) {
        let Ended { slot, socket, proven, .. } = ended;
        self.connections.identity.log(|identity| {
            let (plugin, path) = (&identity.plugin, &identity.endpoint);
            let (why, in_flight) = (&ended.why, ended.owed.len());
            tracing::debug!(%plugin, socket = %path, connection = slot, in_flight, ?why, "connection lost");
        });
        if proven {
            self.reconnect.proven(socket);
        }
        if ended.why.by_server() {
            self.asking.lost(&self.connections);
            if !self.connections.gate.is_closed() {
                self.connections.gate.signal(Signal::HungUp);
            }
        }
        let open = self.connections.lock().dispatch.is_open();
        if !open {
            self.last_error = Some(ended.why.error());
            let in_use = |kind| matches!(kind, Kind::Hook | Kind::Question);
            self.wanted_back |= ended.owed.iter().any(|entry| in_use(entry.kind));
        }
        self.connections.slots[slot].set_state(ConnectionState::Idle);
        match ended.why {
            Closed::Idle | Closed::Retired | Closed::Shutdown | Closed::TaskGone => {}
            _ if proven && !open => self.reconnect.lost_all(),
            _ if proven => {}
            _ => self.failed(slot, true, true),
        }
        ended.answer();
    }

    /// An attempt failed, or its socket did before it brought a good reply (`broken`).
    fn failed(&mut self, slot: usize, counts: bool, broken: bool) {
        let connections = &self.connections;
        // What waited for this socket may have waited for long.
        connections.look_if_due(Instant::now());
        self.reconnect.proven(connections.last_confirmed());
        let wait = self.reconnect.failed(connections.last_socket(), counts, fastrand::f64());
        self.retry_at = Some(Instant::now() + wait.delay);
        connections.slots[slot].set_state(ConnectionState::TransientFailure);
        let mut shared = connections.lock();
        shared.dispatch.hold(true);
        // What waited for this socket is pipelined on others, if there are any.
        connections.hand_out(&mut shared);
        let works = shared.dispatch.works();
        drop(shared);
        if wait.give_up && !works {
            let attempts = self.reconnect.failures();
            connections.gate.unreachable(attempts, &self.why_down(), wait.delay, broken);
        }
    }

    fn why_down(&self) -> Arc<io::Error> {
        let unknown = || Arc::new(io::ErrorKind::NotConnected.into());
        self.last_error.clone().unwrap_or_else(unknown)
    }

    /// Looks at the attempts under way; true if any came to an end.
    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(attempt) = self.attempts.get_mut(index) {
            match attempt.connecting.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(outcome) => {
                    any = true;
                    let Attempt { slot, place, .. } = self.attempts.remove(index);
                    match outcome {
                        Ok(transport) => self.opened(slot, place, transport),
                        Err(error) => self.connect_failed(slot, error),
                    }
                }
            }
        }
        any
    }

    fn opened(&mut self, slot: usize, place: Option<Place>, transport: Box<dyn Transport>) {
        let connections = &self.connections;
        let socket = connections.next_socket();
        self.last_error = None;
        self.wanted_back = false;
        self.reconnect.opened();
        // Before anybody sees that it is ready: whoever does may call.
        connections.gate.signal(Signal::Connected);
        connections.slots[slot].traffic.connects.fetch_add(1, Relaxed);
        connections.slots[slot].set_state(ConnectionState::Ready);
        let (sink, requests) = mpsc::channel(connections.config.max_in_flight());
        let task = SocketTask::new(Arc::clone(connections), slot, socket, transport, requests);
        let mut shared = connections.lock();
        let first = !shared.dispatch.is_open();
        shared.dispatch.opened(slot, sink, Made { number: socket, place });
        self.asking.opened(connections, &mut shared, slot, first.then_some(socket));
        connections.hand_out(&mut shared);
        drop(shared);
        tokio::spawn(task);
    }

    fn connect_failed(&mut self, slot: usize, error: io::Error) {
        let busy = is_busy(&error);
        let error = Arc::new(error);
        let mut shared = self.connections.lock();
        shared.dispatch.opening_failed(slot);
        self.connections.sweep(&mut shared);
        if !shared.dispatch.is_open() {
            self.last_error = Some(error);
        }
        drop(shared);
        self.failed(slot, !busy, false);
    }

    /// Starts the attempts that are wanted now; true if there are any.
    fn open_wanted(&mut self) -> bool {
        if self.retry_at.is_some() {
            return false;
        }
        let connections = &self.connections;
        let mut shared = connections.lock();
        connections.sweep(&mut shared);
        let (open, opening) = (shared.dispatch.is_open(), shared.dispatch.is_opening());
        let mut wanted = shared.dispatch.wanted();
        let down = self.reconnect.is_failing_fast() || !connections.gate.is_closed();
        // While the plugin is down a socket is kept without calls too: that it ends, or comes
        // about, tells of a restart. Where calls are refused until then, it must be a new one.
        let unreached = connections.gate.is_reconnecting();
        if !opening && (unreached || !open && (down || self.wanted_back)) {
            wanted = wanted.max(1);
        }
        let slots: Vec<_> = (0..wanted).map_while(|_| shared.dispatch.begin_opening()).collect();
        drop(shared);
        if slots.is_empty() {
            return false;
        }
        // Before connecting: where the two differ it is the older one that is noted, and what
        // was made to the newer is replaced for nothing, not kept by mistake.
        let place = connections.look();
        let until = Instant::now() + connections.config.connect_timeout();
        for &slot in &slots {
            connections.slots[slot].set_state(ConnectionState::Connecting);
            let connecting = connections.connector.connect();
            self.attempts.push(Attempt { slot, place, connecting, until });
        }
        true
    }

    /// While the plugin is down nobody waits for it.
    fn fail_fast(&mut self) {
        if !self.reconnect.is_failing_fast() {
            return;
        }
        let mut shared = self.connections.lock();
        if shared.dispatch.works() || shared.dispatch.queued() == 0 {
            return;
        }
        let waiting = shared.dispatch.drain();
        drop(shared);
        let retry_after = self.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        let cause = Cause::unreachable(self.reconnect.failures(), self.why_down(), retry_after);
        for request in waiting {
            request.responder.fail(cause.clone(), Sent::No);
        }
    }

    /// Does what is due; true if anything was.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.next_due();
        let timer = self.timer.get_or_insert_with(|| {
            Box::pin(sleep_until(due.unwrap_or_else(|| Instant::now() + NEVER)))
        });
        // A timer that fires too early is harmless and cheaper than moving it for every
        // request; one that fires too late is not.
        if let Some(due) = due
            && due < timer.deadline()
        {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = Instant::now();
        self.expire(now);
        // An attempt that has succeeded by now is in time.
        self.poll_attempts(cx);
        while let Some(index) = self.attempts.iter().position(|attempt| attempt.until <= now) {
            let slot = self.attempts.remove(index).slot;
            let reason = "no connection within `connect_timeout`";
            self.connect_failed(slot, io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.reconnect.elapsed();
            for slot in &self.connections.slots {
                if slot.state() == ConnectionState::TransientFailure {
                    slot.set_state(ConnectionState::Idle);
                }
            }
            self.connections.lock().dispatch.hold(false);
        }
        let due = self.next_due().map_or(now + NEVER, |due| due.min(now + NEVER));
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(due);
        }
        true
    }

    fn next_due(&self) -> Option<Instant> {
        let queued = self.connections.lock().dispatch.earliest();
        let attempts = self.attempts.iter().map(|attempt| attempt.until).min();
        // Once it has come, it is looked at in every turn.
        let stop_at = self.connections.stop_at().filter(|at| *at > Instant::now());
        [queued, attempts, self.retry_at, self.asking.due(), stop_at].into_iter().flatten().min()
    }

    /// Answers the requests in the queue whose time is over.
    fn expire(&self, now: Instant) {
        let mut shared = self.connections.lock();
        if shared.dispatch.earliest().is_none_or(|earliest| earliest > now) {
            return;
        }
        let over = shared.dispatch.expire(now);
        drop(shared);
        for (request, no_room) in over {
            let stage = if no_room { Stage::Admission } else { Stage::Queued };
            let last_error = self.last_error.as_ref().filter(|_| !no_room);
            request.responder.expire(stage, last_error.cloned());
        }
    }

    /// True once there is nothing left to do, ever.
    fn is_over(&mut self) -> bool {
        let shared = self.connections.lock();
        let (waiting, open) = (shared.dispatch.queued() > 0, shared.dispatch.any_socket());
        drop(shared);
        if self.connections.is_released() {
            return !open;
        }
        let Some(stop_at) = self.connections.stop_at() else { return false };
        if waiting && stop_at <= Instant::now() {
            self.connections.answer_all(&Cause::Shutdown);
            return !open;
        }
        !waiting && !open
    }
}

impl Future for Supervisor {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.connections.supervisor.register(cx.waker());
        loop {
            let mut progress = this.poll_ended();
            progress |= this.poll_attempts(cx);
            progress |= this.poll_timer(cx);
            progress |= this.asking.poll(&this.connections, cx);
            this.fail_fast();
            if this.is_over() {
                this.ended = true;
                this.attempts.clear();
                this.tell_end();
                return Poll::Ready(());
            }
            progress |= this.open_wanted();
            this.tell_state();
            if !progress {
                return Poll::Pending;
            }
        }
    }
}

/// A supervisor whose runtime ends, or that panics, has no last turn.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.connections.identity.count_panic();
        }
        let mut shared = self.connections.lock();
        for attempt in &self.attempts {
            shared.dispatch.opening_failed(attempt.slot);
        }
        shared.dispatch.hold(false);
        drop(shared);
        self.connections.unsupervised();
    }
}
