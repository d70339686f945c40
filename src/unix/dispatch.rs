//! Which socket takes which request, and when: one value for each plugin.
//!
//! A request is bound to a socket as late as can be. It goes straight to one that
//! is ready, answers in time and has room; otherwise it waits here, in the plugin's
//! one queue, from which sockets take as they get room. Nothing that was not
//! begun is lost with a socket: it comes back to the front of this queue.
//!
//! 1. A socket that nobody uses takes the oldest request. A question of the plugin's own
//!    is no use.
//! 2. If all are used and more may be opened, requests wait for those, as many as
//!    they can take.
//! 3. Otherwise the socket with the least to do takes the oldest request: it is
//!    pipelined behind the others.
//! 4. A socket whose oldest reply is overdue takes nothing.
//! 5. Nor does one that is retired: it ends after what it has. Where the path leads to
//!    another server, all that were made to the one before are.
//!
//! It knows no task, no socket and no clock. `S` is what a request for a socket is
//! put into, `R` the request.

use std::collections::VecDeque;

use super::place::Place;

/// What is queued.
pub(crate) trait Queued {
    type Instant: Copy + Ord;

    fn deadline(&self) -> Self::Instant;

    /// True if nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

/// A socket that is open.
#[derive(Debug)]
struct Lane<S> {
    /// `None` if it is retired: that its sink is dropped is how a socket learns of it.
    sink: Option<S>,
    made: Made,
    /// Requests bound to it and not answered by it, those of callers that left included.
    load: usize,
    /// One of them is a question of the plugin's own, and nothing was answered since.
    asked: bool,
    /// Its oldest reply is overdue.
    overdue: bool,
    /// Its one request is a probe: nothing is sent behind that, and it is in order.
    probed: bool,
}

impl<S> Lane<S> {
    /// Whether it may have one more, if it may have so many at `most`.
    fn takes(&self, most: usize) -> bool {
        self.sink.is_some() && !self.overdue && !self.probed && self.load < most
    }
}

/// Which of the plugin's sockets it is, and what it was made to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// Sockets are numbered as they are opened.
    pub(crate) number: u64,
    /// Where the path led just before it was connected.
    pub(crate) place: Option<Place>,
}

/// Every bound of the dispatcher.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_connections: usize,
    pub(crate) max_in_flight: usize,
    /// Requests beyond those that sockets can take.
    pub(crate) queue_capacity: usize,
}

#[derive(Debug)]
pub(crate) struct Dispatch<R: Queued, S> {
    bounds: Bounds,
    queue: VecDeque<R>,
    /// No request in the queue has an earlier deadline.
    earliest: Option<R::Instant>,
    /// By slot; `None` is a socket that is not open.
    lanes: Vec<Option<Lane<S>>>,
    /// The sum of the lanes' loads.
    bound: usize,
    /// By slot: a socket is being opened there.
    opening: Vec<bool>,
    /// No more sockets for now: the last attempt failed, and the next one waits.
    held: bool,
}

/// What became of a request that was pushed.
#[derive(Debug, PartialEq)]
pub(crate) enum Pushed<R> {
    /// This socket takes it.
    Bound(usize, R),
    /// It waits. `wake`: the supervisor has to open a socket or look at a deadline.
    Waits { wake: bool },
    /// So many wait already, and no more may.
    Full(R, usize),
}

impl<R: Queued, S> Dispatch<R, S> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            queue: VecDeque::new(),
            earliest: None,
            lanes: (0..bounds.max_connections).map(|_| None).collect(),
            bound: 0,
            opening: vec![false; bounds.max_connections],
            held: false,
        }
    }

    /// Requests that all sockets together can take.
    pub(crate) fn capacity(&self) -> usize {
        self.bounds.max_connections * self.bounds.max_in_flight
    }

    /// Requests in the queue.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Requests for which the sockets have no room, even if all were open.
    pub(crate) fn waiting(&self) -> usize {
        (self.queue.len() + self.bound).saturating_sub(self.capacity())
    }

    /// True if a socket is open, retired or not.
    pub(crate) fn any_socket(&self) -> bool {
        self.lanes.iter().any(Option::is_some)
    }

    /// True if a socket is open that is not retired.
    pub(crate) fn is_open(&self) -> bool {
        self.lanes.iter().flatten().any(|lane| lane.sink.is_some())
    }

    /// True if a socket is open that is not retired and whose replies are not overdue.
    pub(crate) fn works(&self) -> bool {
        self.lanes.iter().flatten().any(|lane| lane.sink.is_some() && !lane.overdue)
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.opening.contains(&true)
    }

    pub(crate) fn load(&self, slot: usize) -> usize {
        self.lanes[slot].as_ref().map_or(0, |lane| lane.load)
    }

    /// What requests for this socket are put into.
    pub(crate) fn sink(&self, slot: usize) -> Option<&S> {
        self.lanes[slot].as_ref()?.sink.as_ref()
    }

    /// Takes a request in. `may_wait` is false for a caller that will not wait for room.
    pub(crate) fn push(&mut self, request: R, may_wait: bool) -> Pushed<R> {
        let limit = self.capacity() + if may_wait { self.bounds.queue_capacity } else { 0 };
        if self.queue.len() + self.bound >= limit {
            return Pushed::Full(request, self.waiting());
        }
        if self.queue.is_empty()
            && let Some(slot) = self.choose(1)
        {
            self.bind(slot);
            return Pushed::Bound(slot, request);
        }
        let deadline = request.deadline();
        let is_earliest = self.earliest.is_none_or(|earliest| deadline < earliest);
        if is_earliest {
            self.earliest = Some(deadline);
        }
        self.queue.push_back(request);
        Pushed::Waits { wake: is_earliest || self.wanted() > 0 }
    }

    /// The oldest request and the socket that takes it, if there is one that should.
    /// To be asked after every change, until there is none: nobody else will.
    pub(crate) fn next(&mut self) -> Option<(usize, R)> {
        if self.queue.is_empty() {
            return None;
        }
        let slot = self.choose(self.queue.len())?;
        let request = self.queue.pop_front()?;
        if self.queue.is_empty() {
            self.earliest = None;
        }
        self.bind(slot);
        Some((slot, request))
    }

    /// The socket for the first of `waiting` requests.
    fn choose(&self, waiting: usize) -> Option<usize> {
        let mut least: Option<(usize, usize)> = None;
        for (slot, lane) in self.lanes.iter().enumerate() {
            let Some(lane) = lane else { continue };
            if !lane.takes(self.bounds.max_in_flight) {
                continue;
            }
            if lane.load == usize::from(lane.asked) {
                return Some(slot);
            }
            if least.is_none_or(|(_, load)| lane.load < load) {
                least = Some((slot, lane.load));
            }
        }
        let (slot, _) = least?;
        (waiting > self.to_come() * self.bounds.max_in_flight).then_some(slot)
    }

    /// Sockets that are being opened or may be.
    fn to_come(&self) -> usize {
        let opening = self.opening.iter().filter(|opening| **opening).count();
        if self.held { opening } else { self.lanes.iter().filter(|lane| lane.is_none()).count() }
    }

    fn bind(&mut self, slot: usize) {
        if let Some(lane) = &mut self.lanes[slot] {
            lane.load += 1;
            self.bound += 1;
        }
    }

    /// How many more sockets are wanted now. While none is open, one attempt is enough
    /// to see whether the plugin is there.
    pub(crate) fn wanted(&self) -> usize {
        if self.held || self.queue.is_empty() {
            return 0;
        }
        let opening = self.opening.iter().filter(|opening| **opening).count();
        if !self.is_open() {
            return usize::from(opening == 0);
        }
        let closed = self.lanes.iter().filter(|lane| lane.is_none()).count();
        self.queue.len().min(closed).saturating_sub(opening)
    }

    /// Whether no more sockets may be opened for now.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Chooses the slot in which a socket is opened.
    pub(crate) fn begin_opening(&mut self) -> Option<usize> {
        let free = |slot: &usize| self.lanes[*slot].is_none() && !self.opening[*slot];
        let slot = (0..self.lanes.len()).find(free)?;
        self.opening[slot] = true;
        Some(slot)
    }

    pub(crate) fn opening_failed(&mut self, slot: usize) {
        self.opening[slot] = false;
    }

    pub(crate) fn opened(&mut self, slot: usize, sink: S, made: Made) {
        self.opening[slot] = false;
        let lane =
            Lane { sink: Some(sink), made, load: 0, asked: false, overdue: false, probed: false };
        self.lanes[slot] = Some(lane);
    }

    /// A socket answered `count` of its requests, or they need no answer.
    pub(crate) fn release(&mut self, slot: usize, count: usize) {
        if let Some(lane) = &mut self.lanes[slot] {
            debug_assert!(lane.load >= count, "more was answered than was bound");
            lane.load -= count;
            lane.probed &= lane.load > 0;
            lane.asked &= count == 0;
            self.bound -= count;
        }
    }

    /// Binds a question of the plugin's own to this socket, or else to the one with the least
    /// to do: to which, if it has room. A socket that has nothing else to do stays unused.
    pub(crate) fn ask(&mut self, slot: Option<usize>) -> Option<usize> {
        let (most, slot) = (self.bounds.max_in_flight, slot.or_else(|| self.choose(usize::MAX))?);
        let lane = self.lanes[slot].as_mut().filter(|lane| lane.takes(most))?;
        lane.load += 1;
        lane.asked = true;
        self.bound += 1;
        Some(slot)
    }

    /// Lets a request wait before all others.
    pub(crate) fn push_front(&mut self, request: R) {
        let deadline = request.deadline();
        if self.earliest.is_none_or(|earliest| deadline < earliest) {
            self.earliest = Some(deadline);
        }
        self.queue.push_front(request);
    }

    /// Takes a socket that nobody uses for a probe, behind which nothing is sent; false
    /// if somebody uses it.
    pub(crate) fn reserve(&mut self, slot: usize) -> bool {
        match &mut self.lanes[slot] {
            Some(lane) if lane.load == 0 && lane.sink.is_some() => {
                lane.load = 1;
                lane.probed = true;
                self.bound += 1;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn set_overdue(&mut self, slot: usize, overdue: bool) {
        if let Some(lane) = &mut self.lanes[slot] {
            lane.overdue = overdue;
        }
    }

    /// Takes requests back that their socket did not begin to write: to the front of
    /// the queue, in their order.
    pub(crate) fn give_back(
        &mut self,
        slot: usize,
        requests: impl DoubleEndedIterator<Item = R> + ExactSizeIterator,
    ) {
        self.release(slot, requests.len());
        requests.rev().for_each(|request| self.push_front(request));
    }

    /// A socket is at its end. What is bound to it is bound no more.
    pub(crate) fn closed(&mut self, slot: usize) {
        if let Some(lane) = self.lanes[slot].take() {
            self.bound -= lane.load;
        }
    }

    /// Closes a socket that nobody uses; false if somebody does.
    pub(crate) fn close_unused(&mut self, slot: usize) -> bool {
        let unused = self.load(slot) == 0;
        if unused {
            self.closed(slot);
        }
        unused
    }

    /// A socket takes no more requests, and ends after those that it has.
    pub(crate) fn retire(&mut self, slot: usize) {
        if let Some(lane) = &mut self.lanes[slot] {
            lane.sink = None;
        }
    }

    /// The path leads to `place`: retires what was made to another one, how many that were.
    /// Sockets beyond number `until` were opened after somebody looked: they may know better.
    pub(crate) fn retire_elsewhere(&mut self, place: Place, until: u64) -> usize {
        let elsewhere = |lane: &&mut Lane<S>| {
            let Made { number, place: made_to } = lane.made;
            lane.sink.is_some() && number <= until && made_to != Some(place)
        };
        let retired = self.lanes.iter_mut().flatten().filter(elsewhere);
        retired.map(|lane| lane.sink = None).count()
    }

    /// When the earliest request in the queue is over, at the earliest.
    pub(crate) fn earliest(&self) -> Option<R::Instant> {
        self.earliest
    }

    /// Takes the requests out that are over at `now`. With each: whether it was one of
    /// those that the sockets have no room for.
    pub(crate) fn expire(&mut self, now: R::Instant) -> Vec<(R, bool)> {
        let room = self.capacity().saturating_sub(self.bound);
        let mut over = Vec::new();
        let mut left = VecDeque::with_capacity(self.queue.len());
        for (position, request) in self.queue.drain(..).enumerate() {
            if request.deadline() <= now {
                over.push((request, position >= room));
            } else {
                left.push_back(request);
            }
        }
        self.earliest = left.iter().map(R::deadline).min();
        self.queue = left;
        over
    }

    /// Forgets the requests in the queue whose callers have left: how many.
    pub(crate) fn sweep(&mut self) -> usize {
        let before = self.queue.len();
        self.queue.retain(|request| !request.is_abandoned());
        before - self.queue.len()
    }

    /// Takes out all that waits.
    pub(crate) fn drain(&mut self) -> VecDeque<R> {
        self.earliest = None;
        std::mem::take(&mut self.queue)
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
