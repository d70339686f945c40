use proptest::prelude::*;

use super::*;
use ConnectionState::{Connecting, Idle, Ready, TransientFailure};

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(1);

fn machine(attempts: u32) -> Reconnect {
    Reconnect::new(Backoff::new(BASE, CAP), attempts)
}

/// An attempt that fails, with the jitter at its upper end, while no socket was ever open.
fn fail(machine: &mut Reconnect) -> Wait {
    machine.failed(0, true, 1.0)
}

fn wait(millis: u64, give_up: bool) -> Wait {
    Wait { delay: Duration::from_millis(millis), give_up }
}

#[test]
fn after_as_many_failures_in_a_row_as_configured_calls_fail_fast() {
    let mut machine = machine(3);
    let waits = [(); 3].map(|()| fail(&mut machine));
    assert_eq!(waits, [wait(100, false), wait(200, false), wait(400, true)]);
    assert!(machine.is_failing_fast());
}

#[test]
fn no_attempts_configured_means_that_the_first_failure_is_final() {
    assert_eq!(fail(&mut machine(0)), wait(100, true));
}

// Promise: H8
#[test]
fn while_failing_fast_the_attempts_go_on_without_demand_and_stay_below_the_cap() {
    let mut machine = machine(1);
    for _ in 0..20 {
        let Wait { delay, give_up } = fail(&mut machine);
        assert!(delay <= CAP && give_up);
        machine.elapsed();
        assert!(machine.is_failing_fast(), "so the supervisor tries again");
    }
    machine.opened();
    assert!(!machine.is_failing_fast());
}

// Promise: H18
#[test]
fn a_busy_server_is_waited_for_and_never_fails_fast() {
    let mut machine = machine(2);
    for _ in 0..10 {
        assert!(!machine.failed(0, false, 1.0).give_up);
    }
}

#[test]
fn without_demand_a_failed_connection_becomes_idle_and_remembers_its_failures() {
    let mut machine = machine(3);
    fail(&mut machine);
    assert_eq!(machine.state(false, false), TransientFailure);
    machine.elapsed();
    assert_eq!(machine.state(false, false), Idle);
    assert_eq!(fail(&mut machine), wait(200, false));
}

// Promise: T6
#[test]
fn a_server_that_accepts_and_closes_is_backed_off_from() {
    let mut machine = machine(3);
    let waits = [1, 2, 3].map(|socket| {
        machine.elapsed();
        machine.opened();
        machine.failed(socket, true, 1.0)
    });
    assert_eq!(waits, [wait(100, false), wait(200, false), wait(400, true)]);
}

// Promise: H8
#[test]
fn a_good_reply_and_nothing_less_forgets_the_failures() {
    let mut machine = machine(5);
    fail(&mut machine);
    fail(&mut machine);
    machine.opened();
    assert_eq!(machine.failures(), 2);
    machine.proven(1);
    assert_eq!(machine.failures(), 0);
    assert_eq!(fail(&mut machine), wait(100, false));
}

/// It shows that the server works, not that another connection could be made.
#[test]
fn a_good_reply_on_a_socket_from_before_the_failure_forgets_nothing() {
    let mut machine = machine(5);
    machine.opened();
    machine.failed(1, true, 1.0);
    machine.proven(1);
    assert_eq!(machine.failures(), 1);
    machine.proven(2);
    assert_eq!(machine.failures(), 0);
}

#[test]
fn the_state_is_that_of_the_best_socket() {
    let mut machine = machine(3);
    assert_eq!(machine.state(false, false), Idle);
    fail(&mut machine);
    assert_eq!(machine.state(false, false), TransientFailure);
    assert_eq!(machine.state(false, true), Connecting);
    assert_eq!(machine.state(true, true), Ready);
}

/// What a supervisor can tell it.
#[derive(Debug, Clone)]
enum Event {
    Opened,
    Failed { counts: bool },
    Proven { back: u64 },
    LostAll,
    Elapsed,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Opened),
        4 => any::<bool>().prop_map(|counts| Event::Failed { counts }),
        1 => (0_u64..3).prop_map(|back| Event::Proven { back }),
        1 => Just(Event::LostAll),
        2 => Just(Event::Elapsed),
    ]
}

proptest! {
    /// Beside a model that keeps the whole history and counts anew every time.
    // Promise: M2
    #[test]
    fn whatever_can_happen_a_connection_does_what_its_model_says(
        attempts in 0_u32..5,
        events in proptest::collection::vec((any_event(), 0.0_f64..1.0), 0..100),
    ) {
        let mut machine = machine(attempts);
        let mut sockets = 0;
        // Failures since the last good reply: whether each counts.
        let mut history: Vec<bool> = Vec::new();
        let (mut failed_at, mut failing_fast, mut waits) = (0, false, false);
        for (event, random) in events {
            match event {
                Event::Opened => {
                    sockets += 1;
                    failing_fast = false;
                    machine.opened();
                }
                Event::Failed { counts } => {
                    let bound = BASE.as_millis() << history.len().min(20);
                    let bound = Duration::from_millis(bound.min(CAP.as_millis()) as u64);
                    history.push(counts);
                    let failures = history.iter().filter(|counts| **counts).count();
                    failing_fast = failures >= attempts.max(1) as usize;
                    (failed_at, waits) = (sockets, true);
                    let delay = bound.mul_f64(random);
                    let expected = Wait { delay, give_up: failing_fast };
                    prop_assert_eq!(machine.failed(sockets, counts, random), expected);
                }
                Event::Proven { back } => {
                    let socket = u64::saturating_sub(sockets, back);
                    if socket > failed_at {
                        history.clear();
                    }
                    machine.proven(socket);
                }
                Event::LostAll => {
                    history.clear();
                    machine.lost_all();
                }
                Event::Elapsed => {
                    waits = false;
                    machine.elapsed();
                }
            }
            let failures = history.iter().filter(|counts| **counts).count();
            prop_assert_eq!(machine.failures() as usize, failures);
            prop_assert_eq!(machine.is_failing_fast(), failing_fast);
            let state = if waits { TransientFailure } else { Idle };
            prop_assert_eq!(machine.state(false, false), state);
        }
    }
}

#[test]
fn states_have_stable_words_and_one_of_them_is_ready() {
    let words = ["idle", "connecting", "ready", "transient_failure", "shutdown"];
    assert_eq!(ConnectionState::ALL.map(ConnectionState::as_str), words);
    let ready = ConnectionState::ALL.map(ConnectionState::is_ready);
    assert_eq!(ready, [false, false, true, false, false]);
}
