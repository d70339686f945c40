//! The retry budget: how much of the load may be calls that are sent again.
//!
//! A server that loses its connections over and over must not get every call several
//! times on top. Over a window that slides, resends are at most a share of the calls
//! plus a few per second; the pure part is [`Window`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// The window, in seconds.
const WINDOW: usize = 10;

/// Resends per second that are allowed whatever the number of calls.
const RESERVE: u64 = 10;

/// The budget of one plugin.
#[derive(Debug)]
pub(super) struct RetryBudget {
    started: Instant,
    /// The second that was last accounted for, plus one: in between nobody takes the lock.
    observed: AtomicU64,
    window: Mutex<Window>,
}

impl RetryBudget {
    /// Resends may be `percent` of the calls.
    pub(super) fn new(percent: u32) -> Self {
        Self {
            started: Instant::now(),
            observed: AtomicU64::new(0),
            window: Mutex::new(Window::new(percent)),
        }
    }

    /// Notes once a second how many calls there have been: `calls`, since the beginning.
    /// Calls that cannot be sent again have no need to come here.
    pub(super) fn observe(&self, now: Instant, calls: u64) {
        let second = self.second(now);
        if self.observed.load(Relaxed) != second + 1 {
            self.observed.store(second + 1, Relaxed);
            self.window.lock().unwrap_or_else(PoisonError::into_inner).observe(second, calls);
        }
    }

    /// Whether one more call may be sent again; if so, it is counted.
    pub(super) fn take(&self, now: Instant, calls: u64) -> bool {
        let second = self.second(now);
        self.window.lock().unwrap_or_else(PoisonError::into_inner).take(second, calls)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

/// One second.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    calls: u64,
    resends: u64,
}

/// Calls and resends of the last seconds.
///
/// What is not known exactly is taken against the resends, so that the promise holds
/// at every moment: calls count from the earliest second in which they can have been
/// made, and only while all of that second is inside the window; resends until all of
/// theirs is outside.
#[derive(Debug)]
struct Window {
    percent: u64,
    /// One more than the window has: the first and the last second are never whole.
    buckets: [Bucket; WINDOW + 1],
    second: u64,
    calls: u64,
}

impl Window {
    fn new(percent: u32) -> Self {
        let buckets = [Bucket::default(); WINDOW + 1];
        Self { percent: percent.into(), buckets, second: 0, calls: 0 }
    }

    fn bucket(&mut self, second: u64) -> &mut Bucket {
        // The remainder is below the number of buckets.
        &mut self.buckets[(second % (WINDOW as u64 + 1)) as usize]
    }

    /// It is `second` now, and there have been `calls` in all. Threads may come in
    /// another order than they looked at the clock; what is late counts as now.
    fn observe(&mut self, second: u64, calls: u64) {
        let new = calls.saturating_sub(self.calls);
        self.calls += new;
        self.bucket(self.second).calls += new;
        let passed = second.saturating_sub(self.second).min(WINDOW as u64 + 1);
        let now = self.second.max(second);
        for stale in (now + 1 - passed)..=now {
            *self.bucket(stale) = Bucket::default();
        }
        self.second = now;
    }

    fn take(&mut self, second: u64, calls: u64) -> bool {
        self.observe(second, calls);
        let oldest = *self.bucket(self.second + 1);
        let sum = |of: fn(&Bucket) -> u64| self.buckets.iter().map(of).sum::<u64>();
        let calls = sum(|bucket| bucket.calls) - oldest.calls;
        let allowed = calls * self.percent / 100 + RESERVE * WINDOW as u64;
        if sum(|bucket| bucket.resends) >= allowed {
            return false;
        }
        self.bucket(self.second).resends += 1;
        true
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
