//! How soon there were answers after servers' returns, in numbers.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What seekers saw.
pub(crate) struct Recovery {
    outages: u64,
    /// Until a seeker had its answer, in µs.
    times: Histogram<u64>,
    within_a_second: u64,
    /// Had none when they gave up.
    never: u64,
}

/// The same, to be shown.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Found {
    pub(crate) outages: u64,
    /// Of the seekers, those that had an answer within a second.
    pub(crate) within_1s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Seekers that had none at all.
    pub(crate) never: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        let times = Histogram::new(3).expect("a valid precision");
        Self { outages: 0, times, within_a_second: 0, never: 0 }
    }
}

impl Recovery {
    pub(crate) fn outage(&mut self) {
        self.outages += 1;
    }

    /// A seeker had its answer after this time, or never.
    pub(crate) fn seeker(&mut self, took: Option<Duration>) {
        let Some(took) = took else {
            self.never += 1;
            return;
        };
        self.times.record(took.as_micros() as u64).expect("a histogram that grows");
        self.within_a_second += u64::from(took <= Duration::from_secs(1));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.outages += other.outages;
        self.times.add(&other.times).expect("the same precision");
        self.within_a_second += other.within_a_second;
        self.never += other.never;
    }

    pub(crate) fn found(&self) -> Found {
        let at = |quantile| (self.times.value_at_quantile(quantile) as f64 / 10.0).round() / 100.0;
        let seekers = self.times.len() + self.never;
        Found {
            outages: self.outages,
            within_1s: self.within_a_second as f64 / seekers.max(1) as f64,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            never: self.never,
        }
    }
}
