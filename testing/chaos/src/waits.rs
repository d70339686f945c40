//! The times in which threads waited for a processor.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Far longer than a late call goes unjudged.
const KEPT: Duration = Duration::from_secs(60);

/// The times in which a thread waited, whichever it was: in order, and apart.
#[derive(Default)]
pub(crate) struct Waits(VecDeque<(Instant, Instant)>);

impl Waits {
    /// A thread was found to have waited for so long since it was last looked at. The
    /// kernel counts a wait when it is over: so it may be longer than that is ago, and
    /// reaches back from `until`.
    pub(crate) fn note(&mut self, waited: Duration, until: Instant) {
        let began = until.checked_sub(waited).filter(|began| *began < until);
        let Some(mut from) = began else { return };
        while let Some(&(began, ended)) = self.0.back()
            && from <= ended
        {
            from = from.min(began);
            self.0.pop_back();
        }
        self.0.push_back((from, until));
        while self.0.front().is_some_and(|(_, ended)| *ended + KEPT < until) {
            self.0.pop_front();
        }
    }

    /// For how much of this time a thread waited.
    pub(crate) fn within(&self, from: Instant, to: Instant) -> Duration {
        let late_enough = self.0.iter().rev().take_while(|(_, ended)| *ended > from);
        let shares = late_enough
            .map(|&(began, ended)| ended.min(to).saturating_duration_since(began.max(from)));
        shares.sum()
    }
}
