//! How much a server holds for its clients at once: requests that come, and replies that
//! are not taken yet.
//!
//! One bound over all connections. Of three quarters of it a connection may hold as much as
//! it leaves for others (a dynamic threshold, as switches share their buffers by): one alone
//! half, two that grow side by side a third each. The last quarter is for those that hold
//! little, so that every one finds room for a small call, whatever others do.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::server::listener::Refusals;

/// What is kept for each connection, unless that were more than a quarter of all.
const KEPT: usize = 64 * 1024;

/// What a server may hold.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    /// Of the limit, what is free for all.
    common: usize,
    /// What a connection may hold in any case.
    kept: usize,
    held: AtomicUsize,
    refusals: Mutex<Refusals>,
}

/// What one connection holds of it.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    held: AtomicUsize,
}

/// What one call holds of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    share: Arc<Share>,
    bytes: usize,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Memory {
    /// For up to so many connections.
    pub(super) fn new(limit: usize, connections: usize) -> Arc<Self> {
        let kept = KEPT.min(limit / 4 / connections.max(1));
        let common = limit - kept * connections;
        Arc::new(Self::of(limit, common, kept))
    }

    fn of(limit: usize, common: usize, kept: usize) -> Self {
        Self { limit, common, kept, held: AtomicUsize::new(0), refusals: Mutex::default() }
    }

    /// What one call may hold where nobody else holds anything, at least.
    pub(super) fn largest(limit: usize) -> usize {
        (limit - limit / 4) / 2
    }

    pub(super) fn share(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share { memory: Arc::clone(self), held: AtomicUsize::new(0) })
    }

    /// A line in the log for a call that found no room, but no more than one in a while.
    fn tell(&self, by_connection: usize) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(untold) = refusals.count(Instant::now()) {
            let (by_all, max_buffered) = (self.held.load(Relaxed), self.limit);
            tracing::warn!(
                by_connection,
                by_all,
                max_buffered,
                untold,
                "a call was refused: its connection holds as many bytes as it may"
            );
        }
    }
}

impl Share {
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Full> {
        let mut held = Held { share: Arc::clone(self), bytes: 0 };
        held.resize(bytes)?;
        Ok(held)
    }

    fn full(&self) -> Full {
        self.memory.tell(self.held.load(Relaxed));
        Full
    }

    /// What is held by all, if so many more bytes may be. The connection's own part may be
    /// out of date by what its other calls take meanwhile; the bound never is.
    fn with(&self, held: usize, more: usize) -> Option<usize> {
        let Memory { limit, common, kept, .. } = *self.memory;
        let own = self.held.load(Relaxed).checked_add(more)?;
        let all = held.checked_add(more)?;
        let is_fair = own <= common.saturating_sub(all);
        ((is_fair || own <= kept) && all <= limit).then_some(all)
    }
}

impl Held {
    /// Holds so many bytes from now on. What was held stays where there is no room.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        let Share { memory, held } = &*self.share;
        if let Some(more) = bytes.checked_sub(self.bytes) {
            if more > 0 {
                let grown = |all| self.share.with(all, more);
                let grown = memory.held.fetch_update(Relaxed, Relaxed, grown);
                grown.map_err(|_| self.share.full())?;
                held.fetch_add(more, Relaxed);
            }
        } else {
            held.fetch_sub(self.bytes - bytes, Relaxed);
            memory.held.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Whether it could hold so many bytes now.
    pub(super) fn could_be(&self, bytes: usize) -> Result<(), Full> {
        let all = self.share.memory.held.load(Relaxed);
        let room = self.share.with(all, bytes.saturating_sub(self.bytes));
        room.map(drop).ok_or_else(|| self.share.full())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Less is always possible.
        let _ = self.resize(0);
    }
}

#[cfg(test)]
impl Memory {
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of 1,000 bytes, 800 for all and 50 for each of four.
    fn memory() -> Arc<Memory> {
        Arc::new(Memory::of(1000, 800, 50))
    }

    #[test]
    fn a_connection_may_hold_as_much_as_it_leaves() {
        let memory = memory();
        let (first, second) = (memory.share(), memory.share());
        assert_eq!(first.hold(401).unwrap_err(), Full);
        let _half = first.hold(400).unwrap();
        assert_eq!(first.hold(1).unwrap_err(), Full);
        // The next one finds half of what is left.
        assert_eq!(second.hold(201).unwrap_err(), Full);
        let _quarter = second.hold(200).unwrap();
        assert_eq!(memory.held(), 600);
    }

    #[test]
    fn one_that_holds_little_finds_room_when_others_hold_all_they_may() {
        let memory = memory();
        let shares: Vec<_> = (0..4).map(|_| memory.share()).collect();
        let mut all = Vec::new();
        for share in &shares[..3] {
            while let Ok(held) = share.hold(1) {
                all.push(held);
            }
        }
        let last = shares[3].hold(50).unwrap();
        drop((all, last));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_is_dropped_or_grows_less_is_free_again() {
        let memory = memory();
        let share = memory.share();
        let mut held = share.hold(400).unwrap();
        held.resize(20).unwrap();
        assert_eq!((held.could_be(400), held.could_be(401)), (Ok(()), Err(Full)));
        assert_eq!(held.resize(401), Err(Full));
        assert_eq!(memory.held(), 20, "what was held stays");
        drop(held);
        share.hold(400).unwrap();
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_is_kept_is_a_quarter_at_most() {
        let memory = Memory::new(1 << 30, 1024);
        assert_eq!((memory.kept, memory.common), (KEPT, (1 << 30) - 1024 * KEPT));
        let memory = Memory::new(1000, 1_000_000);
        assert_eq!((memory.kept, memory.common), (0, 1000));
        for (limit, connections) in [(1000, 7), (1 << 28, 1024), (1 << 20, 1), (1, 1)] {
            let memory = Memory::new(limit, connections);
            assert!(memory.share().hold(Memory::largest(limit)).is_ok(), "{memory:?}");
        }
    }

    #[test]
    fn no_size_overflows() {
        let memory = Memory::new(usize::MAX, usize::MAX);
        let share = memory.share();
        let _held = share.hold(usize::MAX / 2).unwrap();
        assert_eq!(share.hold(usize::MAX).unwrap_err(), Full);
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_every_connection_finds_what_is_kept_for_it(
            steps in proptest::collection::vec((0..8_usize, 0..900_usize), 0..60),
        ) {
            let memory = memory();
            let shares: Vec<_> = (0..4).map(|_| memory.share()).collect();
            let mut all: Vec<_> =
                (0..8).map(|call| shares[call % 4].hold(0).unwrap()).collect();
            for (call, bytes) in steps {
                let _ = all[call].resize(bytes);
                prop_assert_eq!(memory.held(), all.iter().map(|held| held.bytes).sum::<usize>());
                prop_assert!(memory.held() <= 1000);
                for share in &shares {
                    let left = 50_usize.saturating_sub(share.held.load(Relaxed));
                    prop_assert!(share.hold(left).is_ok() || left == 0);
                }
            }
            drop(all);
            prop_assert_eq!(memory.held(), 0);
        }
    }
}
