//! Whether a run came to all that it is there to show: a fault that is never made, or a
//! way of the client that is never taken, proves nothing.

use hookwire::PluginStats;
use serde::Serialize;

use crate::fault::{Fault, Faults};
use crate::tally::Tally;

/// From so many faults on each kind of a connection's faults must have happened, and
/// from so many on each kind of outage and each of the surest [`Ways`] too.
const OF_CONNECTIONS: u64 = 1_000;
const OF_ALL: u64 = 5_000;

/// What the client did beside calling once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ways {
    pub(crate) breaker_opened: u64,
    pub(crate) sent_again: u64,
    /// Not sent again, as the budget for it was spent.
    pub(crate) budget_spent: u64,
    /// Questions that the client asked by itself, at least: servers answered so many
    /// more than callers asked.
    pub(crate) probes: u64,
}

impl Ways {
    /// Adds those of one plugin, whose server answered so many questions. `tally` is
    /// what the callers of its handle counted.
    pub(crate) fn add(&mut self, stats: &PluginStats, tally: &Tally, questions: u64) {
        self.breaker_opened += stats.breaker_opened;
        self.sent_again += stats.retries;
        self.budget_spent += stats.retries_refused;
        let asked = ["config", "config_failed", "config_unprovable"];
        let asked: u64 = asked.iter().map(|outcome| tally.of(outcome)).sum();
        self.probes += questions.saturating_sub(asked);
    }

    /// Those that a run cannot miss. That a budget is spent is a matter of chance: ten
    /// calls in a second may be sent again whatever it is.
    fn sure(&self) -> [(&'static str, u64); 3] {
        let Self { breaker_opened, sent_again, probes, .. } = *self;
        [("opened breaker", breaker_opened), ("call sent again", sent_again), ("probe", probes)]
    }
}

/// What a run with `drawn` faults should have come to and did not, in words.
pub(crate) fn missing(drawn: &[Fault], happened: &Faults, ways: &Ways) -> Vec<String> {
    let total = happened.total();
    let must = |fault: &&Fault| {
        total >= if fault.is_outage() { OF_ALL } else { OF_CONNECTIONS }
            && happened.of(**fault) == 0
    };
    let mut missing: Vec<_> = drawn.iter().filter(must).map(|fault| fault.name()).collect();
    // A run with some kinds only looks at those.
    if total >= OF_ALL && drawn.len() == Fault::drawn().count() {
        let never = ways.sure().into_iter().filter(|(_, count)| *count == 0);
        missing.extend(never.map(|(what, _)| what.to_owned()));
    }
    missing
}
