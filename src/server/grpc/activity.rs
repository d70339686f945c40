//! Whether anything happens on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::untaken::{Period, Untaken};

/// What the kernel takes of a reply may still be on its way. Up to this size it comes along
/// with what follows: it is less than any client's first window.
const SMALL: usize = 60 * 1024;

/// What runs on a connection, when the last of it ended, and which replies are on their way.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// How long a reply may be on its way.
    patience: Duration,
    calls: AtomicUsize,
    watches: AtomicUsize,
    /// In milliseconds since the start. After a large reply it is when that must have come.
    ended: AtomicU64,
    untaken: Untaken,
}

/// Something that runs.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Until its reply is on its way.
    Call,
    /// Until the kernel has taken it.
    Reply { since: Period, small: bool },
    /// It ends with the connection, and keeps none from its end.
    Watch,
    /// A message of a watch.
    Told { since: Period },
}

impl Activity {
    pub(super) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            patience,
            calls: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            untaken: Untaken::default(),
        })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.calls.fetch_add(1, Relaxed);
        Busy { activity: Arc::clone(self), what: What::Call }
    }

    /// Waits until nothing has run for this long, from now on.
    pub(super) async fn idle_for(&self, period: Duration) {
        self.quiet_for(period, || self.calls.load(Relaxed) + self.watches.load(Relaxed)).await;
    }

    /// The same, but for watches.
    pub(super) async fn without_calls_for(&self, period: Duration) {
        self.quiet_for(period, || self.calls.load(Relaxed)).await;
    }

    async fn quiet_for(&self, period: Duration, running: impl Fn() -> usize) {
        let since = Instant::now();
        loop {
            let quiet = match running() {
                0 => {
                    let ended = Duration::from_millis(self.ended.load(Relaxed));
                    self.start.elapsed().saturating_sub(ended)
                }
                _ => Duration::ZERO,
            };
            let left = period.saturating_sub(quiet.min(since.elapsed()));
            if left.is_zero() {
                return;
            }
            // Set once per period, not once per call: it may be early.
            sleep(left).await;
        }
    }

    /// How long a large reply that the kernel has taken may still be on its way.
    pub(super) fn tail(&self) -> Duration {
        Duration::from_millis(self.ended.load(Relaxed)).saturating_sub(self.start.elapsed())
    }

    /// Waits until a reply has been on its way for too long.
    pub(super) async fn overdue(&self) {
        loop {
            sleep(self.patience).await;
            if self.untaken.next() {
                return;
            }
        }
    }
}

impl Busy {
    /// The call is answered: it goes on until so many bytes are taken.
    pub(super) fn reply(mut self, len: usize) -> Self {
        let since = self.activity.untaken.begin();
        self.what = What::Reply { since, small: len <= SMALL };
        self
    }

    /// It is no call, but goes on with the connection.
    pub(super) fn watch(self) -> Self {
        self.activity.watches.fetch_add(1, Relaxed);
        Self { activity: Arc::clone(&self.activity), what: What::Watch }
    }

    /// For a message of a watch.
    pub(super) fn tell(&self) -> Self {
        let since = self.activity.untaken.begin();
        Self { activity: Arc::clone(&self.activity), what: What::Told { since } }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let activity = &*self.activity;
        let mut until = activity.start.elapsed();
        let running = match &self.what {
            What::Call => &activity.calls,
            What::Reply { since, small } => {
                activity.untaken.end(since);
                if !small {
                    until = until.saturating_add(activity.patience);
                }
                &activity.calls
            }
            What::Watch => &activity.watches,
            What::Told { since } => return activity.untaken.end(since),
        };
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        activity.ended.fetch_max(until, Relaxed);
        running.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn activity() -> Arc<Activity> {
        Activity::new(Duration::from_secs(60))
    }

    async fn after<T>(secs: u64, what: T) -> T {
        sleep(Duration::from_secs(secs)).await;
        what
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_its_last_call_ended_that_long_ago() {
        let activity = activity();
        let busy = activity.begin();
        let start = Instant::now();
        let end = async { drop(after(25, busy).await) };
        tokio::join!(activity.idle_for(PERIOD), end);
        let elapsed = start.elapsed();
        assert!((35..45).contains(&elapsed.as_secs()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_quiet_before_is_still_waited_for() {
        let activity = activity();
        sleep(Duration::from_secs(100)).await;
        assert_eq!(activity.idle_for(Duration::from_secs(1)).now_or_never(), None);
        let start = Instant::now();
        activity.idle_for(Duration::from_secs(1)).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_on_until_its_reply_is_taken() {
        let activity = activity();
        let reply = activity.begin().reply(1);
        let start = Instant::now();
        let end = async { drop(after(25, reply).await) };
        tokio::join!(activity.without_calls_for(PERIOD), end);
        let elapsed = start.elapsed();
        assert!((35..45).contains(&elapsed.as_secs()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_reply_that_the_kernel_has_taken_is_on_its_way_for_a_while() {
        let activity = activity();
        let start = Instant::now();
        drop(activity.begin().reply(SMALL + 1));
        drop(activity.begin().reply(1));
        activity.without_calls_for(PERIOD).await;
        assert!((70..80).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_no_call_but_keeps_its_connection() {
        let activity = activity();
        let watch = activity.begin().watch();
        let _told = watch.tell();
        let start = Instant::now();
        activity.without_calls_for(PERIOD).await;
        assert_eq!(start.elapsed(), PERIOD);
        tokio::select! {
            () = activity.idle_for(PERIOD) => panic!("it is watched"),
            () = after(500, ()) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_not_taken_is_overdue_after_one_to_two_times_the_patience() {
        for watched in [false, true] {
            let activity = activity();
            let call = activity.begin();
            let _untaken = if watched { call.watch().tell() } else { call.reply(1) };
            let start = Instant::now();
            activity.overdue().await;
            assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        }
    }
}
