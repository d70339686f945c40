//! How long the calls of each hook took, counted in the callers' tasks.
//!
//! A hook gets its place with its first call, so that a plugin that is not called costs
//! nothing. Places are never moved or given back, so callers share them without a lock. They
//! are in a list, for a plugin serves few hooks, and those that are called most tend to be
//! called first. It cannot grow without end: a hook that is called has a type, or is in the
//! handle's registry.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{BUCKETS, LatencyHistogram, bucket, nanoseconds};
use super::snapshot::HookStats;

/// The hooks that were called.
#[derive(Debug, Default)]
pub(super) struct HookTimes {
    first: Link,
}

type Link = OnceLock<Box<Times>>;

/// The calls of one hook.
#[derive(Debug)]
pub(super) struct Times {
    hook: Box<str>,
    answered: Histogram,
    /// Most hooks never fail.
    failed: OnceLock<Box<Histogram>>,
    next: Link,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl HookTimes {
    /// The place of this hook.
    pub(super) fn of(&self, hook: &str) -> &Times {
        let mut link = &self.first;
        loop {
            // Whoever comes second finds the place of the first, which may be another hook's.
            let times = link.get_or_init(|| Box::new(Times::new(hook)));
            if *times.hook == *hook {
                return times;
            }
            link = &times.next;
        }
    }

    pub(super) fn snapshot(&self) -> BTreeMap<String, HookStats> {
        let first = self.first.get();
        std::iter::successors(first, |times| times.next.get())
            .map(|times| (times.hook.to_string(), times.snapshot()))
            .collect()
    }
}

impl Times {
    fn new(hook: &str) -> Self {
        Self {
            hook: hook.into(),
            answered: Histogram::default(),
            failed: OnceLock::new(),
            next: OnceLock::new(),
        }
    }

    pub(super) fn answered(&self, took: Duration) {
        self.answered.record(took);
    }

    pub(super) fn failed(&self, took: Duration) {
        self.failed.get_or_init(Box::default).record(took);
    }

    fn snapshot(&self) -> HookStats {
        let failed = self.failed.get().map(|failed| failed.snapshot());
        HookStats { answered: self.answered.snapshot(), failed: failed.unwrap_or_default() }
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let took = nanoseconds(took);
        self.buckets[bucket(took)].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(took, Relaxed);
    }

    fn snapshot(&self) -> LatencyHistogram {
        let buckets = std::array::from_fn(|at| self.buckets[at].load(Relaxed));
        LatencyHistogram::new(buckets, self.nanoseconds.load(Relaxed))
    }
}
