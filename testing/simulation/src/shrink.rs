//! Makes a run that fails short, and keeps it failing.

use crate::mood::Fault;
use crate::run::{Limits, run};

/// The least of `limits` with which the seed still breaks the same invariant; `None` if it
/// breaks none.
pub fn shrink(seed: u64, limits: &Limits) -> Option<Limits> {
    let invariant = run(seed, limits).broken?.invariant;
    let fails = |limits: Limits| {
        let broken = run(seed, &limits).broken;
        broken.is_some_and(|broken| broken.invariant == invariant).then_some(limits)
    };
    Some(least(*limits, fails))
}

/// `fails` gives the limits back with which a run fails.
fn least(mut best: Limits, fails: impl Fn(Limits) -> Option<Limits>) -> Limits {
    // A run of fewer steps is the beginning of the longer one.
    let mut too_few = best.first;
    while too_few + 1 < best.steps {
        let steps = too_few.midpoint(best.steps);
        match fails(Limits { steps, ..best }) {
            Some(fewer) => best = fewer,
            None => too_few = steps,
        }
    }
    let later = (best.first + 1..best.steps).rev();
    if let Some(later) = later.map(|first| Limits { first, ..best }).find_map(&fails) {
        best = later;
    }
    while best.callers > 1
        && let Some(fewer) = fails(Limits { callers: best.callers / 2, ..best })
    {
        best = fewer;
    }
    for fault in Fault::of(best.over) {
        let faults = best.faults.without(fault);
        if faults != best.faults {
            best = fails(Limits { faults, ..best }).unwrap_or(best);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Over;
    use crate::mood::Faults;

    #[test]
    fn what_has_no_part_in_a_failure_is_left_out() {
        let fails = |limits: Limits| {
            let has = limits.faults.has(Fault::Hang) && limits.callers >= 7;
            (has && limits.first <= 4 && limits.steps > 5).then_some(limits)
        };
        let all = Limits::of(Over::Socket);
        let least = least(all, fails);
        let faults = Faults::NONE.with(Fault::Hang);
        let expected = Limits { first: 4, steps: 6, callers: 12, faults, ..all };
        assert_eq!(least, expected);
    }
}
