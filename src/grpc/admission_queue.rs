//! Those who wait for a place, in their order.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Admission, Place, Waiting};

impl<T: Waiting> Admission<T> {
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// So many wait already, and no more may.
    pub(crate) fn wait(&mut self, ticket: T, may_wait: bool) -> Result<(), usize> {
        let capacity = self.coming() + if may_wait { self.bounds.queue_capacity } else { 0 };
        if self.queue.len() >= capacity {
            self.sweep();
        }
        let waiting = self.queue.len();
        if waiting >= capacity {
            return Err(waiting);
        }
        self.queue.push_back(ticket);
        Ok(())
    }

    /// Room that there will be as soon as servers are connected to, while none is. Calls that go
    /// on where no new ones are taken leave less.
    pub(crate) fn coming(&self) -> usize {
        if self.is_connected() { 0 } else { self.places().saturating_sub(self.load()) }
    }

    /// The one who has waited longest, and a place for it. To be asked after every change,
    /// until there is none: nobody else will.
    pub(crate) fn next(
        &mut self,
        now: Duration,
        random: impl FnMut(usize) -> usize,
    ) -> Option<(Place, T)> {
        while self.queue.front().is_some_and(Waiting::is_abandoned) {
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            return None;
        }
        let place = self.take(now, random)?;
        self.queue.pop_front().map(|ticket| (place, ticket))
    }

    /// Back to the front of the queue, whence it came.
    pub(crate) fn put_back(&mut self, ticket: T) {
        self.queue.push_front(ticket);
    }

    /// Takes out all who wait.
    pub(crate) fn drain(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.queue)
    }

    /// Those who have left need no room.
    pub(crate) fn sweep(&mut self) {
        self.queue.retain(|ticket| !ticket.is_abandoned());
    }
}
