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

/// What a connection has, and what it remembers: a model of the machine that knows no
/// states. At most one of `attempt`, `timer` and `socket` is there.
#[derive(Debug)]
struct Model {
    limit: u32,
    /// An attempt to connect is under way.
    attempt: bool,
    /// The delay before the next attempt runs.
    timer: bool,
    socket: bool,
    /// The socket has brought a good reply.
    proven: bool,
    failures: u32,
    /// How often the delay's bound has doubled.
    doublings: u32,
    failing_fast: bool,
    shut_down: bool,
}

impl Model {
    fn new(limit: u32) -> Self {
        Self {
            limit,
            attempt: false,
            timer: false,
            socket: false,
            proven: false,
            failures: 0,
            doublings: 0,
            failing_fast: false,
            shut_down: false,
        }
    }

    fn state(&self) -> ConnectionState {
        match (self.shut_down, self.attempt, self.timer, self.socket) {
            (true, ..) => Shutdown,
            (_, true, false, false) => Connecting,
            (_, false, true, false) => TransientFailure,
            (_, false, false, true) => Ready,
            (_, false, false, false) => Idle,
            _ => panic!("two things at once: {self:?}"),
        }
    }

    /// What can happen, shutting down left out: only an attempt ends in a socket or a
    /// failure, only a socket is lost, only a timer runs out. Calls come at any time, and
    /// after the end anything may.
    fn possible(&self) -> Vec<Event> {
        let mut events = vec![Event::Wanted];
        let either = [false, true];
        if self.attempt || self.shut_down {
            events.push(Event::Connected);
            events.extend(either.map(|busy| Event::ConnectFailed { busy }));
        }
        if self.timer || self.shut_down {
            events.extend(either.map(|demand| Event::Elapsed { demand }));
        }
        if self.socket || self.shut_down {
            events.extend([Event::GoodReply, Event::IdledOut]);
            events.extend(either.map(|demand| Event::Lost { demand }));
        }
        events
    }

    fn on(&mut self, event: Event, random: f64) -> Action {
        if self.shut_down {
            return Action::Nothing;
        }
        match event {
            Event::ShutDown => {
                self.shut_down = true;
                Action::Close
            }
            Event::Wanted if self.attempt || self.timer || self.socket => Action::Nothing,
            Event::Wanted => self.connect(),
            Event::Connected => {
                (self.attempt, self.socket) = (false, true);
                (self.proven, self.failing_fast) = (false, false);
                Action::Nothing
            }
            Event::ConnectFailed { busy } => {
                self.attempt = false;
                self.wait(!busy, random)
            }
            Event::GoodReply => {
                (self.proven, self.failures, self.doublings) = (true, 0, 0);
                Action::Nothing
            }
            Event::Lost { demand } => {
                self.socket = false;
                match (self.proven, demand) {
                    (false, _) => self.wait(true, random),
                    (true, true) => self.connect(),
                    (true, false) => Action::Nothing,
                }
            }
            Event::IdledOut => {
                self.socket = false;
                Action::Close
            }
            Event::Elapsed { demand } => {
                self.timer = false;
                if demand || self.failing_fast { self.connect() } else { Action::Nothing }
            }
        }
    }

    fn connect(&mut self) -> Action {
        self.attempt = true;
        Action::Connect
    }

    fn wait(&mut self, counts: bool, random: f64) -> Action {
        self.timer = true;
        self.failures += u32::from(counts);
        self.failing_fast = self.failures >= self.limit;
        let bound = BASE.as_millis() << self.doublings;
        self.doublings += 1;
        let delay = Duration::from_millis(bound.min(CAP.as_millis()) as u64).mul_f64(random);
        Action::Wait { delay, give_up: self.failing_fast }
    }
}

proptest! {
    /// Whatever can happen, in whatever order, with shutting down at any point: the
    /// machine does exactly what the model does. So a state that only a timer leaves
    /// has one, one that an attempt leaves has one running, and calls fail fast from the
    /// failure that reaches the limit on, until there is a socket.
    #[test]
    fn whatever_can_happen_a_connection_does_what_its_model_says(
        attempts in 0_u32..5,
        events in proptest::collection::vec((any::<prop::sample::Index>(), 0.0_f64..1.0), 0..100),
        shut_down_at in 0_usize..200,
    ) {
        let mut machine = machine(attempts);
        let mut model = Model::new(attempts.max(1));
        for (i, (choice, random)) in events.into_iter().enumerate() {
            let event =
                if i == shut_down_at { Event::ShutDown } else { *choice.get(&model.possible()) };
            let before = machine.state();
            let action = machine.on(event, random);
            prop_assert_eq!(action, model.on(event, random), "{:?} in {:?}", event, before);
            prop_assert_eq!(machine.state(), model.state(), "{:?} in {:?}", event, before);
            prop_assert_eq!(machine.failures(), model.failures, "{:?} in {:?}", event, before);
            prop_assert_eq!(machine.is_failing_fast(), model.failing_fast, "{:?} in {:?}", event, before);
            if let Action::Wait { delay, .. } = action {
                prop_assert!(delay <= CAP);
            }
        }
    }
}
