//! The dispatcher beside the module's rules in plain words.

use super::*;

#[path = "dispatch_model_tests.rs"]
mod model;

/// A request: its number, its deadline, and whether its caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    number: u32,
    deadline: u32,
    left: bool,
}

impl Queued for Call {
    type Instant = u32;

    fn deadline(&self) -> u32 {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.left
    }
}

fn call(number: u32) -> Call {
    Call { number, deadline: 100 + number, left: false }
}

/// The first socket, to a server that is the only one.
const MADE: Made = Made { number: 1, place: None };

fn dispatch(max_connections: usize, max_in_flight: usize) -> Dispatch<Call, ()> {
    Dispatch::new(Bounds { max_connections, max_in_flight, queue_capacity: 4 })
}

/// Opens a socket and binds what waits for it.
fn open(dispatch: &mut Dispatch<Call, ()>) -> (usize, Vec<(usize, u32)>) {
    let slot = dispatch.begin_opening().unwrap();
    dispatch.opened(slot, (), MADE);
    (slot, bound(dispatch))
}

/// All that can be bound now.
fn bound(dispatch: &mut Dispatch<Call, ()>) -> Vec<(usize, u32)> {
    std::iter::from_fn(|| dispatch.next()).map(|(slot, call)| (slot, call.number)).collect()
}

const WAITS: Pushed<Call> = Pushed::Waits { wake: false };

#[test]
fn the_first_request_waits_for_the_one_socket_that_is_opened_for_it() {
    let mut dispatch = dispatch(4, 2);
    assert_eq!(dispatch.push(call(0), true), Pushed::Waits { wake: true });
    assert_eq!(dispatch.wanted(), 1);
    dispatch.push(call(1), true);
    assert_eq!(dispatch.wanted(), 1, "whether the plugin is there is asked once");
    let slot = dispatch.begin_opening().unwrap();
    assert_eq!(dispatch.wanted(), 0);
    dispatch.opened(slot, (), MADE);
    assert_eq!(bound(&mut dispatch), [(0, 0)]);
    assert_eq!(dispatch.wanted(), 1, "the other one gets a socket of its own");
}

#[test]
fn an_unused_socket_takes_a_request_at_once() {
    let mut dispatch = dispatch(4, 2);
    open(&mut dispatch);
    assert_eq!(dispatch.push(call(0), true), Pushed::Bound(0, call(0)));
}

#[test]
fn while_sockets_can_be_opened_nothing_is_pipelined() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    dispatch.push(call(0), true);
    assert_eq!(dispatch.push(call(1), true), Pushed::Waits { wake: true });
    assert_eq!(open(&mut dispatch), (1, vec![(1, 1)]));
    assert_eq!(dispatch.push(call(2), true), Pushed::Bound(0, call(2)));
    assert_eq!(dispatch.push(call(3), true), Pushed::Bound(1, call(3)));
    assert!(matches!(dispatch.push(call(4), true), Pushed::Waits { .. }), "all are full");
}

#[test]
fn what_those_to_come_cannot_take_is_pipelined() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    for i in 0..3 {
        dispatch.push(call(i), true);
    }
    assert_eq!(bound(&mut dispatch), []);
    dispatch.push(call(3), true);
    assert_eq!(bound(&mut dispatch), [(0, 1)], "one more than the other can take");
}

#[test]
fn a_socket_that_gets_free_takes_what_waits_for_one_that_is_being_opened() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    dispatch.push(call(0), true);
    dispatch.push(call(1), true);
    dispatch.begin_opening().unwrap();
    dispatch.release(0, 1);
    assert_eq!(bound(&mut dispatch), [(0, 1)]);
}

#[test]
fn after_a_failed_attempt_requests_are_pipelined_until_the_next_one() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    dispatch.push(call(0), true);
    dispatch.push(call(1), true);
    let slot = dispatch.begin_opening().unwrap();
    dispatch.opening_failed(slot);
    dispatch.hold(true);
    assert_eq!(bound(&mut dispatch), [(0, 1)]);
    assert_eq!(dispatch.wanted(), 0);
    dispatch.push(call(2), true);
    dispatch.hold(false);
    assert_eq!(dispatch.wanted(), 1);
}

#[test]
fn a_socket_with_an_overdue_reply_takes_nothing() {
    let mut dispatch = dispatch(1, 4);
    open(&mut dispatch);
    dispatch.push(call(0), true);
    dispatch.set_overdue(0, true);
    assert_eq!(dispatch.push(call(1), true), Pushed::Waits { wake: true }, "its deadline is new");
    assert_eq!(dispatch.push(call(2), true), WAITS);
    dispatch.set_overdue(0, false);
    assert_eq!(bound(&mut dispatch), [(0, 1), (0, 2)]);
}

#[test]
fn what_was_not_begun_goes_to_the_front_in_its_order() {
    let mut dispatch = dispatch(1, 3);
    open(&mut dispatch);
    for i in 0..4 {
        dispatch.push(call(i), true);
    }
    dispatch.give_back(0, vec![call(1), call(2)].into_iter());
    dispatch.closed(0);
    assert_eq!(open(&mut dispatch).1, [(0, 1), (0, 2), (0, 3)]);
}

#[test]
fn so_many_may_wait_and_no_more() {
    let mut dispatch = dispatch(1, 2);
    open(&mut dispatch);
    for i in 0..6 {
        assert!(!matches!(dispatch.push(call(i), true), Pushed::Full(..)), "{i}");
    }
    assert_eq!(dispatch.push(call(6), true), Pushed::Full(call(6), 4));
    assert_eq!(dispatch.push(call(7), false), Pushed::Full(call(7), 4));
    dispatch.release(0, 2);
    assert_eq!(bound(&mut dispatch).len(), 2);
    assert!(!matches!(dispatch.push(call(8), true), Pushed::Full(..)));
}

#[test]
fn a_request_that_will_not_wait_for_room_takes_what_there_is() {
    let mut dispatch = dispatch(1, 1);
    assert!(matches!(dispatch.push(call(0), false), Pushed::Waits { .. }), "it waits for a socket");
    assert_eq!(dispatch.push(call(1), false), Pushed::Full(call(1), 0));
}

#[test]
fn a_probe_takes_a_socket_only_if_nobody_uses_it() {
    let mut dispatch = dispatch(1, 4);
    open(&mut dispatch);
    assert!(dispatch.reserve(0));
    assert!(matches!(dispatch.push(call(0), true), Pushed::Waits { .. }));
    assert!(dispatch.works());
    dispatch.release(0, 1);
    assert_eq!(bound(&mut dispatch), [(0, 0)]);
    assert!(!dispatch.reserve(0));
    assert!(!dispatch.close_unused(0));
    dispatch.release(0, 1);
    assert!(dispatch.close_unused(0));
    assert!(!dispatch.is_open());
}

#[test]
fn a_question_of_the_plugins_own_sends_no_call_to_another_socket() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    assert_eq!(dispatch.ask(None), Some(0));
    assert_eq!(dispatch.push(call(0), true), Pushed::Bound(0, call(0)));
    assert!(matches!(dispatch.push(call(1), true), Pushed::Waits { .. }), "it is used now");
    assert_eq!(dispatch.ask(Some(0)), None, "it is full");
    assert_eq!(dispatch.ask(Some(1)), None, "it is not open");
    dispatch.release(0, 2);
    assert_eq!(bound(&mut dispatch), [(0, 1)]);
}

#[test]
fn expired_requests_say_whether_there_was_room_for_them() {
    let mut dispatch = dispatch(1, 2);
    for i in 0..4 {
        dispatch.push(call(i), true);
    }
    let over = dispatch.expire(102);
    let over: Vec<_> = over.into_iter().map(|(call, no_room)| (call.number, no_room)).collect();
    assert_eq!(over, [(0, false), (1, false), (2, true)]);
    assert_eq!(dispatch.earliest(), Some(103));
}

#[test]
fn a_retired_socket_takes_nothing_and_keeps_its_place_until_it_ends() {
    let mut dispatch = dispatch(1, 4);
    open(&mut dispatch);
    dispatch.push(call(0), true);
    assert!(dispatch.sink(0).is_some());
    dispatch.retire(0);
    assert!(dispatch.sink(0).is_none(), "so its task learns of it");
    assert!(!dispatch.is_open() && !dispatch.works() && dispatch.any_socket());
    assert_eq!(dispatch.push(call(1), true), Pushed::Waits { wake: true });
    assert_eq!(dispatch.begin_opening(), None, "its calls are under way");
    dispatch.release(0, 1);
    assert_eq!(bound(&mut dispatch), []);
    dispatch.closed(0);
    assert_eq!(dispatch.wanted(), 1);
    assert_eq!(open(&mut dispatch).1, [(0, 1)]);
}

#[test]
fn a_retired_socket_is_not_probed() {
    let mut dispatch = dispatch(1, 4);
    open(&mut dispatch);
    dispatch.retire(0);
    assert!(!dispatch.reserve(0));
}

/// Opens a socket of this number, made to the server of this generation.
fn opened(dispatch: &mut Dispatch<Call, ()>, number: u64, generation: u64) -> usize {
    let slot = dispatch.begin_opening().unwrap();
    dispatch.opened(slot, (), Made { number, place: Some(Place::numbered(generation)) });
    slot
}

#[test]
fn when_another_server_has_the_path_what_was_made_to_the_one_before_is_retired() {
    let mut dispatch = dispatch(4, 2);
    let (first, second) = (Place::numbered(1), Place::numbered(2));
    let (old, older) = (opened(&mut dispatch, 1, 1), opened(&mut dispatch, 2, 1));
    assert_eq!(dispatch.retire_elsewhere(first, 2), 0, "it is the same server");
    let new = opened(&mut dispatch, 3, 2);
    assert_eq!(dispatch.retire_elsewhere(second, 3), 2);
    let takes: Vec<_> = [old, older, new].map(|slot| dispatch.sink(slot).is_some()).into();
    assert_eq!(takes, [false, false, true]);
    assert_eq!(dispatch.retire_elsewhere(second, 3), 0, "each once");
}

#[test]
fn a_socket_of_which_nobody_knows_where_it_leads_is_retired_for_one_that_is_known() {
    let mut dispatch = dispatch(1, 2);
    open(&mut dispatch);
    assert_eq!(dispatch.retire_elsewhere(Place::numbered(1), 1), 1);
}

#[test]
fn who_looked_before_a_socket_was_opened_does_not_retire_it() {
    let mut dispatch = dispatch(2, 2);
    let new = opened(&mut dispatch, 2, 2);
    assert_eq!(dispatch.retire_elsewhere(Place::numbered(1), 1), 0);
    assert!(dispatch.sink(new).is_some());
}

#[test]
fn a_request_that_waits_before_all_others_may_be_the_first_that_is_due() {
    let mut dispatch = dispatch(1, 1);
    let due = |number, deadline| Call { number, deadline, left: false };
    dispatch.push(due(0, 200), true);
    dispatch.push_front(due(1, 150));
    assert_eq!(dispatch.earliest(), Some(150));
    dispatch.push_front(due(2, 300));
    assert_eq!(dispatch.earliest(), Some(150));
}

#[test]
fn a_socket_is_being_opened_until_it_is_open() {
    let mut dispatch = dispatch(1, 1);
    assert!(!dispatch.is_opening());
    dispatch.push(call(0), true);
    let slot = dispatch.begin_opening().unwrap();
    assert!(dispatch.is_opening());
    dispatch.opened(slot, (), MADE);
    assert!(!dispatch.is_opening());
}
