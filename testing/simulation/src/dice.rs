//! What is drawn, all of it from the seed of the run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Dice for one thing, apart from all others: what is left out of a run moves nothing
/// else.
pub fn dice(seed: u64, what: &str, number: u64) -> fastrand::Rng {
    let mut hasher = DefaultHasher::new();
    (seed, what, number).hash(&mut hasher);
    fastrand::Rng::with_seed(hasher.finish())
}

/// True in `percent` of all cases.
pub fn chance(rng: &mut fastrand::Rng, percent: u32) -> bool {
    rng.u32(0..100) < percent
}
