//! Whether a run came to all that it is there to show: a fault that is never made, or a
//! way of the client that is never taken, proves nothing.

use hookwire::PluginStats;
use serde::Serialize;

use crate::fault::{Fault, Faults, Transport};
use crate::tally::Tally;

/// From so many faults on each kind of a connection's faults must have happened. From so
/// many on, each kind of outage and each of the surest [`Ways`] too, if there are so many
/// plugins: each has its own configuration and its own outages.
const OF_CONNECTIONS: u64 = 1_000;
const OF_ALL: u64 = 5_000;
/// The same of the ways over gRPC, where the usual run has fewer faults.
const OF_WAYS_OVER_GRPC: u64 = 2_000;
const PLUGINS: usize = 8;

/// What the client did beside calling once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ways {
    pub(crate) breaker_opened: u64,
    pub(crate) sent_again: u64,
    /// Not sent again, as the budget for it was spent.
    pub(crate) budget_spent: u64,
    /// Questions that the client asked by itself: servers answered so many more than
    /// callers asked.
    pub(crate) probes: u64,
}

/// What callers counted as questions of their own.
pub(crate) const QUESTIONS: [&str; 4] =
    ["config", "config_failed", "config_unprovable", "config_never_ended"];

impl Ways {
    /// Those of all plugins together. Their servers answered so many `questions`, and
    /// `tallies` is what all callers counted, those of short-lived handles too.
    pub(crate) fn of(
        plugins: impl Iterator<Item = PluginStats>,
        questions: u64,
        tallies: &[Tally],
    ) -> Self {
        let mut ways = Self::default();
        for stats in plugins {
            ways.breaker_opened += stats.breaker_opened;
            ways.sent_again += stats.retries;
            ways.budget_spent += stats.retries_refused;
        }
        let of = |tally: &Tally| QUESTIONS.iter().map(|outcome| tally.of(outcome)).sum::<u64>();
        let asked: u64 = tallies.iter().map(of).sum();
        // A question may have been sent again; not more often than anything was.
        ways.probes = questions.saturating_sub(asked + ways.sent_again);
        ways
    }

    /// Those that a run cannot miss. That a budget is spent is a matter of chance: ten
    /// calls in a second may be sent again whatever it is.
    fn sure(&self) -> [(&'static str, u64); 3] {
        let Self { breaker_opened, sent_again, probes, .. } = *self;
        [("opened breaker", breaker_opened), ("call sent again", sent_again), ("probe", probes)]
    }
}

/// What a run with `drawn` faults should have come to and did not, in words.
pub(crate) fn missing(
    drawn: &[Fault],
    plugins: usize,
    happened: &Faults,
    ways: &Ways,
) -> Vec<String> {
    let total = happened.total();
    let all = total >= OF_ALL && plugins >= PLUGINS;
    let must = |fault: &&Fault| {
        (if fault.is_outage() { all } else { total >= OF_CONNECTIONS }) && happened.of(**fault) == 0
    };
    let mut missing: Vec<_> = drawn.iter().filter(must).map(|fault| fault.name()).collect();
    // A run with some kinds only looks at those.
    let every = |transport| Fault::drawn(transport).all(|fault| drawn.contains(&fault));
    let over_grpc = every(Transport::Grpc) && total >= OF_WAYS_OVER_GRPC && plugins >= PLUGINS;
    if over_grpc || (all && every(Transport::Socket)) {
        let never = ways.sure().into_iter().filter(|(_, count)| *count == 0);
        missing.extend(never.map(|(what, _)| what.to_owned()));
    }
    missing
}
