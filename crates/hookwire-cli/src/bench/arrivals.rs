//! When calls are due, whether those before them have returned or not.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How calls arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrivals {
    /// Calls per second.
    pub(super) rate: f64,
    /// At random, as from many users who know nothing of each other, instead of evenly.
    pub(super) poisson: bool,
}

impl Arrivals {
    /// When each call is due, after the start.
    fn times(self, mut random: fastrand::Rng) -> impl Iterator<Item = Duration> {
        let mut last = 0.0;
        (0_u64..).map(move |number| {
            if self.poisson {
                last += -(1.0 - random.f64()).ln() / self.rate;
            } else {
                // Not summed up: rounding would add up too.
                last = number as f64 / self.rate;
            }
            Duration::try_from_secs_f64(last).unwrap_or(Duration::MAX)
        })
    }

    /// Starts the clock for this many calls.
    ///
    /// It runs in a thread of its own, as a timer of the runtime is no finer than a
    /// millisecond, and would be late just when the callers are busy.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(self, calls: u64) -> io::Result<Arc<Due>> {
        let due = Arc::new(Due::default());
        let watched = Arc::downgrade(&due);
        let times =
            self.times(fastrand::Rng::new()).take(usize::try_from(calls).unwrap_or(usize::MAX));
        let thread = thread::Builder::new().name("arrivals".to_owned());
        thread.spawn(move || tell(&watched, Instant::now(), times))?;
        Ok(due)
    }
}

/// Lets calls become due in time; ends early if nobody takes them any more.
fn tell(due: &Weak<Due>, start: Instant, times: impl Iterator<Item = Duration>) {
    let mut times = times.peekable();
    while let Some(&next) = times.peek() {
        thread::sleep((start + next).saturating_duration_since(Instant::now()));
        let Some(due) = due.upgrade() else { return };
        let passed = start.elapsed();
        let batch = std::iter::from_fn(|| times.next_if(|time| *time <= passed));
        due.add(batch.map(|time| start + time));
    }
    if let Some(due) = due.upgrade() {
        due.count.close();
    }
}

/// Calls that are due and not begun.
#[derive(Debug)]
pub(super) struct Due {
    times: Mutex<VecDeque<Instant>>,
    /// As many permits as there are times; closed behind the last.
    count: Semaphore,
}

impl Default for Due {
    fn default() -> Self {
        Self { times: Mutex::default(), count: Semaphore::new(0) }
    }
}

impl Due {
    fn add(&self, batch: impl Iterator<Item = Instant>) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let before = times.len();
        times.extend(batch);
        self.count.add_permits(times.len() - before);
    }

    /// Waits for the next call: when it was due. `None` once there will be no more.
    pub(super) async fn take(&self) -> Option<Instant> {
        if let Ok(permit) = self.count.acquire().await {
            permit.forget();
        }
        self.times.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rate: f64, poisson: bool) -> impl Iterator<Item = Duration> {
        Arrivals { rate, poisson }.times(fastrand::Rng::with_seed(7))
    }

    #[test]
    fn even_arrivals_are_one_period_apart_and_do_not_drift() {
        let first: Vec<_> = times(4.0, false).take(3).collect();
        assert_eq!(first, [0, 250, 500].map(Duration::from_millis));
        assert_eq!(times(3.0, false).nth(3_000_000), Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn random_arrivals_keep_the_rate_and_come_in_order_with_long_and_short_gaps() {
        let all: Vec<_> = times(1000.0, true).take(100_000).collect();
        assert!(all.is_sorted());
        let last = all[all.len() - 1].as_secs_f64();
        assert!((99.0..101.0).contains(&last), "{last} s for 100,000 calls");
        let gaps = || all.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0);
        // Of exponential gaps, 63 % are shorter than the mean, and 5 % three times as long.
        let share = |count: usize| count as f64 / all.len() as f64;
        let (short, long) =
            (gaps().filter(|gap| *gap < 1.0).count(), gaps().filter(|gap| *gap > 3.0).count());
        assert!((0.62..0.645).contains(&share(short)), "{short} are short");
        assert!((0.045..0.055).contains(&share(long)), "{long} are long");
    }

    #[tokio::test]
    async fn every_call_becomes_due_once_and_nobody_waits_behind_the_last() {
        let due = Arrivals { rate: 10_000.0, poisson: true }.start(500).unwrap();
        let takers = (0..8).map(|_| {
            let due = Arc::clone(&due);
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some(time) = due.take().await {
                    taken.push(time);
                }
                taken
            })
        });
        let mut all = Vec::new();
        for taker in takers.collect::<Vec<_>>() {
            let taken = taker.await.unwrap();
            assert!(taken.is_sorted());
            all.extend(taken);
        }
        assert_eq!(all.len(), 500);
    }
}
