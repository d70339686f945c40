//! The task that owns a connection: the thin part around the pure ones.
//!
//! It alone touches the socket. In every turn it reads first, takes what is
//! queued, writes a batch, and looks at its timer; then it sleeps until any of
//! them wakes it. It moves bytes and never looks into a message. All its state
//! is in the struct, so nothing is lost between two turns.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::backoff::Backoff;
use super::gauge::Gauge;
use super::message::{Loss, Reply, Request};
use super::shared::Shared;
use super::socket::{End, Socket};
use super::state::{Action, ConnectionState, Event, Machine};
use super::transport::{Connecting, Connector, is_busy};
use crate::error::Stage;

/// Requests taken from the queue at a time.
const TAKE: usize = 256;

/// How long a socket is quiet before its buffers are given back.
const QUIET: Duration = Duration::from_secs(1);

/// Far enough away to mean "no timer".
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What the connection has instead of, or as, a socket.
enum Link<C: Connector> {
    Down,
    Opening { attempt: Connecting<C::Transport>, until: Instant },
    Open(Socket<C::Transport>),
}

/// One connection of a plugin.
pub(crate) struct Task<C: Connector> {
    shared: Arc<Shared>,
    /// Which of the plugin's connections this is.
    index: usize,
    connector: C,
    requests: mpsc::Receiver<Request>,
    /// Empty between two turns; keeps its memory.
    taken: Vec<Request>,
    /// Taken from the queue, not yet in flight.
    pending: VecDeque<Request>,
    link: Link<C>,
    machine: Machine,
    last_error: Arc<io::Error>,
    sockets: u64,
    /// No deadline of a pending or written request is earlier.
    deadlines_from: Option<Instant>,
    /// When the wait of `TransientFailure` is over.
    retry_at: Option<Instant>,
    /// Since when nothing is pending or in flight.
    idle_since: Instant,
    shrunk: bool,
    /// The first request in flight is beyond its deadline.
    stalled: bool,
    /// Replies delivered in the last turn: their callers are likely to call again.
    delivered: usize,
    /// The last turn waited for company.
    waited: bool,
    /// Places to give back at the end of the turn.
    released: usize,
    timer: Pin<Box<Sleep>>,
}

impl<C: Connector> Task<C> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        connector: C,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let limits = &shared.limits;
        let backoff = Backoff::new(limits.reconnect_delay, limits.max_backoff);
        let machine = Machine::new(backoff, limits.reconnect_attempts);
        let now = Instant::now();
        Self {
            index,
            connector,
            requests,
            taken: Vec::new(),
            pending: VecDeque::new(),
            link: Link::Down,
            machine,
            last_error: Arc::new(io::ErrorKind::NotConnected.into()),
            sockets: 0,
            deadlines_from: None,
            retry_at: None,
            idle_since: now,
            shrunk: true,
            stalled: false,
            delivered: 0,
            waited: false,
            released: 0,
            timer: Box::pin(sleep_until(now + NEVER)),
            shared,
        }
    }

    fn gauge(&self) -> &Gauge {
        &self.shared.gauges[self.index]
    }

    fn in_flight(&self) -> usize {
        match &self.link {
            Link::Open(socket) => socket.in_flight.len(),
            _ => 0,
        }
    }

    // --- the state machine ---

    fn event(&mut self, event: Event) {
        let before = (self.machine.state(), self.machine.is_failing_fast());
        let action = self.machine.on(event, fastrand::f64());
        self.tell_state(before);
        match action {
            Action::Nothing => {}
            Action::Connect => {
                self.retry_at = None;
                let until = Instant::now() + self.shared.limits.connect_timeout;
                self.link = Link::Opening { attempt: self.connector.connect(), until };
            }
            Action::Wait { delay, give_up } => {
                self.retry_at = Some(Instant::now() + delay);
                if give_up {
                    self.fail_pending(&self.unavailable());
                } else {
                    self.hand_back(0);
                }
            }
            Action::Close => self.link = Link::Down,
        }
    }

    /// One line for each change that a person wants to know of; the to and fro
    /// of the retries in between is for debugging.
    fn tell_state(&self, (before, was_failing): (ConnectionState, bool)) {
        let (state, failing) = (self.machine.state(), self.machine.is_failing_fast());
        if (state, failing) == (before, was_failing) {
            return;
        }
        self.gauge().set_state(state);
        self.shared.publish_state();
        let Shared { plugin, socket, .. } = &*self.shared;
        let (socket, connection) = (socket.display(), self.index);
        let failures = self.machine.failures();
        if failing && !was_failing {
            let error = &self.last_error;
            tracing::info!(%plugin, %socket, connection, failures, %error, "plugin is down: calls fail at once until it is back");
        } else if state == ConnectionState::Connecting || (failing && was_failing) || failures > 1 {
            tracing::debug!(%plugin, %socket, connection, failures, from = before.as_str(), to = state.as_str(), "connection state");
        } else {
            tracing::info!(%plugin, %socket, connection, from = before.as_str(), to = state.as_str(), "connection state");
        }
    }

    fn unavailable(&self) -> Loss {
        Loss::Unavailable { attempts: self.machine.failures(), error: Arc::clone(&self.last_error) }
    }

    // --- the queue ---

    /// Takes what callers have queued; true if there was any.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(count) = self.requests.poll_recv_many(cx, &mut self.taken, TAKE) {
            if count == 0 {
                break;
            }
            any = true;
            for request in self.taken.drain(..) {
                if self.machine.is_failing_fast() {
                    let loss = Loss::Unavailable {
                        attempts: self.machine.failures(),
                        error: Arc::clone(&self.last_error),
                    };
                    request.responder.fail(loss, None);
                    self.released += 1;
                    continue;
                }
                if self.deadlines_from.is_none_or(|from| request.deadline < from) {
                    self.deadlines_from = Some(request.deadline);
                }
                self.pending.push_back(request);
            }
        }
        if any && self.stalled {
            self.hand_back(0);
        }
        if !self.pending.is_empty() && self.machine.state() == ConnectionState::Idle {
            self.event(Event::Wanted);
        }
        any
    }

    /// Moves pending requests to the socket, as many as may be in flight.
    fn send_pending(&mut self) {
        let Link::Open(socket) = &mut self.link else { return };
        while !self.stalled
            && socket.in_flight.len() < self.shared.limits.max_in_flight
            && !socket.outbox.is_full()
        {
            let Some(request) = self.pending.pop_front() else { break };
            if request.responder.is_abandoned() {
                self.released += 1;
                self.shared.gauges[self.index].traffic.abandoned.fetch_add(1, Relaxed);
            } else if request.frame.is_empty() {
                // It asked for the connection itself.
                let reply = Reply { message: bytes::Bytes::new(), socket: socket.number };
                request.responder.reply(reply);
                self.released += 1;
            } else {
                socket.send(request);
            }
        }
    }

    /// Gives pending requests back, all but the first `keep`, for another
    /// connection of the plugin to take.
    fn hand_back(&mut self, keep: usize) {
        let mut kept = VecDeque::new();
        for request in self.pending.drain(..) {
            if request.may_move && kept.len() >= keep {
                request.responder.fail(Loss::Moved, Some(request.frame));
                self.released += 1;
            } else {
                kept.push_back(request);
            }
        }
        self.pending = kept;
    }

    fn fail_pending(&mut self, loss: &Loss) {
        self.released += self.pending.len();
        for request in self.pending.drain(..) {
            request.responder.fail(loss.clone(), None);
        }
    }

    // --- the socket ---

    fn poll_connect(&mut self, cx: &mut Context<'_>) -> bool {
        let Link::Opening { attempt, .. } = &mut self.link else { return false };
        match attempt.as_mut().poll(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(transport)) => {
                self.sockets += 1;
                self.gauge().traffic.connects.fetch_add(1, Relaxed);
                let max_frame_len = self.shared.limits.max_frame_len;
                self.link = Link::Open(Socket::new(transport, self.sockets, max_frame_len));
                self.idle_since = Instant::now();
                self.shrunk = true;
                self.event(Event::Connected);
                // While this one was being opened the others could not be: now
                // what waits here may spread over them.
                self.hand_back(1);
            }
            Poll::Ready(Err(error)) => self.connect_failed(error),
        }
        true
    }

    fn connect_failed(&mut self, error: io::Error) {
        let busy = is_busy(&error);
        self.last_error = Arc::new(error);
        self.link = Link::Down;
        self.drop_abandoned();
        self.event(Event::ConnectFailed { busy });
    }

    /// Reads and delivers; true if anything came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Link::Open(socket) = &mut self.link else { return false };
        let gauge = &self.shared.gauges[self.index];
        let number = socket.number;
        let (mut delivered, mut abandoned) = (0, 0);
        let outcome = socket.poll_read(cx, |(responder, message)| {
            delivered += 1;
            let reply = Reply { message, socket: number };
            if !responder.is_some_and(|responder| responder.reply(reply)) {
                abandoned += 1;
            }
        });
        self.released += delivered;
        self.delivered += delivered;
        if abandoned > 0 {
            gauge.traffic.abandoned.fetch_add(abandoned, Relaxed);
        }
        match outcome {
            Poll::Pending => return false,
            Poll::Ready(Ok(count)) => {
                gauge.traffic.bytes_received.fetch_add(count as u64, Relaxed);
                if delivered > 0 && self.stalled {
                    self.look_at_head(Instant::now());
                }
                if delivered > 0 && self.pending.is_empty() && self.in_flight() == 0 {
                    self.idle_since = Instant::now();
                    self.shrunk = false;
                }
            }
            Poll::Ready(Err(End::Eof)) => {
                let reason = "the server closed the connection";
                self.lost(&disconnected(io::ErrorKind::UnexpectedEof, reason));
            }
            Poll::Ready(Err(End::Io(error))) => self.lost(&Loss::Disconnected(Arc::new(error))),
            Poll::Ready(Err(End::Framing(error))) => self.lost(&Loss::Framing(Arc::new(error))),
            Poll::Ready(Err(End::Unasked)) => {
                let reason = "the server sent a reply that nobody had asked for";
                self.lost(&Loss::Framing(Arc::new(io::Error::new(
                    io::ErrorKind::InvalidData,
                    reason,
                ))));
            }
        }
        true
    }

    /// Writes what is queued; true if the kernel took any.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let Link::Open(socket) = &mut self.link else { return false };
        match socket.poll_write(cx) {
            Poll::Ready(Ok(count)) => {
                if count > 0 {
                    self.gauge().traffic.bytes_sent.fetch_add(count as u64, Relaxed);
                }
                count > 0
            }
            Poll::Ready(Err(error)) => {
                self.lost(&Loss::Disconnected(Arc::new(error)));
                true
            }
            Poll::Pending => false,
        }
    }

    /// Ends the socket. What the kernel has seen nothing of goes back to the
    /// queue, the rest is answered; the socket itself is never used again.
    fn lost(&mut self, loss: &Loss) {
        let Link::Open(mut socket) = std::mem::replace(&mut self.link, Link::Down) else { return };
        while let Some(request) = socket.take_back() {
            match request {
                Some(request) => self.pending.push_front(request),
                None => self.released += 1,
            }
        }
        let in_flight = socket.in_flight.len();
        self.released += in_flight;
        socket.in_flight.drain().for_each(|responder| {
            responder.fail(loss.clone(), None);
        });
        if let Loss::Disconnected(error) | Loss::Framing(error) = loss {
            self.last_error = Arc::clone(error);
        } else {
            self.last_error = Arc::new(io::Error::other("the last connection was given up"));
        }
        self.set_stalled(false);
        self.drop_abandoned();
        if self.gauge().is_confirmed(socket.number) {
            self.event(Event::GoodReply);
        }
        let Shared { plugin, socket: path, .. } = &*self.shared;
        tracing::debug!(%plugin, socket = %path.display(), connection = self.index, in_flight, ?loss, "connection lost");
        self.event(Event::Lost { demand: !self.pending.is_empty() });
    }

    /// Closes the socket if a caller found a reply on it that was not its own.
    fn check_suspicion(&mut self) {
        if let Link::Open(socket) = &self.link
            && let Some(suspicion) = self.gauge().suspicion(socket.number)
        {
            self.lost(&Loss::Faulted(suspicion.as_str()));
        }
    }

    // --- time ---

    fn set_stalled(&mut self, stalled: bool) {
        self.stalled = stalled;
        self.gauge().set_stalled(stalled);
    }

    /// Nothing new is sent behind a reply that is overdue.
    fn look_at_head(&mut self, now: Instant) {
        let Link::Open(socket) = &self.link else { return };
        let deadline = socket.in_flight.head_deadline();
        let overdue = deadline.is_some_and(|deadline| deadline <= now);
        if overdue && !self.stalled {
            self.hand_back(0);
        }
        self.set_stalled(overdue);
        if overdue
            && deadline.is_some_and(|deadline| deadline + self.shared.limits.stall_limit <= now)
        {
            let reason = "the plugin's reply was overdue beyond `stall_limit`";
            self.lost(&disconnected(io::ErrorKind::TimedOut, reason));
        }
    }

    /// Answers the callers whose time is over.
    fn expire(&mut self, now: Instant) {
        let released = &mut self.released;
        let mut waiting = VecDeque::with_capacity(self.pending.len());
        for request in self.pending.drain(..) {
            if request.deadline <= now {
                request.responder.fail(Loss::Expired(Stage::Queued), None);
                *released += 1;
            } else {
                waiting.push_back(request);
            }
        }
        self.pending = waiting;
        let mut earliest = self.pending.iter().map(|request| request.deadline).min();
        if let Link::Open(socket) = &mut self.link {
            socket.in_flight.expire(now).for_each(|responder| {
                responder.fail(Loss::Expired(Stage::InFlight), None);
            });
            let written = socket.in_flight.earliest_deadline();
            earliest = [earliest, written].into_iter().flatten().min();
        }
        self.deadlines_from = earliest;
    }

    fn drop_abandoned(&mut self) {
        let before = self.pending.len();
        self.pending.retain(|request| !request.responder.is_abandoned());
        let left = before - self.pending.len();
        self.released += left;
        self.gauge().traffic.abandoned.fetch_add(left as u64, Relaxed);
    }

    /// When the next thing is due.
    fn next_due(&self) -> Instant {
        let mut due = self.deadlines_from;
        let mut consider = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        match &self.link {
            Link::Down => {}
            Link::Opening { until, .. } => consider(*until),
            Link::Open(socket) => match socket.in_flight.head_deadline() {
                Some(head) if self.stalled => consider(head + self.shared.limits.stall_limit),
                Some(head) => consider(head),
                None if self.shrunk => consider(self.idle_since + self.shared.limits.idle_timeout),
                None => consider(self.idle_since + QUIET),
            },
        }
        if let Some(retry_at) = self.retry_at {
            consider(retry_at);
        }
        if let Some(stop_at) = self.shared.stop_at() {
            consider(stop_at);
        }
        due.unwrap_or_else(|| self.timer.deadline() + NEVER)
    }

    /// Does what is due; true if anything was.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.next_due();
        // A timer that fires too early is harmless and cheaper than moving it
        // for every call; one that fires too late is not.
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = Instant::now();
        if self.deadlines_from.is_some_and(|from| from <= now) {
            self.expire(now);
        }
        self.look_at_head(now);
        if let Link::Opening { until, .. } = &self.link
            && *until <= now
        {
            let reason = "no connection within `connect_timeout`";
            self.connect_failed(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.drop_abandoned();
            self.event(Event::Elapsed { demand: !self.pending.is_empty() });
        }
        self.tidy(now);
        let due = self.next_due();
        self.timer.as_mut().reset(due.min(now + NEVER));
        true
    }

    /// Gives memory back, and later the socket, when nothing happens.
    fn tidy(&mut self, now: Instant) {
        let Link::Open(socket) = &mut self.link else { return };
        if !socket.in_flight.is_empty() || !self.pending.is_empty() {
            return;
        }
        let quiet = now.saturating_duration_since(self.idle_since);
        if quiet >= QUIET && !self.shrunk {
            self.shrunk = true;
            socket.shrink();
            self.pending.shrink_to(0);
            self.taken.shrink_to(0);
        }
        if quiet >= self.shared.limits.idle_timeout {
            self.event(Event::IdledOut);
        }
    }

    // --- the end ---

    /// True once there is nothing left to do, ever.
    fn is_done(&self) -> bool {
        let Some(stop_at) = self.shared.stop_at() else {
            // The last handle is gone, and with it everybody who could wait.
            return self.requests.is_closed() && self.requests.is_empty() && {
                let waits = |request: &Request| !request.responder.is_abandoned();
                !self.pending.iter().any(waits) && self.nobody_waits_in_flight()
            };
        };
        let nothing_left =
            self.pending.is_empty() && self.requests.is_empty() && self.nobody_waits_in_flight();
        nothing_left || stop_at <= Instant::now()
    }

    fn nobody_waits_in_flight(&self) -> bool {
        match &self.link {
            Link::Open(socket) => socket.in_flight.nobody(|responder| !responder.is_abandoned()),
            _ => true,
        }
    }

    /// Answers everybody, and refuses whoever comes later, with the same words.
    fn finish(&mut self) {
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.pending.push_back(request);
        }
        self.fail_pending(&Loss::Shutdown);
        if let Link::Open(mut socket) = std::mem::replace(&mut self.link, Link::Down) {
            self.released += socket.in_flight.len();
            socket.in_flight.drain().for_each(|responder| {
                responder.fail(Loss::Shutdown, None);
            });
        }
        self.event(Event::ShutDown);
    }

    /// After a burst of replies their callers are about to call again. One round
    /// of the scheduler lets them queue up, so that they share a write.
    fn waits_for_company(&mut self, cx: &mut Context<'_>) -> bool {
        let expected = std::mem::take(&mut self.delivered);
        // Never twice in a row: what is queued already must not wait for ever.
        self.waited = !self.waited && expected >= 2 && self.pending.len() < expected;
        if self.waited {
            cx.waker().wake_by_ref();
        }
        self.waited
    }
}

impl<C: Connector> Future for Task<C>
where
    Self: Unpin,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.gauge().register(cx.waker());
        loop {
            this.check_suspicion();
            let mut progress = this.poll_read(cx);
            progress |= this.poll_requests(cx);
            progress |= this.poll_connect(cx);
            if this.waits_for_company(cx) {
                break;
            }
            this.send_pending();
            progress |= this.poll_write(cx);
            progress |= this.poll_timer(cx);
            if !progress || this.is_done() {
                break;
            }
        }
        let done = this.is_done();
        if done {
            this.finish();
        }
        let in_flight = this.in_flight();
        this.gauge().set_in_flight(in_flight);
        if this.released > 0 {
            this.shared.release(this.index, std::mem::take(&mut this.released));
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// However the task ends, what it leaves behind is told to be gone.
impl<C: Connector> Drop for Task<C> {
    fn drop(&mut self) {
        self.gauge().set_state(ConnectionState::Shutdown);
        self.shared.publish_state();
    }
}

fn disconnected(kind: io::ErrorKind, reason: &'static str) -> Loss {
    Loss::Disconnected(Arc::new(io::Error::new(kind, reason)))
}
