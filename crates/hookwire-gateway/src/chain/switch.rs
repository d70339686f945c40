//! Whether a plugin with `on_error: disable` is left out.
//!
//! One atomic, no lock: it is looked at by every request. Times are microseconds since a
//! moment that the chain has chosen, never 0 here.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

const ON: u64 = 0;
const OFF_UNTIL_RESET: u64 = u64::MAX;

/// Off after an error; on again by a reset, or by a trial that succeeds.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    /// [`ON`], or until when the plugin is left out.
    until: AtomicU64,
}

/// Whether a plugin may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    On,
    /// One request may try it. Others leave it out meanwhile, and if this one comes to no end,
    /// the next one tries when the rest is over once more.
    Trial(Trial),
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trial(u64);

impl Switch {
    /// `rest` is how long the plugin is left out before it is tried; `None` is for good.
    pub(crate) fn ask(&self, now: u64, rest: Option<u64>) -> Position {
        let until = self.until.load(Acquire);
        if until == ON {
            return Position::On;
        }
        let Some(rest) = rest.filter(|_| until <= now) else { return Position::Off };
        // Whoever moves the time on is the one that tries.
        let next = after(now, Some(rest));
        match self.until.compare_exchange(until, next, AcqRel, Acquire) {
            Ok(_) => Position::Trial(Trial(next)),
            Err(ON) => Position::On,
            Err(_) => Position::Off,
        }
    }

    pub(crate) fn turn_off(&self, now: u64, rest: Option<u64>) {
        self.until.store(after(now, rest), Release);
    }

    /// A trial has succeeded. One that failed in the meantime counts for more.
    pub(crate) fn turn_on(&self, Trial(until): Trial) {
        // Another value is a later failure's, or a reset's.
        let _ = self.until.compare_exchange(until, ON, AcqRel, Acquire);
    }

    pub(crate) fn reset(&self) {
        self.until.store(ON, Release);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.until.load(Acquire) != ON
    }
}

fn after(now: u64, rest: Option<u64>) -> u64 {
    // Not `ON`, and not for good.
    rest.map_or(OFF_UNTIL_RESET, |rest| now.saturating_add(rest).clamp(1, OFF_UNTIL_RESET - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Option<u64> = Some(10);

    fn trial(position: Position) -> Trial {
        match position {
            Position::Trial(trial) => trial,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plugin_is_on_until_it_is_turned_off() {
        let switch = Switch::default();
        assert_eq!(switch.ask(0, REST), Position::On);
        switch.turn_off(0, REST);
        assert_eq!(switch.ask(9, REST), Position::Off);
        assert!(switch.is_off());
    }

    #[test]
    fn without_a_rest_only_a_reset_turns_it_on() {
        let switch = Switch::default();
        switch.turn_off(0, None);
        assert_eq!(switch.ask(u64::MAX, None), Position::Off);
        switch.reset();
        assert_eq!(switch.ask(0, None), Position::On);
    }

    #[test]
    fn after_its_rest_one_request_tries_it_and_the_others_leave_it_out() {
        let switch = Switch::default();
        switch.turn_off(0, REST);
        let trial = trial(switch.ask(10, REST));
        assert_eq!(switch.ask(10, REST), Position::Off);
        switch.turn_on(trial);
        assert_eq!(switch.ask(10, REST), Position::On);
    }

    #[test]
    fn a_trial_that_comes_to_no_end_is_followed_by_another() {
        let switch = Switch::default();
        switch.turn_off(0, REST);
        trial(switch.ask(10, REST));
        assert_eq!(switch.ask(19, REST), Position::Off);
        trial(switch.ask(20, REST));
    }

    #[test]
    fn a_late_success_does_not_undo_a_later_failure() {
        let switch = Switch::default();
        switch.turn_off(0, REST);
        let late = trial(switch.ask(10, REST));
        switch.turn_off(15, REST);
        switch.turn_on(late);
        assert_eq!(switch.ask(16, REST), Position::Off);
    }

    #[test]
    fn the_ends_of_time_are_neither_on_nor_for_good() {
        let switch = Switch::default();
        switch.turn_off(0, Some(0));
        assert!(switch.is_off());
        trial(switch.ask(1, Some(u64::MAX)));
        trial(switch.ask(u64::MAX - 1, Some(1)));
    }

    #[test]
    fn of_many_that_ask_at_once_one_tries() {
        let switch = Switch::default();
        switch.turn_off(0, REST);
        let trials = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| switch.ask(10, REST))).collect();
            asking
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|position| matches!(position, Position::Trial(_)))
                .count()
        });
        assert_eq!(trials, 1);
    }
}
