use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One who waits, and may leave.
#[derive(Debug, Clone)]
struct Caller(usize, Rc<Cell<bool>>);

impl Waiting for Caller {
    fn is_abandoned(&self) -> bool {
        self.1.get()
    }
}

fn caller(number: usize) -> Caller {
    Caller(number, Rc::default())
}

fn bounds() -> Bounds {
    Bounds {
        max_in_flight: 2,
        queue_capacity: 3,
        threshold: 2,
        longest_rest: SECOND * 30,
        longest_trial: SECOND * 35,
    }
}

/// As many servers, each of which takes two calls.
fn connected(servers: usize) -> Admission<Caller> {
    let mut admission = Admission::new(servers, bounds());
    for server in 0..servers {
        admission.set_limit(server, 2, Duration::ZERO);
        admission.set_alive(server);
    }
    admission
}

fn first(_: usize) -> usize {
    0
}

fn fail(admission: &mut Admission<Caller>, server: usize, outcome: Outcome, now: Duration) {
    admission.standings[server].load += 1;
    let place = Place { server, era: admission.servers[server].era, trial: None };
    admission.leave(place, outcome, now, 0.5);
}

#[test]
fn nobody_overtakes_those_who_wait() {
    let mut admission = connected(1);
    let one = admission.enter(SECOND, first).unwrap();
    assert!(admission.enter(SECOND, first).is_some());
    assert_eq!(admission.enter(SECOND, first), None);
    admission.wait(caller(1), true).unwrap();
    admission.leave(one, Outcome::Silent, SECOND, 0.5);
    assert_eq!(admission.enter(SECOND, first), None);
    assert_eq!(admission.next(SECOND, first).unwrap().1.0, 1);
    assert!(admission.next(SECOND, first).is_none());
}

#[test]
fn the_queue_has_a_bound_and_those_who_left_need_no_room() {
    let mut admission = connected(1);
    while admission.enter(SECOND, first).is_some() {}
    assert_eq!(admission.wait(caller(0), false), Err(0));
    let leaves = caller(1);
    admission.wait(leaves.clone(), true).unwrap();
    admission.wait(caller(2), true).unwrap();
    admission.wait(caller(3), true).unwrap();
    assert_eq!(admission.wait(caller(4), true), Err(3));
    leaves.1.set(true);
    admission.wait(caller(5), true).unwrap();
    assert_eq!(admission.drain().iter().map(|caller| caller.0).collect::<Vec<_>>(), [2, 3, 5]);
}

#[test]
fn while_no_server_is_there_as_many_wait_as_there_will_be_room_for() {
    let mut admission: Admission<Caller> = Admission::new(2, bounds());
    assert_eq!(admission.places(), 4);
    for number in 0..4 {
        admission.wait(caller(number), false).unwrap();
    }
    assert_eq!(admission.wait(caller(4), false), Err(4));
    for number in 4..7 {
        admission.wait(caller(number), true).unwrap();
    }
    assert_eq!(admission.wait(caller(7), true), Err(7));
}

/// Found by the simulation: more waited than there was room for, and than the queue may hold.
#[test]
fn calls_that_go_on_on_a_connection_that_takes_no_more_leave_less_room_to_come() {
    let mut admission = connected(1);
    let place = admission.enter(Duration::ZERO, first).unwrap();
    admission.set_limit(0, 0, Duration::ZERO);
    assert_eq!((admission.places(), admission.coming()), (2, 1));
    assert_eq!(admission.wait(caller(1), false), Ok(()));
    assert_eq!(admission.wait(caller(2), false), Err(1));
    admission.leave(place, Outcome::Silent, Duration::ZERO, 0.0);
    assert_eq!(admission.wait(caller(2), false), Ok(()));
}

#[test]
fn a_server_that_fails_in_a_row_is_ejected_until_a_call_on_trial_is_answered() {
    let mut admission = connected(2);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    assert!(!admission.standing(0).ejected);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    assert!(admission.standing(0).ejected && admission.is_doubtful(0));
    // Its rest is over, but nobody knows whether it is there.
    let later = SECOND * 3;
    assert_eq!(admission.enter(later, first).unwrap().server, 1);
    admission.set_alive(0);
    let trial = admission.enter(later, first).unwrap();
    assert_eq!((trial.server, trial.trial), (0, Some(1)));
    // One at a time.
    assert_eq!(admission.enter(later, first).unwrap().server, 1);
    assert_eq!(admission.enter(later, first), None);
    admission.leave(trial, Outcome::Answered, later, 0.5);
    assert!(!admission.standing(0).ejected);
    assert_eq!(admission.standing(0).failures, 0);
}

#[test]
fn a_trial_that_fails_makes_a_longer_rest_and_another_check() {
    let mut admission = connected(2);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    admission.set_alive(0);
    let trial = admission.enter(SECOND * 3, first).unwrap();
    assert_eq!(trial.server, 0);
    admission.leave(trial, Outcome::Missing, SECOND * 3, 0.5);
    assert!(admission.is_doubtful(0));
    admission.set_alive(0);
    assert_eq!(admission.enter(SECOND * 4, first).unwrap().server, 1);
}

#[test]
fn a_trial_of_which_nothing_is_heard_makes_way_for_the_next_one() {
    let mut admission = connected(2);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    fail(&mut admission, 0, Outcome::Failed, SECOND);
    admission.set_alive(0);
    let trial = admission.enter(SECOND * 3, first).unwrap();
    admission.leave(trial, Outcome::Silent, SECOND * 3, 0.5);
    assert_eq!(admission.enter(SECOND * 3, first).unwrap().server, 0);
}

#[test]
fn the_plugin_is_silent_when_every_server_that_is_connected_is() {
    let mut admission = connected(2);
    for _ in 0..5 {
        fail(&mut admission, 0, Outcome::Missing, SECOND);
    }
    fail(&mut admission, 1, Outcome::Missing, SECOND);
    // A failure is no silence.
    fail(&mut admission, 1, Outcome::Failed, SECOND);
    assert_eq!(admission.all_missing(), None);
    fail(&mut admission, 1, Outcome::Missing, SECOND);
    assert_eq!(admission.all_missing(), Some(7));
    admission.set_limit(0, 0, SECOND);
    assert_eq!(admission.all_missing(), Some(2));
    fail(&mut admission, 1, Outcome::Answered, SECOND);
    assert_eq!(admission.all_missing(), None);
}

#[test]
fn a_server_that_takes_the_place_of_another_is_not_judged_by_the_calls_on_that() {
    let mut admission = connected(1);
    let old = [admission.enter(SECOND, first).unwrap(), admission.enter(SECOND, first).unwrap()];
    admission.set_limit(0, 0, SECOND);
    admission.renew(0);
    admission.set_limit(0, 3, SECOND);
    // They take its room until they end.
    let new = admission.enter(SECOND, first).unwrap();
    assert_eq!(admission.enter(SECOND, first), None);
    for place in old {
        admission.leave(place, Outcome::Missing, SECOND, 0.5);
    }
    assert_eq!((admission.standing(0).failures, admission.standing(0).load), (0, 1));
    assert_eq!(admission.all_missing(), None);
    admission.leave(new, Outcome::Failed, SECOND, 0.5);
    assert_eq!(admission.standing(0).failures, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Enter { may_wait: bool },
    Leave { which: usize, outcome: Outcome },
    Abandon { which: usize },
    Limit { server: usize, limit: usize },
    Alive { server: usize },
    Later,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Silent),
        Just(Outcome::Answered),
        Just(Outcome::Failed),
        Just(Outcome::Missing),
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(|may_wait| Step::Enter { may_wait }),
        3 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Leave { which, outcome }),
        1 => any::<usize>().prop_map(|which| Step::Abandon { which }),
        1 => (0..3_usize, 0..4_usize).prop_map(|(server, limit)| Step::Limit { server, limit }),
        1 => (0..3_usize).prop_map(|server| Step::Alive { server }),
        1 => Just(Step::Later),
    ]
}

proptest! {
    /// Whatever happens: no server is above its limit by a new call, everybody who waits is
    /// served in order, and nobody waits while a server that may take the call has room.
    // Promise: M4
    #[test]
    fn places_are_counted_and_nobody_waits_beside_a_free_one(
        steps in prop::collection::vec(step(), 1..200), seed in any::<u64>(),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut admission: Admission<Caller> = Admission::new(3, bounds());
        let mut now = Duration::ZERO;
        let mut taken: Vec<Place> = Vec::new();
        let mut queue: VecDeque<Caller> = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Enter { may_wait } => {
                    let place = admission.enter(now, |below| random.usize(..below));
                    let waiting = queue.iter().filter(|caller| !caller.is_abandoned()).count();
                    if let Some(place) = place {
                        taken.push(place);
                    } else if admission.wait(caller(number), may_wait).is_ok() {
                        let caller = admission.queue.back().cloned().unwrap();
                        queue.push_back(caller);
                    } else {
                        let bound = admission.coming() + if may_wait { 3 } else { 0 };
                        prop_assert!(waiting >= bound);
                    }
                }
                Step::Leave { which, outcome } if !taken.is_empty() => {
                    let place = taken.swap_remove(which % taken.len());
                    admission.leave(place, outcome, now, random.f64());
                }
                Step::Abandon { which } if !queue.is_empty() => {
                    queue[which % queue.len()].1.set(true);
                }
                Step::Limit { server, limit } => admission.set_limit(server, limit, now),
                Step::Alive { server } => admission.set_alive(server),
                Step::Later => now += SECOND,
                Step::Leave { .. } | Step::Abandon { .. } => {}
            }
            while let Some((place, ticket)) = admission.next(now, |below| random.usize(..below)) {
                queue.retain(|caller| !caller.is_abandoned());
                prop_assert_eq!(queue.pop_front().unwrap().0, ticket.0);
                prop_assert!(admission.standing(place.server).load <= admission.standing(place.server).limit);
                taken.push(place);
            }
            for server in 0..3 {
                let load = taken.iter().filter(|place| place.server == server).count();
                prop_assert_eq!(admission.standing(server).load, load);
            }
            let any_good = admission.standings.iter().any(|s| s.is_connected() && !s.ejected);
            let free = admission.standings.iter().any(|s| s.has_room() && !(any_good && s.ejected));
            prop_assert!(!free || admission.queue.is_empty());
        }
    }
}
