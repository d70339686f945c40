//! Whether anything happens on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What runs on a connection, and when the last of it ended.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    running: AtomicUsize,
    /// In milliseconds since the start.
    ended: AtomicU64,
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let start = Instant::now();
        Arc::new(Self { start, running: AtomicUsize::new(0), ended: AtomicU64::new(0) })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.running.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until nothing has run for this long, from now on.
    pub(super) async fn idle_for(&self, period: Duration) {
        let since = Instant::now();
        loop {
            let left = period.saturating_sub(self.quiet().min(since.elapsed()));
            if left.is_zero() {
                return;
            }
            // Set once per period, not once per call: it may be early.
            sleep(left).await;
        }
    }

    fn quiet(&self) -> Duration {
        match self.running.load(Relaxed) {
            0 => {
                self.start.elapsed().saturating_sub(Duration::from_millis(self.ended.load(Relaxed)))
            }
            _ => Duration::ZERO,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.0.start.elapsed().as_millis();
        self.0.ended.store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_its_last_call_ended_that_long_ago() {
        let period = Duration::from_secs(10);
        let activity = Activity::new();
        let busy = activity.begin();
        let start = Instant::now();
        let end = async {
            sleep(Duration::from_secs(25)).await;
            drop(busy);
        };
        tokio::join!(activity.idle_for(period), end);
        let elapsed = start.elapsed();
        assert!((35..45).contains(&elapsed.as_secs()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_quiet_before_is_still_waited_for() {
        let activity = Activity::new();
        sleep(Duration::from_secs(100)).await;
        assert_eq!(activity.idle_for(Duration::from_secs(1)).now_or_never(), None);
        let start = Instant::now();
        activity.idle_for(Duration::from_secs(1)).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
