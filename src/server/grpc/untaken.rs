//! Whether replies are taken in time, without a timer for each of them.
//!
//! Time is cut into periods, and a reply counts for the one in which it begins. One that is
//! still there when the next period ends is older than a period, and younger than two.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Replies that are on their way, by period.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    period: AtomicUsize,
    /// Those of this period and of the one before, in turn.
    replies: [AtomicUsize; 2],
}

/// The period in which a reply began.
#[derive(Debug)]
pub(super) struct Period(usize);

impl Untaken {
    pub(super) fn begin(&self) -> Period {
        let period = self.period.load(Relaxed) % 2;
        self.replies[period].fetch_add(1, Relaxed);
        Period(period)
    }

    pub(super) fn end(&self, Period(period): &Period) {
        self.replies[*period].fetch_sub(1, Relaxed);
    }

    /// Begins another period, unless a reply of the one before this is still there. Whether
    /// one is.
    pub(super) fn next(&self) -> bool {
        let next = self.period.load(Relaxed).wrapping_add(1);
        if self.replies[next % 2].load(Relaxed) > 0 {
            return true;
        }
        self.period.store(next, Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_overdue_when_the_period_after_its_own_has_ended() {
        let untaken = Untaken::default();
        assert!(!untaken.next());
        let early = untaken.begin();
        assert!(!untaken.next());
        assert!(untaken.next() && untaken.next(), "it stays so");
        untaken.end(&early);
        assert!(!untaken.next());
    }

    #[test]
    fn replies_that_are_taken_hide_none_that_is_not() {
        let untaken = Untaken::default();
        let slow = untaken.begin();
        for _ in 0..3 {
            untaken.end(&untaken.begin());
        }
        assert!(!untaken.next());
        let other = untaken.begin();
        untaken.end(&slow);
        assert!(!untaken.next());
        untaken.end(&untaken.begin());
        assert!(untaken.next());
        untaken.end(&other);
        assert!(!untaken.next());
    }
}
