//! How long to wait between two attempts to connect.
//!
//! Full jitter: a random point between zero and an exponentially growing bound,
//! so that many clients of one restarted server do not come back in lockstep.

use std::time::Duration;

/// An exponential backoff that never exceeds its cap.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    /// Failures since the last reset.
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Counts a failure. `random` in `[0, 1)` picks the point below the bound.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// `min(cap, base * 2^failures)`.
    fn bound(&self) -> Duration {
        2_u32
            .checked_pow(self.failures)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |bound| bound.min(self.cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Promise: R5
    #[test]
    fn the_bound_doubles_up_to_the_cap_and_starts_anew_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let bounds: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(1.0).as_millis(), 100);
    }

    proptest! {
        // Promise: M3, R5
        #[test]
        fn no_delay_is_ever_above_the_cap(
            base in 1_u64..100_000, cap in 1_u64..100_000, failures in 0_u32..100, random in 0.0..1.0,
        ) {
            let cap = Duration::from_millis(cap);
            let mut backoff = Backoff::new(Duration::from_millis(base), cap);
            for _ in 0..failures {
                backoff.next(random);
            }
            prop_assert!(backoff.next(random) <= cap);
        }

        /// The bound in arithmetic that cannot overflow.
        // Promise: M3
        #[test]
        fn a_delay_is_its_part_of_a_bound_that_doubles_up_to_the_cap(
            base in 1_u64..100_000, cap in 1_u64..10_000_000, failures in 0_u32..100, random in 0.0..1.0,
        ) {
            let mut backoff = Backoff::new(Duration::from_millis(base), Duration::from_millis(cap));
            for _ in 0..failures {
                backoff.next(random);
            }
            let bound = (u128::from(base) << failures.min(64)).min(u128::from(cap));
            let bound = Duration::from_millis(bound as u64);
            prop_assert_eq!(backoff.clone().next(1.0), bound);
            prop_assert_eq!(backoff.next(random), bound.mul_f64(random));
        }
    }
}
