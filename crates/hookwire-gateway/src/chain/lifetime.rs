//! What a chain has in common with those that take its place: the calls in the background, and
//! that it all ends at once.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::background::Background;

/// Shared by all chains of one gateway, so that a new configuration forgets nothing of what
/// the old one has begun.
#[derive(Debug)]
pub(crate) struct Lifetime {
    pub(crate) background: Background,
    /// Runs, and calls in the background. Closed means that no run may begin.
    under_way: TaskTracker,
}

impl Lifetime {
    pub(crate) fn new(background: Background) -> Self {
        Self { background, under_way: TaskTracker::new() }
    }

    /// Begins a run, which lasts as long as what comes back; `None` if none may begin.
    pub(crate) fn begin(&self) -> Option<TaskTrackerToken> {
        // Counted first: a close that is not seen here waits for this run.
        let run = self.under_way.token();
        (!self.under_way.is_closed()).then_some(run)
    }

    /// Runs `call` with nobody waiting for it, if there is room; see [`Background::start`].
    pub(crate) fn start(&self, call: impl Future<Output = ()> + Send + 'static) -> bool {
        self.background.start(self.under_way.track_future(call))
    }

    /// Lets no run begin from now on.
    pub(crate) fn close(&self) {
        self.under_way.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.under_way.is_closed()
    }

    /// Waits until nothing is under way, but not longer than `limit`; true if nothing is. To
    /// be called after [`close`](Self::close).
    pub(crate) async fn ended(&self, limit: Duration) -> bool {
        timeout(limit, self.under_way.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn its_end_waits_for_runs_and_for_calls_in_the_background() {
        let lifetime = Lifetime::new(Background::new(1, None));
        let run = lifetime.begin().unwrap();
        let (finish, finished) = oneshot::channel::<()>();
        assert!(lifetime.start(async { drop(finished.await) }));
        lifetime.close();
        assert!(lifetime.begin().is_none() && lifetime.is_closed());
        assert!(!lifetime.ended(LIMIT).await);
        drop(run);
        assert!(!lifetime.ended(LIMIT).await);
        finish.send(()).unwrap();
        assert!(lifetime.ended(LIMIT).await);
    }
}
