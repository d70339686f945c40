//! The streams of one connection, shared by all plugins that use it: no more are open than the
//! server takes, so that none waits unsent inside HTTP/2, and those who wait have them in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Semaphore;

/// How many streams are free, and who waits for one.
#[derive(Debug)]
pub(crate) struct Streams {
    free: Semaphore,
    limit: AtomicUsize,
    /// Open ones beyond the limit, since it was lowered.
    excess: AtomicUsize,
}

/// Room for one stream. Given back when it is dropped: to the one who has waited longest.
#[derive(Debug)]
pub(crate) struct Stream(Arc<Streams>);

impl Streams {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = bounded(limit);
        let free = Semaphore::new(limit);
        Self { free, limit: AtomicUsize::new(limit), excess: AtomicUsize::new(0) }
    }

    /// A stream that is free now. Nobody overtakes those who wait.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Stream> {
        self.free.try_acquire().ok()?.forget();
        Some(Stream(Arc::clone(self)))
    }

    /// Waits for a stream, behind those who wait already.
    ///
    /// # Cancel safety
    /// A wait that is dropped has taken none.
    pub(crate) async fn wait(self: &Arc<Self>) -> Stream {
        match self.free.acquire().await {
            Ok(permit) => permit.forget(),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
        Stream(Arc::clone(self))
    }

    /// The server takes so many from now on; at least one. Only the connection's own task calls
    /// it.
    pub(crate) fn set_limit(&self, limit: usize) {
        let limit = bounded(limit);
        let before = self.limit.swap(limit, SeqCst);
        if limit < before {
            let lowered = before - limit;
            let taken = self.free.forget_permits(lowered);
            self.excess.fetch_add(lowered - taken, SeqCst);
        } else {
            let mut raised = limit - before;
            while raised > 0 && self.settle_one() {
                raised -= 1;
            }
            self.free.add_permits(raised);
        }
    }

    /// No call is under way.
    pub(crate) fn is_unused(&self) -> bool {
        self.free.available_permits() >= self.limit.load(SeqCst)
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// True if there was one too many.
    fn settle_one(&self) -> bool {
        self.excess.fetch_update(SeqCst, SeqCst, |excess| excess.checked_sub(1)).is_ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.0.settle_one() {
            self.0.free.add_permits(1);
        }
    }
}

fn bounded(limit: usize) -> usize {
    limit.clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
