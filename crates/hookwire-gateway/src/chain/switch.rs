//! Whether a plugin with `on_error: disable` is left out.
//!
//! Atomics, no lock: it is looked at by every request. Times are microseconds since a moment
//! that the chain has chosen.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

/// Set while the plugin is on: the rest is how often it was turned on again.
const ON: u64 = 1 << 63;
const OFF_UNTIL_RESET: u64 = ON - 1;

/// Off after an error; on again by a reset, or by a trial that succeeds.
#[derive(Debug)]
pub(crate) struct Switch {
    /// [`ON`], or until when the plugin is left out.
    state: AtomicU64,
    /// How often it was turned on again.
    returns: AtomicU64,
}

impl Default for Switch {
    fn default() -> Self {
        Self { state: AtomicU64::new(ON), returns: AtomicU64::new(0) }
    }
}

/// One call's leave to ask the plugin. Dropped without a word about the plugin, it changes
/// nothing: a trial is given back, and the next request has it.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// As of when the call began: what a failure tells of an earlier time counts no more.
    returns: u64,
    trial: Option<Trial>,
}

/// Others leave the plugin out meanwhile.
#[derive(Debug)]
struct Trial {
    switch: Arc<Switch>,
    before: u64,
    taken: u64,
    /// Whether it is to be given back.
    open: bool,
}

impl Switch {
    /// Whether [`ask`](Self::ask) would let a call pass now, as far as it can be told.
    pub(crate) fn may_pass(&self, now: impl FnOnce() -> u64, rest: Option<u64>) -> bool {
        let state = self.state.load(Acquire);
        state >= ON || rest.is_some() && state <= now()
    }

    /// Leave to call the plugin now; `None` if it is left out. `rest` is how long it is left
    /// out before it is tried; `None` is for good.
    pub(crate) fn ask(
        self: &Arc<Self>,
        now: impl FnOnce() -> u64,
        rest: Option<u64>,
    ) -> Option<Pass> {
        let before = self.state.load(Acquire);
        if before >= ON {
            return Some(Pass { returns: before & !ON, trial: None });
        }
        let (now, rest) = (now(), rest?);
        if before > now {
            return None;
        }
        // Whoever moves the time on is the one that tries.
        let taken = after(now, Some(rest));
        // Read before the swap: a return after that is one that this trial has not seen.
        let returns = self.returns.load(Acquire);
        match self.state.compare_exchange(before, taken, AcqRel, Acquire) {
            Ok(_) => {
                let trial = Trial { switch: Arc::clone(self), before, taken, open: true };
                Some(Pass { returns, trial: Some(trial) })
            }
            Err(state) if state >= ON => Some(Pass { returns: state & !ON, trial: None }),
            Err(_) => None,
        }
    }

    /// A call that had this pass has failed. One that began before the plugin was turned on
    /// again tells nothing of it as it is now.
    pub(crate) fn turn_off(&self, pass: Pass, now: u64, rest: Option<u64>) {
        let Pass { returns: began, trial } = pass;
        if let Some(mut trial) = trial {
            trial.open = false;
        }
        let until = after(now, rest);
        let mut state = self.state.load(Acquire);
        loop {
            let returns = if state >= ON { state & !ON } else { self.returns.load(Acquire) };
            if returns != began {
                return;
            }
            match self.state.compare_exchange(state, until, AcqRel, Acquire) {
                Ok(_) => return,
                Err(other) => state = other,
            }
        }
    }

    pub(crate) fn reset(&self) {
        let returns = self.returns.fetch_add(1, AcqRel) + 1;
        self.state.store(ON | returns, Release);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state.load(Acquire) < ON
    }
}

impl Pass {
    /// The plugin has answered. A trial that has succeeded takes it in again, but one that
    /// failed in the meantime counts for more.
    pub(crate) fn answered(self) {
        let Some(mut trial) = self.trial else { return };
        trial.open = false;
        let returns = trial.switch.returns.fetch_add(1, AcqRel) + 1;
        // Another value is a later failure's, or a reset's.
        let on = ON | returns;
        let _ = trial.switch.state.compare_exchange(trial.taken, on, AcqRel, Acquire);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.open {
            let _ = self.switch.state.compare_exchange(self.taken, self.before, AcqRel, Acquire);
        }
    }
}

fn after(now: u64, rest: Option<u64>) -> u64 {
    // Not `ON`, and not for good.
    rest.map_or(OFF_UNTIL_RESET, |rest| now.saturating_add(rest).min(OFF_UNTIL_RESET - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Option<u64> = Some(10);

    fn switch() -> Arc<Switch> {
        Arc::default()
    }

    fn ask(switch: &Arc<Switch>, now: u64) -> Option<Pass> {
        let may_pass = switch.may_pass(|| now, REST);
        let pass = switch.ask(|| now, REST);
        assert_eq!(may_pass, pass.is_some());
        pass
    }

    fn fail(switch: &Arc<Switch>, now: u64) {
        switch.turn_off(ask(switch, now).unwrap(), now, REST);
    }

    fn trial(switch: &Arc<Switch>, now: u64) -> Pass {
        let pass = ask(switch, now).unwrap();
        assert!(pass.trial.is_some());
        pass
    }

    #[test]
    fn a_plugin_is_on_until_it_is_turned_off() {
        let switch = switch();
        fail(&switch, 0);
        assert!(ask(&switch, 9).is_none());
        assert!(switch.is_off());
    }

    #[test]
    fn without_a_rest_only_a_reset_turns_it_on() {
        let switch = switch();
        switch.turn_off(ask(&switch, 0).unwrap(), 0, None);
        assert!(switch.ask(|| u64::MAX, None).is_none());
        assert!(!switch.may_pass(|| u64::MAX, None));
        switch.reset();
        assert!(switch.ask(|| 0, None).is_some());
    }

    #[test]
    fn after_its_rest_one_request_tries_it_and_the_others_leave_it_out() {
        let switch = switch();
        fail(&switch, 0);
        let trial = trial(&switch, 10);
        assert!(ask(&switch, 10).is_none());
        trial.answered();
        assert!(ask(&switch, 10).unwrap().trial.is_none());
    }

    #[test]
    fn a_trial_that_comes_to_no_end_is_followed_by_another() {
        let switch = switch();
        fail(&switch, 0);
        let _hangs = trial(&switch, 10);
        assert!(ask(&switch, 19).is_none());
        trial(&switch, 20);
    }

    #[test]
    fn a_trial_that_is_given_back_is_the_next_ones() {
        let switch = switch();
        fail(&switch, 0);
        drop(trial(&switch, 10));
        let late = trial(&switch, 10);
        let later = trial(&switch, 20);
        drop(late);
        assert!(ask(&switch, 20).is_none(), "it was another's already");
        later.answered();
        assert!(!switch.is_off());
    }

    #[test]
    fn a_trial_that_fails_is_not_given_back() {
        let switch = switch();
        fail(&switch, 0);
        switch.turn_off(trial(&switch, 10), 10, REST);
        assert!(ask(&switch, 19).is_none());
        trial(&switch, 20);
    }

    #[test]
    fn a_late_success_does_not_undo_a_later_failure() {
        let switch = switch();
        let other = ask(&switch, 0).unwrap();
        fail(&switch, 0);
        let late = trial(&switch, 10);
        switch.turn_off(other, 15, REST);
        late.answered();
        assert!(ask(&switch, 16).is_none());
    }

    #[test]
    fn a_failure_from_before_it_was_turned_on_again_counts_no_more() {
        let switch = switch();
        let [early, earlier] = [0, 0].map(|now| ask(&switch, now).unwrap());
        fail(&switch, 0);
        switch.reset();
        switch.turn_off(early, 1, REST);
        assert!(!switch.is_off());

        fail(&switch, 1);
        switch.turn_off(earlier, 5, REST);
        trial(&switch, 11).answered();
        fail(&switch, 12);
        assert!(switch.is_off());
    }

    #[test]
    fn the_ends_of_time_are_neither_on_nor_for_good() {
        let switch = switch();
        switch.turn_off(ask(&switch, 0).unwrap(), 0, Some(0));
        assert!(switch.is_off());
        let endless = switch.ask(|| 1, Some(u64::MAX)).unwrap();
        assert!(switch.is_off() && switch.ask(|| 2, REST).is_none());
        switch.turn_off(endless, u64::MAX, Some(u64::MAX));
        assert!(switch.is_off() && switch.ask(|| u64::MAX, REST).is_some());
    }

    #[test]
    fn of_many_that_ask_at_once_one_tries() {
        let switch = switch();
        fail(&switch, 0);
        let passes: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| switch.ask(|| 10, REST))).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(passes.iter().flatten().count(), 1);
    }
}
