//! How soon calls succeed after a server's return.
//!
//! A few seekers for each plugin call again and again, as soon as its server is
//! back, until they get an answer. What counts is when they have it.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::{Bench, call_once};
use crate::outage::Return;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::target::Target;
use crate::work::Marker;

pub(crate) const SEEKERS: u32 = 8;

/// Between two calls of a seeker.
const PAUSE: Duration = Duration::from_millis(5);

/// When a seeker gives up.
const LONG: Duration = Duration::from_secs(10);

/// What seekers saw.
pub(crate) struct Recovery {
    outages: u64,
    /// Until a seeker had its answer, in µs.
    times: Histogram<u64>,
    within_a_second: u64,
    /// Answered or not.
    seekers: u64,
}

/// How soon there were answers after the servers' returns.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) outages: u64,
    /// Of the seekers, those that had one within a second.
    pub(crate) within_a_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            outages: 0,
            times: Histogram::new(3).expect("a valid precision"),
            within_a_second: 0,
            seekers: 0,
        }
    }
}

impl Recovery {
    pub(crate) fn figures(&self) -> Figures {
        let at = |quantile| Duration::from_micros(self.times.value_at_quantile(quantile));
        Figures {
            outages: self.outages,
            within_a_second: self.within_a_second as f64 / self.seekers.max(1) as f64,
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.outages += other.outages;
        self.times.add(&other.times).expect("the same precision");
        self.within_a_second += other.within_a_second;
        self.seekers += other.seekers;
    }

    pub(crate) fn seeker(&mut self, took: Option<Duration>) {
        self.seekers += 1;
        if let Some(took) = took {
            self.times.record(took.as_micros() as u64).expect("a histogram that grows");
            self.within_a_second += u64::from(took <= Duration::from_secs(1));
        }
    }
}

/// Seeks the plugin at `index` after each return of its server. `first` is the first
/// of the seekers among the callers.
pub(crate) async fn seek<T: Target>(
    targets: Arc<[T]>,
    index: usize,
    bench: Bench,
    first: u32,
    mut returns: mpsc::Receiver<Return>,
) -> (Tally, Recovery) {
    let (mut tally, mut recovery) = (Tally::default(), Recovery::default());
    let mut numbers = [0; SEEKERS as usize];
    while let Some(Return { at, found }) = returns.recv().await {
        recovery.outages += 1;
        let mut seekers = JoinSet::new();
        for (seeker, number) in numbers.iter().enumerate() {
            let next = Marker { caller: first + seeker as u32, number: *number, may_repeat: false };
            let (targets, bench) = (Arc::clone(&targets), bench.clone());
            seekers.spawn(async move {
                let (calls, took) = until_answered(&targets[index], &bench, next, at).await;
                (seeker, calls, took)
            });
        }
        while let Some(ended) = seekers.join_next().await {
            let (seeker, calls, took) = ended.expect("a seeker does not panic");
            numbers[seeker] += calls.calls as u32;
            tally.add(calls);
            recovery.seeker(took);
        }
        drop(found);
    }
    (tally, recovery)
}

/// Calls until there is an answer: how long after the return that was.
async fn until_answered<T: Target>(
    target: &T,
    bench: &Bench,
    mut marker: Marker,
    returned: Instant,
) -> (Tally, Option<Duration>) {
    let mut tally = Tally::default();
    while returned.elapsed() < LONG {
        call_once(target, &Plan::plain(), marker, bench, &mut tally).await;
        marker.number += 1;
        if tally.of("allowed") + tally.of("denied") + tally.of("plugin_error") > 0 {
            return (tally, Some(returned.elapsed()));
        }
        sleep(PAUSE).await;
    }
    (tally, None)
}
