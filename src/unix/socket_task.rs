//! The task that owns one socket, from its opening to its end.
//!
//! It alone touches the socket. In every turn it reads first, takes what was bound to
//! it, writes a batch, and looks at its timer; then it sleeps until any of them wakes
//! it. It moves bytes and never looks into a message. All its state is in the struct,
//! so nothing is lost between two turns; and it dies with the socket, so nothing has to
//! be reset.
//!
//! What is due when is in `due`, the end in `retire` and `teardown`.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::NEVER;
use super::age::younger;
use super::closed::Closed;
use super::connect::Transport;
use super::connections::Connections;
use super::in_flight::Kind;
use super::message::{Origin, Reply, Request, Responder};
use super::slot::{Slot, Suspicion};
use super::socket::{Delivery, Reading, Socket};
use crate::breaker::Signal;
use crate::error::Stage;
use crate::wire::reply::config_reply;

/// Requests taken from the channel at a time.
const TAKE: usize = 256;

/// Replies that are handed out in one turn, at least.
const LEAST_SHARE: usize = 4;

pub(super) struct SocketTask {
    pub(super) connections: Arc<Connections>,
    pub(super) origin: Origin,
    pub(super) socket: Socket<Box<dyn Transport>>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// Empty between two turns; keeps its memory.
    taken: Vec<Request>,
    /// Bound to this socket, not begun. Goes back to the dispatcher if the socket ends.
    pub(super) inbox: VecDeque<Request>,
    /// No deadline of a request here is earlier.
    pub(super) deadlines_from: Option<Instant>,
    /// Since when nothing is in the inbox or in flight.
    pub(super) idle_since: Instant,
    pub(super) shrunk: bool,
    /// The oldest request in flight is beyond its deadline: nothing is sent behind it.
    pub(super) overdue: bool,
    /// The reply to that request is counted as missing already.
    pub(super) missed: bool,
    pub(super) probed_at: Instant,
    /// Nothing is bound to it any more: it ends after what is under way.
    pub(super) retired: bool,
    /// From then on it is too old to be bound anything.
    pub(super) retire_at: Option<Instant>,
    /// Replies delivered in the last turn: their callers are likely to call again.
    delivered: usize,
    /// The last turn waited for company.
    waited: bool,
    /// Empty between two reads; keeps its memory.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) timer: Pin<Box<Sleep>>,
    /// Everybody was answered.
    pub(super) ended: bool,
}

impl SocketTask {
    /// To be made on the runtime that it runs on: its timer belongs there.
    pub(super) fn new(
        connections: Arc<Connections>,
        slot: usize,
        socket: u64,
        transport: Box<dyn Transport>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        let now = Instant::now();
        let age = connections.config.max_connection_age();
        Self {
            origin: Origin { slot, socket },
            socket: Socket::new(transport, connections.config.max_frame_len()),
            connections,
            requests,
            taken: Vec::new(),
            inbox: VecDeque::new(),
            deadlines_from: None,
            idle_since: now,
            shrunk: true,
            overdue: false,
            missed: false,
            probed_at: now,
            retired: false,
            retire_at: age.map(|age| now + younger(age, fastrand::f64())),
            delivered: 0,
            waited: false,
            deliveries: Vec::new(),
            timer: Box::pin(sleep_until(now + NEVER)),
            ended: false,
        }
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.connections.slots[self.origin.slot]
    }

    /// Reads, and delivers to half of the calls: true if anything came, or how it ended.
    ///
    /// If all callers got their replies at once, the server would have nothing to do
    /// until they call again, and they nothing until it answers. So the two work side
    /// by side: while one half looks at its replies, the other half's calls are with
    /// the server. Where other connections keep it busy, larger batches are worth more;
    /// and where a reply is overdue, all that came is looked at before the server is
    /// judged by what did not.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        let load = self.socket.in_flight.len() + self.inbox.len() + self.requests.len();
        let share = load.div_ceil(2).max(LEAST_SHARE);
        let all = self.overdue || self.is_one_of_many();
        self.poll_deliver(cx, if all { usize::MAX } else { share }, Reading::AsTold)
    }

    /// True if another connection of the plugin is in use.
    fn is_one_of_many(&self) -> bool {
        let slots = self.connections.slots.iter().enumerate();
        slots.into_iter().any(|(slot, other)| slot != self.origin.slot && other.in_flight() > 0)
    }

    /// Reads and delivers all that is there, whether the runtime has heard of it or not.
    pub(super) fn read_all(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        while self.poll_deliver(cx, usize::MAX, Reading::Now)? {}
        Ok(())
    }

    fn poll_deliver(
        &mut self,
        cx: &mut Context<'_>,
        share: usize,
        reading: Reading,
    ) -> Result<bool, Closed> {
        let slot = &self.connections.slots[self.origin.slot];
        let deliveries = &mut self.deliveries;
        let outcome = self.socket.poll_read(cx, &slot.traffic, share, reading, |delivery| {
            deliveries.push(delivery);
        });
        if !self.deliveries.is_empty() {
            self.hand_over();
        }
        match outcome {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(closed)) => Err(closed),
        }
    }

    /// Gives the replies that were read to their callers.
    fn hand_over(&mut self) {
        let delivered = self.deliveries.len();
        let now = Instant::now();
        self.socket.head_since = now;
        self.missed = false;
        let probed = self.deliveries.iter().any(|delivery| delivery.kind == Kind::Probe);
        // Before their callers run: who calls again at once must find room.
        self.release(delivered, now);
        self.tell_breaker();
        let mut abandoned = 0;
        let mut suspicion = None;
        for Delivery { responder, kind, message } in self.deliveries.drain(..) {
            if kind == Kind::Probe {
                if config_reply(&message).is_err() {
                    suspicion = Some(Suspicion::Undecodable);
                }
                continue;
            }
            let reply = Reply { message, origin: self.origin, arrived: now };
            if !responder.is_some_and(|responder| responder.reply(reply)) {
                abandoned += 1;
            }
        }
        if let Some(suspicion) = suspicion {
            self.slot().suspect(self.origin.socket, suspicion);
        }
        self.delivered += delivered;
        if abandoned > 0 {
            self.slot().traffic.abandoned.fetch_add(abandoned, Relaxed);
        }
        if self.is_quiet() {
            // A probe is no use of the connection, but it has taken memory.
            if !probed {
                self.idle_since = now;
            }
            self.shrunk = false;
        }
    }

    /// Replies to hook calls are news for a breaker that is troubled.
    fn tell_breaker(&self) {
        let gate = &self.connections.gate;
        if !gate.is_troubled() {
            return;
        }
        let hooks = || self.deliveries.iter().filter(|delivery| delivery.kind == Kind::Hook);
        if hooks().next().is_some() {
            let waits = |responder: &Responder| !responder.is_abandoned();
            let timely = hooks().any(|delivery| delivery.responder.as_ref().is_some_and(waits));
            gate.signal(Signal::Reply { timely });
        }
    }

    /// Gives back the room of `count` requests, and takes as many as wait for it.
    fn release(&mut self, count: usize, now: Instant) {
        self.connections.look_if_due(now);
        let overdue = self.socket.in_flight.head_deadline().is_some_and(|head| head <= now);
        let connections = Arc::clone(&self.connections);
        let mut shared = connections.lock();
        shared.dispatch.release(self.origin.slot, count);
        if self.overdue && !overdue {
            self.overdue = false;
            shared.dispatch.set_overdue(self.origin.slot, false);
        }
        while let Some((slot, request)) = shared.dispatch.next() {
            if slot == self.origin.slot && request.method.kind().is_some() {
                self.deadlines_from = earlier(self.deadlines_from, request.deadline);
                self.inbox.push_back(request);
            } else {
                connections.bind(&mut shared, slot, request);
            }
        }
    }

    /// Takes what was bound to this socket; true if there was any.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(count) = self.requests.poll_recv_many(cx, &mut self.taken, TAKE) {
            if count == 0 {
                self.retire();
                break;
            }
            any = true;
            for request in self.taken.drain(..) {
                self.deadlines_from = earlier(self.deadlines_from, request.deadline);
                self.inbox.push_back(request);
            }
        }
        if any && self.overdue {
            // They were bound in the moment before it was known.
            self.give_back_inbox();
        }
        any
    }

    /// Begins to write what is in the inbox, as far as it is worth a write.
    fn send_inbox(&mut self) {
        if self.inbox.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.connections.look_if_due(now) && self.requests.is_closed() {
            // Another server has the path now, so nothing more is written to this one.
            return self.retire();
        }
        let (mut over, mut abandoned) = (0, 0);
        while !self.overdue && !self.socket.write_queue.is_full() {
            let Some(request) = self.inbox.pop_front() else { break };
            if request.responder.is_abandoned() {
                abandoned += 1;
            } else if request.deadline <= now {
                // Its hook would run for a caller who is told that it did not answer.
                over += 1;
                request.responder.expire(Stage::Queued, None);
            } else {
                self.socket.send(request, now);
            }
        }
        if over + abandoned > 0 {
            self.slot().traffic.abandoned.fetch_add(abandoned as u64, Relaxed);
            self.release(over + abandoned, now);
        }
    }

    /// Writes what is queued: true if the kernel took any, or how the socket ended.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        match self.socket.poll_write(cx, &self.connections.slots[self.origin.slot].traffic) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => {
                // Replies that came before the break are there to be read.
                self.read_all(cx)?;
                Err(Closed::Io(Arc::new(error)))
            }
        }
    }

    /// After a burst of replies their callers are about to call again. One round
    /// of the scheduler lets them queue up, so that they share a write. Those who
    /// did so since the last burst wait no longer: their write comes first.
    fn waits_for_company(&mut self, cx: &mut Context<'_>) -> bool {
        let expected = std::mem::take(&mut self.delivered);
        let waited = self.waited;
        self.waited = expected >= 2 && (waited || self.inbox.len() < expected);
        if self.waited {
            cx.waker().wake_by_ref();
        }
        self.waited && !waited
    }

    /// Nothing is to be written and nothing owed.
    pub(super) fn is_quiet(&self) -> bool {
        self.inbox.is_empty() && self.socket.in_flight.is_empty()
    }

    fn check_suspicion(&self) -> Result<(), Closed> {
        match self.slot().suspicion(self.origin.socket) {
            Some(suspicion) => Err(Closed::Suspect(suspicion)),
            None => Ok(()),
        }
    }

    /// One turn, until nothing moves any more; an error is the end of the socket.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        loop {
            self.check_suspicion()?;
            let mut progress = self.poll_read(cx)?;
            progress |= self.poll_requests(cx);
            // Again: the caller who found out may have called again since.
            self.check_suspicion()?;
            if self.waits_for_company(cx) {
                return Ok(());
            }
            // All that came is looked at before anything is written: a reply too many
            // would pass for the answer to a new request, and an end be noticed too late.
            if self.socket.more {
                continue;
            }
            self.send_inbox();
            progress |= self.poll_write(cx)?;
            progress |= self.poll_timer(cx)?;
            self.check_stop(cx)?;
            self.check_retired()?;
            if !progress {
                return Ok(());
            }
        }
    }
}

fn earlier(from: Option<Instant>, deadline: Instant) -> Option<Instant> {
    Some(from.map_or(deadline, |from| from.min(deadline)))
}

impl Future for SocketTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.slot().register(cx.waker());
        let outcome = this.turn(cx);
        this.slot().set_in_flight(this.socket.in_flight.len());
        match outcome {
            Ok(()) => Poll::Pending,
            Err(closed) => {
                this.end(closed);
                Poll::Ready(())
            }
        }
    }
}

#[cfg(test)]
#[path = "write_error_tests.rs"]
mod write_error_tests;
