//! What became of many calls: counts and latencies, kept by many tasks at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use hookwire::{PluginError, PluginResult, Sent};

use crate::failure::Failure;

/// Callers share this many tallies: few enough for 10,000 callers, and enough that
/// no caller waits for another.
const SHARDS: usize = 16;

/// Counts of calls that ended, and the latencies of those with a result.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Results that let the request go on.
    pub(crate) allowed: u64,
    /// Results that do not.
    pub(crate) violations: u64,
    /// Failed calls that were certainly not sent.
    pub(crate) unsent: u64,
    /// Failed calls whose hook may have run.
    pub(crate) sent: u64,
    /// Results that belong to another call.
    pub(crate) mismatched: u64,
    /// Failed calls by reason, with the words of the first of each.
    pub(crate) errors: BTreeMap<&'static str, (u64, String)>,
    /// In nanoseconds, to three digits.
    pub(crate) latencies: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, Failure> {
        let latencies = Histogram::new(3).map_err(std::io::Error::other);
        Ok(Self {
            allowed: 0,
            violations: 0,
            unsent: 0,
            sent: 0,
            mismatched: 0,
            errors: BTreeMap::new(),
            latencies: latencies.map_err(Failure::io("make a histogram"))?,
        })
    }

    /// Calls that returned a result.
    pub(crate) fn ok(&self) -> u64 {
        self.allowed + self.violations
    }

    pub(crate) fn failed(&self) -> u64 {
        self.sent + self.unsent
    }

    pub(crate) fn calls(&self) -> u64 {
        self.ok() + self.failed()
    }

    pub(crate) fn record<P>(
        &mut self,
        took: Duration,
        outcome: &Result<PluginResult<P>, PluginError>,
    ) {
        match outcome {
            Ok(result) => {
                let count =
                    if result.is_allowed() { &mut self.allowed } else { &mut self.violations };
                *count += 1;
                let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                // A histogram that resizes takes every value.
                let _ = self.latencies.record(nanoseconds);
            }
            Err(error) => {
                match error.sent() {
                    Sent::No => self.unsent += 1,
                    Sent::Unstarted | Sent::Maybe => self.sent += 1,
                }
                let reason = error.reason();
                self.errors.entry(reason).or_insert_with(|| (0, format!("{error:#}"))).0 += 1;
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.allowed += other.allowed;
        self.violations += other.violations;
        self.unsent += other.unsent;
        self.sent += other.sent;
        self.mismatched += other.mismatched;
        for (reason, (count, words)) in &other.errors {
            self.errors.entry(reason).or_insert_with(|| (0, words.clone())).0 += count;
        }
        let _ = self.latencies.add(&other.latencies);
    }
}

/// A tally that many tasks write to.
#[derive(Debug)]
pub(crate) struct Shared {
    shards: Vec<Mutex<Tally>>,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Result<Self, Failure> {
        let shards = (0..SHARDS).map(|_| Tally::new().map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { shards, done: AtomicU64::new(0), failed: AtomicU64::new(0) })
    }

    /// Counts one call of this caller; a result of another call is `foreign`.
    pub(crate) fn record<P>(
        &self,
        caller: usize,
        took: Duration,
        outcome: &Result<PluginResult<P>, PluginError>,
        foreign: bool,
    ) {
        let shard = &self.shards[caller % SHARDS];
        let mut tally = shard.lock().unwrap_or_else(PoisonError::into_inner);
        tally.record(took, outcome);
        tally.mismatched += u64::from(foreign);
        drop(tally);
        self.done.fetch_add(1, Relaxed);
        self.failed.fetch_add(u64::from(outcome.is_err()), Relaxed);
    }

    /// Calls that ended so far, and those of them that failed.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.failed.load(Relaxed))
    }

    pub(crate) fn sum(&self) -> Result<Tally, Failure> {
        let mut sum = Tally::new()?;
        for shard in &self.shards {
            sum.add(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(sum)
    }
}
