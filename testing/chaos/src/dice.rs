//! Decisions from a seed.
//!
//! Every caller and every connection of a server rolls dice of its own, so what
//! each of them decides does not depend on how the scheduler mixes them.

use std::time::Duration;

/// A generator for one caller, connection or plugin.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    /// The dice of the one that these numbers name, in the run with this seed.
    pub(crate) fn new(seed: u64, name: [u64; 2]) -> Self {
        let [first, second] = name.map(scramble);
        Self(fastrand::Rng::with_seed(scramble(scramble(seed) ^ first) ^ second))
    }

    /// A number from `0` to `end`, which is left out.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        self.0.usize(least..=most)
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// A wait; short ones are as likely as long ones.
    pub(crate) fn millis(&mut self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least * (most / least).powf(self.0.f64()) / 1e3)
    }

    /// How often something of this chance (one in `mean`) does not happen before it does.
    pub(crate) fn gap(&mut self, mean: f64) -> usize {
        (-mean * (1.0 - self.0.f64()).ln()) as usize
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill(&mut bytes);
        bytes
    }
}

/// Numbers that are close to each other become numbers that are not.
pub(crate) fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
