//! The requests that wait for their reply, in the order in which they were written.
//!
//! Replies carry no id: the first reply belongs to the first entry. So an entry
//! enters when the first byte of its request enters the write queue, leaves when
//! its reply (or the end of the connection) comes, and is never taken out of the
//! middle. A caller that leaves takes its responder along and leaves a tombstone,
//! whose reply is read and thrown away.
//!
//! Positions count the bytes of this connection's outgoing stream. They tell
//! which requests the kernel has seen, and that decides what may be sent again.

use std::collections::VecDeque;

/// What a request asks for, and so what its reply, or a missing one, shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To run a hook: the only kind that speaks for the plugin's health.
    Hook,
    /// For a configuration.
    Question,
    /// The same, by the plugin's own task: what does the server tell of the plugin now?
    Check,
    /// The same, by the connection itself: is the server still there?
    Probe,
}

/// A request on its way. `T` is the responder, `D` a point in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<T, D> {
    /// `None` is a tombstone.
    pub(crate) responder: Option<T>,
    pub(crate) kind: Kind,
    pub(crate) deadline: D,
    /// Where the request's first byte stands in the outgoing stream.
    start: u64,
    /// Where the next request's first byte stands.
    end: u64,
}

/// A reply that nobody asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unasked;

/// The first-in first-out queue of one socket; a new socket gets a new one.
#[derive(Debug)]
pub(crate) struct InFlight<T, D> {
    entries: VecDeque<Entry<T, D>>,
    /// Bytes that were queued for writing.
    queued: u64,
    /// Bytes that the kernel has taken.
    written: u64,
}

impl<T, D: Copy + PartialOrd> InFlight<T, D> {
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::new(), queued: 0, written: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in a request of `size` bytes, which were queued for writing. Without a
    /// responder it is a tombstone from the start.
    pub(crate) fn push(&mut self, responder: Option<T>, kind: Kind, deadline: D, size: usize) {
        let start = self.queued;
        self.queued += size as u64;
        self.entries.push_back(Entry { responder, kind, deadline, start, end: self.queued });
    }

    /// The kernel took `count` more bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count as u64;
        debug_assert!(self.written <= self.queued, "more was written than was queued");
    }

    /// A reply came: for which request? Its responder is `None` if the caller has left.
    ///
    /// # Errors
    /// [`Unasked`] if nothing waits for a reply, or if the request it would
    /// answer has not left yet.
    pub(crate) fn pop(&mut self) -> Result<Entry<T, D>, Unasked> {
        if self.entries.front().is_none_or(|head| head.end > self.written) {
            return Err(Unasked);
        }
        self.entries.pop_front().ok_or(Unasked)
    }

    /// The request that the server owes a reply for next.
    pub(crate) fn head(&self) -> Option<&Entry<T, D>> {
        self.entries.front()
    }

    pub(crate) fn head_deadline(&self) -> Option<D> {
        self.head().map(|head| head.deadline)
    }

    /// Makes tombstones of the entries whose deadline is not after `now`: their responders.
    pub(crate) fn expire(&mut self, now: D) -> impl Iterator<Item = T> {
        self.entries
            .iter_mut()
            .filter(move |entry| entry.deadline <= now)
            .filter_map(|entry| entry.responder.take())
    }

    /// The earliest deadline for which somebody still waits.
    pub(crate) fn earliest_deadline(&self) -> Option<D> {
        let waiting = self.entries.iter().filter(|entry| entry.responder.is_some());
        waiting.map(|entry| entry.deadline).reduce(|a, b| if b < a { b } else { a })
    }

    /// Takes back the last request if the kernel has seen none of its bytes.
    /// Only for a connection on which nothing is sent any more.
    pub(crate) fn take_back(&mut self) -> Option<Entry<T, D>> {
        if self.entries.back()?.start < self.written {
            return None;
        }
        let entry = self.entries.pop_back()?;
        self.queued = entry.start;
        Some(entry)
    }

    /// True if no responder is left for which `waits` holds.
    pub(crate) fn nobody(&self, waits: impl Fn(&T) -> bool) -> bool {
        !self.entries.iter().filter_map(|entry| entry.responder.as_ref()).any(waits)
    }

    /// Gives back the memory of past bursts.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to(0);
    }

    /// Ends the queue: what is left of it, oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry<T, D>> {
        self.entries.drain(..)
    }
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
