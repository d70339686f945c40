//! One piece of work for all who want its outcome at the same time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::time::Instant;

/// Work that goes on for as long as somebody waits for it.
pub(crate) type Work<T> = Shared<BoxFuture<'static, T>>;

/// The work that is under way, if some is.
pub(crate) struct Flight<T>(Mutex<Option<UnderWay<T>>>);

struct UnderWay<T> {
    work: WeakShared<BoxFuture<'static, T>>,
    begun: Instant,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flight<T> {
    /// The work that is under way, or else that which `begin` gives, which does nothing yet.
    /// Work that has taken longer than `patience` is waited for no more: it may be that of a
    /// runtime that nobody drives.
    ///
    /// # Cancel safety
    /// Left by all who wait for it, the work is dropped.
    pub(crate) fn join(
        &self,
        patience: Duration,
        begin: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> Work<T> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(UnderWay { work, begun }) = &*under_way
            && begun.elapsed() < patience
            && let Some(work) = work.upgrade().filter(|work| work.peek().is_none())
        {
            return work;
        }
        let work = begin().shared();
        let begun = Instant::now();
        *under_way = work.downgrade().map(|work| UnderWay { work, begun });
        work
    }
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
