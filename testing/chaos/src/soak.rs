//! What the process holds, second by second, and whether that stays flat.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::interval;

use crate::caller::Bench;
use crate::process::{Holdings, resident};

/// One second of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) resident: usize,
    pub(crate) holdings: Holdings,
    /// Hooks that ran until now.
    pub(crate) executions: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

/// One of the things that are to stay flat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drift {
    pub(crate) what: &'static str,
    /// The median of the time after the warm-up.
    pub(crate) median: f64,
    /// How far the median of a part of that time is from it at the most, as a fraction.
    pub(crate) worst: f64,
}

/// What may be drifted to either side.
pub(crate) const FLAT: f64 = 0.05;

/// The time after the warm-up is cut into at most ten parts, of at least five minutes:
/// how many sockets are open swings with the outages, minute by minute.
const PARTS: usize = 10;
const PART: usize = 300;

impl Samples {
    /// With room for so many, so that the samples are no growth themselves.
    pub(crate) fn with_room(seconds: usize) -> Self {
        Self(Vec::with_capacity(seconds))
    }

    /// Takes one each second until `end`; late calls are judged on the way.
    pub(crate) async fn take_until(&mut self, end: impl Future<Output = ()>, bench: &Bench) {
        let mut end = pin!(end);
        let mut seconds = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = seconds.tick() => {}
            }
            bench.lateness.settle();
            self.0.push(Sample {
                resident: resident(),
                holdings: Holdings::now(&Handle::current()),
                executions: bench.ledger.executions().all,
            });
        }
    }

    pub(crate) fn all(&self) -> &[Sample] {
        &self.0
    }

    /// How flat each of them is after the warm-up, the first tenth of the time;
    /// nothing if the run was too short to say.
    pub(crate) fn drifts(&self) -> Vec<Drift> {
        self.drifts_in(PART)
    }

    /// The same in parts of at least so many seconds, where nothing swings.
    pub(crate) fn drifts_in(&self, part: usize) -> Vec<Drift> {
        let settled = &self.0[self.0.len() / 10..];
        let parts = (settled.len() / part).min(PARTS);
        if parts < 2 {
            return Vec::new();
        }
        let drift = |what, of: fn(&Sample) -> usize| {
            let median_of = |samples: &[Sample]| median(samples.iter().map(of).collect());
            let median = median_of(settled);
            let medians = settled.chunks(settled.len().div_ceil(parts)).map(median_of);
            let worst = medians.map(|part| (part / median - 1.0).abs()).fold(0.0, f64::max);
            Drift { what, median, worst }
        };
        vec![
            drift("resident bytes", |sample| sample.resident),
            drift("open files", |sample| sample.holdings.fds),
            drift("tasks", |sample| sample.holdings.tasks),
        ]
    }

    pub(crate) fn csv(&self) -> String {
        let mut text =
            "second,resident_bytes,allocated_bytes,open_files,tasks,hooks_run\n".to_owned();
        for (second, sample) in self.0.iter().enumerate() {
            let Sample { resident, holdings: Holdings { tasks, fds, bytes }, executions } = sample;
            // A String takes whatever it is given.
            let _ = writeln!(text, "{second},{resident},{bytes},{fds},{tasks},{executions}");
        }
        text
    }
}

fn median(mut values: Vec<usize>) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl Fn(usize) -> usize) -> Samples {
        let holdings = Holdings { tasks: 7, fds: 9, bytes: 0 };
        let sample = |second| Sample { resident: resident(second), holdings, executions: 0 };
        Samples((0..1_000).map(sample).collect())
    }

    #[test]
    fn what_grows_by_a_quarter_is_not_flat() {
        let drifts = samples(|second| 100_000 + 25 * second).drifts();
        assert_eq!(drifts.iter().filter(|drift| drift.worst > FLAT).count(), 1, "{drifts:?}");
    }

    #[test]
    fn what_swings_around_the_same_value_is_flat() {
        let swings = samples(|second| 100_000 + 30_000 * (second % 2)).drifts();
        let grows_at_first = samples(|second| second.min(90) * 1_000 + 50_000).drifts();
        for drift in swings.iter().chain(&grows_at_first) {
            assert!(drift.worst <= FLAT, "{drift:?}");
        }
    }
}
