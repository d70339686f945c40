use proptest::prelude::*;

use super::*;

const THRESHOLD: u32 = 3;
const CAP: Duration = Duration::from_secs(30);
/// The longest trial.
const TRIAL: Duration = Duration::from_secs(32);
const TIMELY: Signal = Signal::Reply { timely: true };
const LATE: Signal = Signal::Reply { timely: false };
const SECOND: Duration = Duration::from_secs(1);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn unreachable(broken: bool) -> Signal {
    Signal::Unreachable { attempts: 3, next: secs(2), broken }
}

/// A breaker that was sent these signals at time 0, with the jitter at its upper end.
fn after(signals: &[Signal]) -> Breaker {
    let mut breaker = Breaker::new(THRESHOLD, CAP, TRIAL);
    signals.iter().for_each(|&signal| breaker.on(signal, Duration::ZERO, 1.0));
    breaker
}

fn unresponsive(missing: u32, after: Option<Duration>) -> Verdict {
    Verdict::Refuse(Reason::Unresponsive { missing }, after)
}

#[test]
fn servers_none_of_which_answers_open_it_at_once_and_a_trial_without_a_reply_rests_longer() {
    let mut breaker = after(&[Signal::AllMissing { missing: 7 }]);
    assert_eq!(breaker.admit(Duration::ZERO), unresponsive(7, Some(SECOND)));
    assert!(matches!(breaker.admit(SECOND), Verdict::Trial(_)));
    breaker.on(Signal::AllMissing { missing: 8 }, SECOND, 1.0);
    assert_eq!(breaker.admit(SECOND), unresponsive(8, Some(secs(2))));
    breaker.on(TIMELY, SECOND, 1.0);
    assert_eq!(breaker.state(), BreakerState::Closed);

    let mut never = Breaker::new(0, CAP, TRIAL);
    never.on(Signal::AllMissing { missing: 7 }, Duration::ZERO, 1.0);
    assert_eq!(never.state(), BreakerState::Closed);
}

#[test]
fn as_many_missing_replies_in_a_row_as_configured_open_it() {
    let mut breaker = after(&[Signal::Missing; 2]);
    assert_eq!(breaker.admit(Duration::ZERO), Verdict::Pass);
    breaker.on(Signal::Missing, Duration::ZERO, 1.0);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.admit(Duration::ZERO), unresponsive(3, Some(SECOND)));
}

#[test]
fn a_rest_is_shorter_by_chance_and_never_by_more_than_half() {
    for (random, rest) in [(0.0, 500), (0.5, 750), (1.0, 1000)] {
        let mut breaker = after(&[Signal::Missing; 2]);
        breaker.on(Signal::Missing, Duration::ZERO, random);
        let rest = Duration::from_millis(rest);
        assert_eq!(breaker.admit(Duration::ZERO), unresponsive(3, Some(rest)), "{random}");
    }
}

#[test]
fn states_have_stable_words() {
    let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
    assert_eq!(states.map(BreakerState::as_str), ["closed", "open", "half_open"]);
    assert_eq!(states.map(|state| state.to_string()), ["closed", "open", "half_open"]);
}

#[test]
fn a_reply_in_time_starts_the_count_anew_and_a_late_one_does_not() {
    let missing = Signal::Missing;
    let mut breaker = after(&[missing, missing, TIMELY, missing, missing]);
    assert_eq!(breaker.admit(Duration::ZERO), Verdict::Pass);
    let mut late = after(&[missing, missing, LATE, missing]);
    assert_eq!(late.admit(Duration::ZERO), unresponsive(3, Some(SECOND)));
}

#[test]
fn with_a_threshold_of_0_silence_never_opens_it() {
    let mut breaker = Breaker::new(0, CAP, TRIAL);
    for _ in 0..100 {
        breaker.on(Signal::Missing, Duration::ZERO, 1.0);
    }
    assert_eq!(breaker.admit(Duration::ZERO), Verdict::Pass);
}

#[test]
fn after_the_rest_one_call_is_on_trial_and_the_others_are_refused() {
    let mut breaker = after(&[Signal::Missing; 3]);
    assert_eq!(breaker.admit(SECOND), Verdict::Trial(1));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(breaker.admit(SECOND + TRIAL - Duration::from_nanos(1)), unresponsive(3, None));
    for reply in [TIMELY, LATE] {
        let mut breaker = breaker.clone();
        breaker.on(reply, SECOND, 1.0);
        assert_eq!(breaker.admit(SECOND), Verdict::Pass);
    }
}

#[test]
fn every_trial_without_a_reply_doubles_the_rest_up_to_the_cap() {
    let mut breaker = after(&[Signal::Missing; 3]);
    let mut now = Duration::ZERO;
    for (missing, rest) in (3..).zip([1, 2, 4, 8, 16, 30, 30]) {
        assert_eq!(breaker.admit(now), unresponsive(missing, Some(secs(rest))));
        now += secs(rest);
        assert!(matches!(breaker.admit(now), Verdict::Trial(_)));
        breaker.on(Signal::Missing, now, 1.0);
    }
    breaker.on(TIMELY, now, 1.0);
    for _ in 0..3 {
        breaker.on(Signal::Missing, now, 0.0);
    }
    // The shortest first rest: it began anew.
    assert_eq!(breaker.admit(now), unresponsive(3, Some(SECOND / 2)));
}

#[test]
fn a_trial_of_which_nothing_was_heard_gives_its_turn_to_the_next_call() {
    let mut breaker = after(&[Signal::Missing; 3]);
    assert_eq!(breaker.admit(SECOND), Verdict::Trial(1));
    breaker.on(Signal::TrialOver(1), SECOND, 1.0);
    assert_eq!(breaker.admit(SECOND), Verdict::Trial(2));
    // The first one again, as it would be if its end were told late.
    breaker.on(Signal::TrialOver(1), SECOND, 1.0);
    assert_eq!(breaker.admit(SECOND), unresponsive(3, None));
}

// Promise: B3
#[test]
fn a_trial_whose_caller_has_all_the_time_holds_up_the_others_for_a_time_only() {
    let mut breaker = after(&[Signal::Missing; 3]);
    assert_eq!(breaker.admit(SECOND), Verdict::Trial(1));
    assert_eq!(breaker.admit(SECOND + TRIAL), Verdict::Trial(2));
    // Its end is no news, and its reply is as good as any.
    breaker.on(Signal::TrialOver(1), SECOND + TRIAL, 1.0);
    assert_eq!(breaker.admit(SECOND + TRIAL), unresponsive(3, None));
    breaker.on(TIMELY, SECOND + TRIAL, 1.0);
    assert_eq!(breaker.admit(SECOND + TRIAL), Verdict::Pass);
}

#[test]
fn calls_from_before_it_opened_do_not_prolong_the_rest() {
    let mut breaker = after(&[Signal::Missing; 8]);
    assert_eq!(breaker.admit(Duration::ZERO), unresponsive(3, Some(SECOND)));
    breaker.on(Signal::Missing, SECOND, 1.0);
    assert_eq!(breaker.admit(SECOND), unresponsive(9, Some(secs(2))));
}

// Promise: B1
#[test]
fn a_plugin_that_could_not_be_reached_is_back_with_the_next_connection() {
    let mut breaker = after(&[unreachable(false)]);
    let reason = Reason::Unreachable { attempts: 3 };
    assert_eq!(breaker.admit(SECOND), Verdict::Refuse(reason, Some(SECOND)));
    assert_eq!(breaker.admit(secs(2)), Verdict::Refuse(reason, None), "it is under way");
    breaker.on(Signal::Connected, secs(2), 1.0);
    assert_eq!(breaker.admit(secs(2)), Verdict::Pass);
}

// Promise: B1
#[test]
fn where_connections_broke_a_connection_is_not_enough_and_one_call_is_risked() {
    let mut breaker = after(&[unreachable(true), Signal::Connected]);
    assert_eq!(breaker.admit(Duration::ZERO), Verdict::Trial(1));
    let refused = Verdict::Refuse(Reason::Unreachable { attempts: 3 }, None);
    assert_eq!(breaker.admit(Duration::ZERO), refused);
    breaker.on(TIMELY, Duration::ZERO, 1.0);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// A hung server is connected to all the time (its backlog takes us), and what is
/// closed for its silence looks like a connection that broke.
#[test]
fn a_connection_that_was_given_up_does_not_end_the_rest_of_a_silent_plugin() {
    let mut breaker = after(&[Signal::Missing; 3]);
    breaker.on(unreachable(true), Duration::ZERO, 1.0);
    breaker.on(Signal::Connected, Duration::ZERO, 1.0);
    assert_eq!(breaker.admit(Duration::ZERO), unresponsive(3, Some(SECOND)));
}

#[test]
fn after_its_rest_a_plugin_that_cannot_be_reached_is_refused_for_that() {
    let mut breaker = after(&[Signal::Missing; 3]);
    breaker.on(unreachable(true), SECOND / 2, 1.0);
    assert!(!breaker.is_reconnecting(), "its rest has an end of its own");
    breaker.on(unreachable(true), SECOND, 1.0);
    assert!(breaker.is_reconnecting());
}

#[test]
fn a_server_that_ends_or_comes_back_ends_the_rest() {
    for signals in [&[Signal::HungUp][..], &[LATE]] {
        let mut breaker = after(&[Signal::Missing; 3]);
        signals.iter().for_each(|&signal| breaker.on(signal, Duration::ZERO, 1.0));
        assert_eq!(breaker.admit(Duration::ZERO), Verdict::Trial(1), "{signals:?}");
    }
    let mut breaker = after(&[Signal::Missing; 3]);
    breaker.on(unreachable(false), Duration::ZERO, 1.0);
    breaker.on(Signal::Connected, Duration::ZERO, 1.0);
    assert_eq!(breaker.admit(Duration::ZERO), Verdict::Pass, "a new server");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Signal(Signal),
    /// Ends the trial that is under way, if one is.
    EndTrial,
    Call,
}

fn any_step() -> impl Strategy<Value = Step> {
    let signal = prop_oneof![
        any::<bool>().prop_map(unreachable),
        Just(Signal::Connected),
        Just(Signal::HungUp),
        Just(Signal::Missing),
        Just(Signal::Missing),
        any::<bool>().prop_map(|timely| Signal::Reply { timely }),
        Just(Signal::Reset),
    ];
    prop_oneof![4 => signal.prop_map(Step::Signal), 1 => Just(Step::EndTrial), 3 => Just(Step::Call)]
}

/// What may be said of a breaker from what it was told alone, however it works inside.
#[derive(Debug, Default)]
struct Model {
    /// Missing replies since the last sign that all is well.
    missing: u32,
    /// It was told of trouble since then: only now may a call be refused.
    trouble: bool,
    /// The last it heard of connecting was that no connection could be made at all.
    absent: bool,
    /// The call that was let through on trial and may still bring a verdict.
    trial: Option<u64>,
    /// Until then it is the only one.
    trial_until: Duration,
    trials: u64,
}

impl Model {
    /// Whether this may close the breaker.
    fn is_good_news(&self, signal: Signal) -> bool {
        match signal {
            Signal::Reply { timely } => timely || self.trial.is_some(),
            Signal::Connected => self.absent,
            Signal::Reset => true,
            _ => false,
        }
    }

    fn on(&mut self, signal: Signal) {
        match signal {
            Signal::Missing => {
                self.missing += 1;
                self.trouble |= self.missing >= THRESHOLD;
                self.trial = None;
            }
            Signal::Unreachable { broken, .. } => {
                self.absent = !broken;
                self.trouble = true;
                self.trial = None;
            }
            Signal::Reply { .. } => self.trial = None,
            _ => {}
        }
    }
}

proptest! {
    /// Whatever is heard in whatever order: nobody is refused without a reason, there is
    /// one trial at a time, no rest is above the cap, a reply in time closes it, and
    /// from every state it takes one connection, the longest rest and one reply at the
    /// most to be back.
    // Promise: B2
    #[test]
    fn a_breaker_keeps_its_promises(
        steps in proptest::collection::vec((any_step(), 0_u64..20_000, 0.0_f64..1.0), 0..60),
    ) {
        let mut breaker = Breaker::new(THRESHOLD, CAP, TRIAL);
        let mut model = Model::default();
        let mut now = Duration::ZERO;
        for (step, wait, random) in steps {
            now += Duration::from_millis(wait);
            match step {
                Step::Signal(signal) => {
                    let was_open = breaker.state() != BreakerState::Closed;
                    breaker.on(signal, now, random);
                    if was_open && breaker.state() == BreakerState::Closed {
                        prop_assert!(model.is_good_news(signal), "{:?} closed it", signal);
                        model = Model { trials: model.trials, ..Model::default() };
                    }
                    model.on(signal);
                    if signal == TIMELY || signal == Signal::Reset {
                        prop_assert!(breaker.is_untroubled());
                        model = Model { trials: model.trials, ..Model::default() };
                    }
                }
                Step::EndTrial => {
                    let Some(number) = model.trial.take() else { continue };
                    breaker.on(Signal::TrialOver(number), now, random);
                }
                Step::Call => match breaker.admit(now) {
                    Verdict::Pass => {
                        prop_assert!(!model.trouble, "passed in trouble");
                    }
                    Verdict::Trial(number) => {
                        prop_assert!(model.trouble, "on trial for nothing");
                        let under_way = model.trial.filter(|_| now < model.trial_until);
                        prop_assert_eq!(under_way, None, "two at a time");
                        prop_assert_eq!(number, model.trials + 1);
                        model.trials = number;
                        model.trial = Some(number);
                        model.trial_until = now + TRIAL;
                    }
                    Verdict::Refuse(reason, after) => {
                        prop_assert!(model.trouble, "refused for nothing");
                        prop_assert!(after.is_none_or(|after| after <= CAP));
                        if let Reason::Unresponsive { missing } = reason {
                            prop_assert!((1..=model.missing).contains(&missing));
                        }
                    }
                },
            }
            prop_assert_eq!(breaker.state() == BreakerState::Closed, !model.trouble);

            let mut back = breaker.clone();
            back.on(Signal::Connected, now, random);
            back.on(Signal::TrialOver(model.trials), now, random);
            let verdict = back.admit(now + CAP);
            prop_assert!(!matches!(verdict, Verdict::Refuse(..)), "{:?}", verdict);
            back.on(LATE, now + CAP, random);
            prop_assert_eq!(back.admit(now + CAP), Verdict::Pass);
        }
    }
}
