//! How old a socket may grow.

use std::time::Duration;

/// The part of its greatest age by which a socket may be younger when it is retired.
const JITTER: f64 = 0.1;

/// When a socket is too old, if it may have this age. `random` in `[0, 1)` keeps those that
/// were opened together from being replaced together.
pub(super) fn younger(age: Duration, random: f64) -> Duration {
    age.mul_f64(1.0 - JITTER * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_socket_grows_older_than_it_may_and_none_is_replaced_much_earlier() {
        let age = Duration::from_secs(100);
        assert_eq!(younger(age, 0.0), age);
        let earliest = younger(age, 1.0 - f64::EPSILON);
        assert!(earliest >= Duration::from_secs(90) && earliest < age, "{earliest:?}");
    }
}
