//! What callers counted, one tally each, added up at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::Wrong;

/// Wrong answers that are told in words.
const TOLD: usize = 10;

/// Ways to end for which there is room from the beginning. There are thousands of
/// tallies: if each took memory when its callers see a rare end for the first time, a
/// long run would look like one that leaks.
const ENDS: usize = 24;

#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    outcomes: Vec<(&'static str, u64)>,
    pub(crate) mismatched: u64,
    /// Answers to calls whose hook did not run.
    pub(crate) never_ran: u64,
    /// Answers that their servers took back, or never gave.
    pub(crate) void: u64,
    /// Calls that timed out before their deadline.
    pub(crate) too_soon: u64,
    /// Calls that a server answered long after another had replaced it.
    pub(crate) outdated: u64,
    /// The longest after it was replaced that a call was made which a server answered.
    pub(crate) stalest: Duration,
    /// Calls that were lost with their connection and may have been begun.
    pub(crate) lost_heads: u64,
    /// Calls that had to be given up on.
    pub(crate) never_ended: u64,
    /// The first wrong answers, in words.
    pub(crate) wrongs: Vec<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            calls: 0,
            outcomes: Vec::with_capacity(ENDS),
            mismatched: 0,
            never_ran: 0,
            void: 0,
            too_soon: 0,
            outdated: 0,
            stalest: Duration::ZERO,
            lost_heads: 0,
            never_ended: 0,
            wrongs: Vec::new(),
        }
    }
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: &'static str) {
        self.count_many(outcome, 1);
    }

    fn count_many(&mut self, outcome: &'static str, count: u64) {
        match self.outcomes.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, known)) => *known += count,
            None => self.outcomes.push((outcome, count)),
        }
    }

    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.outcomes.iter().find(|(known, _)| *known == outcome).map_or(0, |(_, count)| *count)
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.outcomes.capacity()
    }

    /// How calls ended, and how many.
    pub(crate) fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        self.outcomes.iter().copied().collect()
    }

    pub(crate) fn wrong(&mut self, whose: &str, wrong: &Wrong) {
        match wrong {
            Wrong::Mismatched(_) => self.mismatched += 1,
            Wrong::NeverRan => self.never_ran += 1,
            Wrong::Void => self.void += 1,
            Wrong::TooSoon => self.too_soon += 1,
            Wrong::Outdated(_) => self.outdated += 1,
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
            self.count_many(outcome, count);
        }
        self.mismatched += other.mismatched;
        self.never_ran += other.never_ran;
        self.void += other.void;
        self.too_soon += other.too_soon;
        self.outdated += other.outdated;
        self.stalest = self.stalest.max(other.stalest);
        self.lost_heads += other.lost_heads;
        self.never_ended += other.never_ended;
        other.wrongs.into_iter().for_each(|what| self.tell(what));
    }
}
