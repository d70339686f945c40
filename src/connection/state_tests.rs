use proptest::prelude::*;

use super::*;
use ConnectionState::{Connecting, Idle, Ready, Shutdown, TransientFailure};

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(1);

fn machine(attempts: u32) -> Machine {
    Machine::new(Backoff::new(BASE, CAP), attempts)
}

/// Feeds events and returns the actions, with the jitter at its upper end.
fn run(machine: &mut Machine, events: &[Event]) -> Vec<Action> {
    events.iter().map(|&event| machine.on(event, 1.0)).collect()
}

const FAILED: Event = Event::ConnectFailed { busy: false };
const BUSY: Event = Event::ConnectFailed { busy: true };
const DEMAND: Event = Event::Elapsed { demand: true };

fn wait(millis: u64, give_up: bool) -> Action {
    Action::Wait { delay: Duration::from_millis(millis), give_up }
}

#[test]
fn the_first_call_connects_and_a_second_does_not_connect_again() {
    let mut machine = machine(3);
    assert_eq!(
        run(&mut machine, &[Event::Wanted, Event::Wanted]),
        [Action::Connect, Action::Nothing]
    );
    assert_eq!(machine.state(), Connecting);
}

#[test]
fn after_as_many_failures_in_a_row_as_configured_calls_fail_fast() {
    let mut machine = machine(3);
    let actions = run(&mut machine, &[Event::Wanted, FAILED, DEMAND, FAILED, DEMAND, FAILED]);
    assert_eq!(actions[1], wait(100, false));
    assert_eq!(actions[3], wait(200, false));
    assert_eq!(actions[5], wait(400, true));
    assert!(machine.is_failing_fast());
}

#[test]
fn no_attempts_configured_means_that_the_first_failure_is_final() {
    let mut machine = machine(0);
    assert_eq!(run(&mut machine, &[Event::Wanted, FAILED])[1], wait(100, true));
}

#[test]
fn while_failing_fast_the_attempts_go_on_without_demand_and_stay_below_the_cap() {
    let mut machine = machine(1);
    run(&mut machine, &[Event::Wanted, FAILED]);
    for _ in 0..20 {
        assert_eq!(machine.on(Event::Elapsed { demand: false }, 1.0), Action::Connect);
        let Action::Wait { delay, give_up: true } = machine.on(FAILED, 1.0) else { panic!() };
        assert!(delay <= CAP);
    }
    run(&mut machine, &[DEMAND, Event::Connected]);
    assert!(!machine.is_failing_fast());
    assert_eq!(machine.state(), Ready);
}

#[test]
fn a_busy_server_is_waited_for_and_never_fails_fast() {
    let mut machine = machine(2);
    run(&mut machine, &[Event::Wanted]);
    for _ in 0..10 {
        assert!(matches!(machine.on(BUSY, 1.0), Action::Wait { give_up: false, .. }));
        machine.on(DEMAND, 1.0);
    }
}

#[test]
fn without_demand_a_failed_connection_becomes_idle_and_remembers_its_failures() {
    let mut machine = machine(3);
    run(&mut machine, &[Event::Wanted, FAILED, Event::Elapsed { demand: false }]);
    assert_eq!(machine.state(), Idle);
    assert_eq!(run(&mut machine, &[Event::Wanted, FAILED])[1], wait(200, false));
}

#[test]
fn a_proven_connection_is_reopened_at_once_if_calls_wait_and_is_quiet_if_not() {
    for (demand, state, action) in
        [(true, Connecting, Action::Connect), (false, Idle, Action::Nothing)]
    {
        let mut machine = machine(3);
        run(&mut machine, &[Event::Wanted, Event::Connected, Event::GoodReply]);
        assert_eq!(machine.on(Event::Lost { demand }, 1.0), action);
        assert_eq!(machine.state(), state);
    }
}

#[test]
fn a_server_that_accepts_and_closes_is_backed_off_from() {
    let mut machine = machine(3);
    let lost = Event::Lost { demand: true };
    let round = [DEMAND, Event::Connected, lost];
    run(&mut machine, &[Event::Wanted, Event::Connected, lost]);
    assert_eq!(machine.state(), TransientFailure);
    run(&mut machine, &round);
    assert_eq!(run(&mut machine, &round)[2], wait(400, true));
}

#[test]
fn a_good_reply_and_nothing_less_forgets_the_failures() {
    let mut machine = machine(5);
    run(&mut machine, &[Event::Wanted, FAILED, DEMAND, FAILED, DEMAND, Event::Connected]);
    assert_eq!(machine.failures(), 2);
    machine.on(Event::GoodReply, 1.0);
    assert_eq!(machine.failures(), 0);
    let lost = Event::Lost { demand: true };
    assert_eq!(run(&mut machine, &[lost, FAILED])[1], wait(100, false));
}

#[test]
fn an_idle_connection_is_closed_and_opens_again_when_wanted() {
    let mut machine = machine(3);
    run(&mut machine, &[Event::Wanted, Event::Connected]);
    assert_eq!(machine.on(Event::IdledOut, 1.0), Action::Close);
    assert_eq!(machine.on(Event::Wanted, 1.0), Action::Connect);
}

#[test]
fn shutdown_is_final() {
    let mut machine = machine(3);
    assert_eq!(machine.on(Event::ShutDown, 1.0), Action::Close);
    assert_eq!(run(&mut machine, &[Event::Wanted, Event::Connected]), [Action::Nothing; 2]);
    assert_eq!(machine.state(), Shutdown);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Wanted),
        Just(Event::Connected),
        any::<bool>().prop_map(|busy| Event::ConnectFailed { busy }),
        Just(Event::GoodReply),
        any::<bool>().prop_map(|demand| Event::Lost { demand }),
        any::<bool>().prop_map(|demand| Event::Elapsed { demand }),
        Just(Event::IdledOut),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a state that only a timer leaves has
    /// one, a state that an attempt leaves has one running, no delay is above
    /// the cap, and only a plugin that is down is failed fast.
    #[test]
    fn no_sequence_of_events_leaves_a_connection_stuck(
        attempts in 0_u32..5,
        events in proptest::collection::vec((any_event(), 0.0_f64..1.0), 0..100),
    ) {
        let mut machine = machine(attempts);
        for (event, random) in events {
            let before = machine.state();
            let action = machine.on(event, random);
            let after = machine.state();
            match action {
                Action::Connect => prop_assert_eq!(after, Connecting),
                Action::Wait { delay, .. } => {
                    prop_assert_eq!(after, TransientFailure);
                    prop_assert!(delay <= CAP);
                }
                Action::Close => prop_assert_eq!((before, after), (Ready, Idle)),
                Action::Nothing => {
                    prop_assert!(after != Connecting || before == Connecting);
                    prop_assert!(after != TransientFailure || before == TransientFailure);
                }
            }
            prop_assert_eq!(machine.is_failing_fast() && after == Ready, false);
            if machine.is_failing_fast() {
                prop_assert!(matches!(after, Connecting | TransientFailure));
                prop_assert!(machine.failures() >= attempts.max(1));
            }
        }
    }
}
