//! How long the calls of each hook took, counted in the callers' tasks.
//!
//! A hook gets its place with its first call, so that a plugin that is not called costs
//! nothing. Places are never moved or given back, so callers share them without a lock. They
//! are in a list, for a plugin serves few hooks, and those that are called most tend to be
//! called first. It cannot grow without end: a hook that is called has a type, or is in the
//! handle's registry.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{BUCKETS, LatencyHistogram, bucket, nanoseconds};

/// The hooks that were called.
#[derive(Debug, Default)]
pub(super) struct HookTimes {
    first: Link,
}

type Link = OnceLock<Box<Times>>;

/// The calls of one hook. What a search looks at is in one line of the cache.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Times {
    hook: Box<str>,
    next: Link,
    /// Most hooks never deny, and never fail.
    denied: OnceLock<Box<Histogram>>,
    failed: OnceLock<Box<Histogram>>,
    allowed: Histogram,
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
            allowed: Histogram::default(),
            denied: OnceLock::new(),
            failed: OnceLock::new(),
            next: OnceLock::new(),
        }
    }

    pub(super) fn allowed(&self, took: Duration) {
        self.allowed.record(took);
    }

    pub(super) fn denied(&self, took: Duration) {
        self.denied.get_or_init(Box::default).record(took);
    }

    pub(super) fn failed(&self, took: Duration) {
        self.failed.get_or_init(Box::default).record(took);
    }

    fn snapshot(&self) -> HookStats {
        let read = |histogram: &OnceLock<Box<Histogram>>| {
            histogram.get().map(|histogram| histogram.snapshot()).unwrap_or_default()
        };
        HookStats {
            allowed: self.allowed.snapshot(),
            denied: read(&self.denied),
            failed: read(&self.failed),
        }
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

/// How long the calls of one hook took: encoding, waiting for a slot or a connection, and the
/// plugin's work. They end where the reply is read from the socket, before the caller's task
/// gets its turn to decode it; failed calls where they fail.
///
/// Each call is in one of the three. In none are calls whose callers dropped them, and those
/// that were not tried: of a hook that is not registered, or of a plugin that may not be called
/// as it is configured.
///
/// ```
/// # async fn show(handle: hookwire::PluginHandle) {
/// let stats = handle.stats();
/// if let Some(times) = stats.hooks.get("tool_pre_invoke") {
///     println!("{:?} for all but one in a hundred verdicts", times.answered().p99());
///     println!("{} denials, {} calls without a verdict", times.denied.count(), times.failed.count());
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookStats {
    /// Calls that brought a result which lets the request go on.
    pub allowed: LatencyHistogram,
    /// Calls that brought a denial.
    pub denied: LatencyHistogram,
    /// Calls without a verdict: the plugin failed, the time was over, it could not be reached.
    pub failed: LatencyHistogram,
}

impl HookStats {
    /// The calls that brought a verdict, this or that.
    #[must_use]
    pub fn answered(&self) -> LatencyHistogram {
        let mut answered = self.allowed.clone();
        answered += &self.denied;
        answered
    }
}

impl AddAssign<&Self> for HookStats {
    fn add_assign(&mut self, other: &Self) {
        self.allowed += &other.allowed;
        self.denied += &other.denied;
        self.failed += &other.failed;
    }
}
