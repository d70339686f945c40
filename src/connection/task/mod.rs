//! The task that owns a connection: the thin part around the pure ones.
//!
//! It alone touches the socket. In every turn it reads first, takes what is
//! queued, writes a batch, and looks at its timer; then it sleeps until any of
//! them wakes it. It moves bytes and never looks into a message. All its state
//! is in the struct, so nothing is lost between two turns.
//!
//! `queue` is what is not on a socket yet, `link` the socket, `clock` what is due
//! when, `silence` what a missing reply means, `end` how it all ends; this file holds
//! them together.

mod clock;
mod end;
mod link;
mod queue;
mod silence;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{Ordering::SeqCst, fence};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::backoff::Backoff;
use super::breaker::Signal;
use super::gauge::Gauge;
use super::message::{Loss, Request};
use super::shared::Shared;
use super::socket::{Delivery, Socket};
use super::state::{Action, ConnectionState, Event, Machine};
use super::transport::{Connecting, Connector};

/// Far enough away to mean "no timer".
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What the connection has instead of, or as, a socket.
// One for each connection; a box would cost a step on the way of every call.
#[allow(clippy::large_enum_variant)]
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
    /// Why there is no connection: the error of the last attempt, or the end of the last
    /// socket. `None` while there is one.
    last_error: Option<Arc<io::Error>>,
    /// It was told at info that the connection failed; not yet that there is one again.
    told_failure: bool,
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
    /// The reply to that request is counted as missing already.
    missed: bool,
    /// The request in flight is a keep-alive probe; there is no other.
    probing: bool,
    probed_at: Instant,
    /// Replies delivered in the last turn: their callers are likely to call again.
    delivered: usize,
    /// The last turn waited for company.
    waited: bool,
    /// Empty between two reads; keeps its memory.
    deliveries: Vec<Delivery>,
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
            last_error: None,
            told_failure: false,
            sockets: 0,
            deadlines_from: None,
            retry_at: None,
            idle_since: now,
            shrunk: true,
            stalled: false,
            missed: false,
            probing: false,
            probed_at: now,
            delivered: 0,
            waited: false,
            deliveries: Vec::new(),
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

    fn event(&mut self, event: Event) {
        let before = (self.machine.state(), self.machine.is_failing_fast());
        let action = self.machine.on(event, fastrand::f64());
        if event == Event::Connected {
            // Before the state is published: who sees that it is ready may call.
            self.shared.circuit.signal(Signal::Connected);
        }
        self.tell_state(before);
        if event == Event::Connected {
            // Another connection may have failed for good meanwhile, without seeing this
            // one: see `tell_unreachable`.
            fence(SeqCst);
            if !self.shared.circuit.is_closed() {
                self.shared.circuit.signal(Signal::Connected);
            }
        }
        if self.machine.state() == ConnectionState::Idle {
            // What waits behind a stalled one may have this one opened now.
            self.wake_stalled();
        }
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
                    self.tell_unreachable(delay, matches!(event, Event::Lost { .. }));
                    self.give_up();
                } else {
                    self.hand_on();
                }
            }
            Action::Close => self.link = Link::Down,
        }
    }

    /// One line for each change that a person wants to know of; the to and fro
    /// of the retries in between is for debugging, whether they count as failures or
    /// not: a full backlog may last, and so may one call after the other that meets it.
    fn tell_state(&mut self, (before, was_failing): (ConnectionState, bool)) {
        let (state, failing) = (self.machine.state(), self.machine.is_failing_fast());
        if (state, failing) == (before, was_failing) {
            return;
        }
        self.gauge().set_state(state);
        self.gauge().set_failing(failing);
        self.shared.publish_state();
        let failures = self.machine.failures();
        let retrying = failing || failures > 1;
        let told = match state {
            ConnectionState::Connecting => false,
            ConnectionState::Ready => std::mem::take(&mut self.told_failure) || !retrying,
            ConnectionState::TransientFailure => {
                !retrying && !std::mem::replace(&mut self.told_failure, true)
            }
            ConnectionState::Idle => !retrying && !self.told_failure,
            ConnectionState::Shutdown => !retrying,
        };
        let failed = state == ConnectionState::TransientFailure;
        let error = self.last_error.as_ref().filter(|_| failed).map(tracing::field::display);
        let Shared { plugin, socket, .. } = &*self.shared;
        let (socket, connection) = (socket.display(), self.index);
        let (from, to) = (before.as_str(), state.as_str());
        if told {
            tracing::info!(%plugin, %socket, connection, error, from, to, "connection state");
        } else {
            tracing::debug!(%plugin, %socket, connection, failures, error, from, to, "connection state");
        }
    }

    /// After a burst of replies their callers are about to call again. One round
    /// of the scheduler lets them queue up, so that they share a write. Those who
    /// did so since the last burst wait no longer: their write comes first.
    fn waits_for_company(&mut self, cx: &mut Context<'_>) -> bool {
        let expected = std::mem::take(&mut self.delivered);
        let waited = self.waited;
        self.waited = expected >= 2 && (waited || self.pending.len() < expected);
        if self.waited {
            cx.waker().wake_by_ref();
        }
        self.waited && !waited
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
            // Again: the caller who found out may have queued its next call since.
            this.check_suspicion();
            if this.waits_for_company(cx) {
                break;
            }
            // All that came is looked at before anything is written: a reply too many
            // would pass for the answer to a new request, and an end be noticed too late.
            if this.may_read_more() {
                continue;
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
            // As at a deadline: a reply that is here is in time.
            this.read_all(cx);
            this.finish(&Loss::Shutdown);
        }
        let in_flight = this.in_flight();
        this.gauge().set_in_flight(in_flight);
        if done { this.poll_late(cx, &Loss::Shutdown) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod write_error_tests;
