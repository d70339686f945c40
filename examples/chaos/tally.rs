//! What callers counted, one tally each, added up at the end.

use std::collections::BTreeMap;

use crate::judge::Wrong;

/// Wrong answers that are told in words.
const TOLD: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    /// By how they ended.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    pub(crate) mismatched: u64,
    /// Answers to calls whose hook did not run.
    pub(crate) never_ran: u64,
    /// Calls that had to be given up on.
    pub(crate) never_ended: u64,
    /// The first wrong answers, in words.
    pub(crate) wrongs: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    pub(crate) fn wrong(&mut self, whose: &str, wrong: &Wrong) {
        match wrong {
            Wrong::Mismatched(_) => self.mismatched += 1,
            Wrong::NeverRan => self.never_ran += 1,
        }
        self.tell(format!("{whose}: {wrong}"));
    }

    pub(crate) fn tell(&mut self, what: String) {
        if self.wrongs.len() < TOLD {
            self.wrongs.push(what);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.mismatched += other.mismatched;
        self.never_ran += other.never_ran;
        self.never_ended += other.never_ended;
        other.wrongs.into_iter().for_each(|what| self.tell(what));
    }
}
