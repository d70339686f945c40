//! The dispatcher beside the module's rules in plain words, and beside a model that
//! keeps every request in exactly one place.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

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

fn dispatch(max_connections: usize, max_in_flight: usize) -> Dispatch<Call, ()> {
    Dispatch::new(Bounds { max_connections, max_in_flight, queue_capacity: 4 })
}

/// Opens a socket and binds what waits for it.
fn open(dispatch: &mut Dispatch<Call, ()>) -> (usize, Vec<(usize, u32)>) {
    let slot = dispatch.begin_opening().unwrap();
    dispatch.opened(slot, ());
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
    dispatch.opened(slot, ());
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
    dispatch.set_overdue(0, false);
    dispatch.release(0, 1);
    assert_eq!(bound(&mut dispatch), [(0, 0)]);
    assert!(!dispatch.reserve(0));
    assert!(!dispatch.retire(0));
    dispatch.release(0, 1);
    assert!(dispatch.retire(0));
    assert!(!dispatch.is_open());
}

#[test]
fn a_question_of_the_plugins_own_sends_no_call_to_another_socket() {
    let mut dispatch = dispatch(2, 2);
    open(&mut dispatch);
    assert!(dispatch.ask(0));
    assert_eq!(dispatch.push(call(0), true), Pushed::Bound(0, call(0)));
    assert!(matches!(dispatch.push(call(1), true), Pushed::Waits { .. }), "it is used now");
    assert!(!dispatch.ask(0), "it is full");
    assert!(!dispatch.ask(1), "it is not open");
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

#[derive(Debug, Clone)]
enum Op {
    Push {
        deadline: u32,
        left: bool,
        may_wait: bool,
    },
    BeginOpening,
    Open,
    FailOpening,
    Hold(bool),
    /// A socket answers some of what it has.
    Release {
        slot: usize,
        count: usize,
    },
    Overdue {
        slot: usize,
        overdue: bool,
    },
    /// A socket ends; some of what it has was not begun.
    Close {
        slot: usize,
        unsent: usize,
    },
    GiveBack {
        slot: usize,
        unsent: usize,
    },
    Reserve {
        slot: usize,
    },
    Ask {
        slot: usize,
    },
    Retire {
        slot: usize,
    },
    Expire(u32),
    Sweep,
}

fn any_op() -> impl Strategy<Value = Op> {
    let slot = 0_usize..4;
    prop_oneof![
        8 => (0_u32..50, prop::bool::weighted(0.1), prop::bool::weighted(0.9))
            .prop_map(|(deadline, left, may_wait)| Op::Push { deadline, left, may_wait }),
        2 => Just(Op::BeginOpening),
        3 => Just(Op::Open),
        1 => Just(Op::FailOpening),
        1 => any::<bool>().prop_map(Op::Hold),
        6 => (slot.clone(), 1_usize..4).prop_map(|(slot, count)| Op::Release { slot, count }),
        2 => (slot.clone(), any::<bool>()).prop_map(|(slot, overdue)| Op::Overdue { slot, overdue }),
        1 => (slot.clone(), 0_usize..4).prop_map(|(slot, unsent)| Op::Close { slot, unsent }),
        1 => (slot.clone(), 0_usize..4).prop_map(|(slot, unsent)| Op::GiveBack { slot, unsent }),
        1 => slot.clone().prop_map(|slot| Op::Reserve { slot }),
        1 => slot.clone().prop_map(|slot| Op::Ask { slot }),
        1 => slot.prop_map(|slot| Op::Retire { slot }),
        1 => (0_u32..60).prop_map(Op::Expire),
        1 => Just(Op::Sweep),
    ]
}

/// Where every request is: a queue, and a list for each open socket. `None` is a request
/// of the socket's own.
#[derive(Debug, Default)]
struct Model {
    bounds: (usize, usize, usize),
    queue: VecDeque<Call>,
    sockets: BTreeMap<usize, (Vec<Option<Call>>, bool)>,
    /// Sockets that have answered nothing since they were asked a question.
    asked: BTreeSet<usize>,
    opening: Vec<usize>,
    held: bool,
}

impl Model {
    fn load(&self) -> usize {
        self.queue.len() + self.sockets.values().map(|(calls, _)| calls.len()).sum::<usize>()
    }

    /// The rules of the module, in its words.
    fn socket_for_the_next(&self) -> Option<usize> {
        let (connections, in_flight, _) = self.bounds;
        let ready =
            self.sockets.iter().filter(|(_, (calls, overdue))| !overdue && calls.len() < in_flight);
        // A question is no use.
        let unused = |slot, load| load == usize::from(self.asked.contains(slot));
        let order = |slot, load| if unused(slot, load) { (0, *slot) } else { (load, *slot) };
        let (slot, (calls, _)) = ready.min_by_key(|(slot, (calls, _))| order(slot, calls.len()))?;
        let closed = connections - self.sockets.len();
        let to_come = if self.held { self.opening.len() } else { closed };
        let unused = unused(slot, calls.len());
        (unused || self.queue.len() > to_come * in_flight).then_some(*slot)
    }

    fn wanted(&self) -> usize {
        let closed = self.bounds.0 - self.sockets.len();
        match (self.held || self.queue.is_empty(), self.sockets.is_empty()) {
            (true, _) => 0,
            (false, true) => usize::from(self.opening.is_empty()),
            (false, false) => self.queue.len().min(closed).saturating_sub(self.opening.len()),
        }
    }
}

proptest! {
    /// Whatever happens, every request is in exactly one place, is bound where the rules
    /// say, and never to a socket that is full, overdue or closed; and nothing waits that
    /// could be bound.
    #[test]
    fn every_request_is_in_one_place_and_is_bound_by_the_rules(
        connections in 1_usize..4,
        in_flight in 1_usize..4,
        capacity in 0_usize..4,
        ops in proptest::collection::vec(any_op(), 0..200),
    ) {
        let bounds =
            Bounds { max_connections: connections, max_in_flight: in_flight, queue_capacity: capacity };
        let mut dispatch: Dispatch<Call, ()> = Dispatch::new(bounds);
        let mut model = Model { bounds: (connections, in_flight, capacity), ..Model::default() };
        for (number, op) in (0..).zip(ops) {
            match op {
                Op::Push { deadline, left, may_wait } => {
                    let call = Call { number, deadline, left };
                    let limit = connections * in_flight + if may_wait { capacity } else { 0 };
                    let full = model.load() >= limit;
                    let earliest_before = dispatch.earliest();
                    match dispatch.push(call, may_wait) {
                        Pushed::Full(refused, _) => prop_assert!(full && refused == call),
                        Pushed::Bound(slot, bound) => {
                            prop_assert!(!full && bound == call && model.queue.is_empty());
                            model.queue.push_back(call);
                            prop_assert_eq!(model.socket_for_the_next(), Some(slot));
                            model.queue.clear();
                            model.sockets.get_mut(&slot).unwrap().0.push(Some(call));
                        }
                        Pushed::Waits { wake } => {
                            prop_assert!(!full);
                            model.queue.push_back(call);
                            // The supervisor's timer fires in time, and nothing is wanted of it.
                            let known = earliest_before.is_some_and(|from| from <= deadline);
                            prop_assert!(wake || (known && model.wanted() == 0));
                        }
                    }
                }
                Op::BeginOpening => {
                    let slot = dispatch.begin_opening();
                    let free = |slot: &usize| {
                        !model.sockets.contains_key(slot) && !model.opening.contains(slot)
                    };
                    prop_assert_eq!(slot, (0..connections).find(free));
                    model.opening.extend(slot);
                }
                Op::Open => if let Some(slot) = model.opening.pop() {
                    dispatch.opened(slot, ());
                    model.sockets.insert(slot, (Vec::new(), false));
                },
                Op::FailOpening => if let Some(slot) = model.opening.pop() {
                    dispatch.opening_failed(slot);
                },
                Op::Hold(held) => {
                    dispatch.hold(held);
                    model.held = held;
                }
                Op::Release { slot, count } => if let Some((calls, _)) = model.sockets.get_mut(&slot) {
                    let count = count.min(calls.len());
                    calls.drain(..count);
                    dispatch.release(slot, count);
                    if count > 0 {
                        model.asked.remove(&slot);
                    }
                },
                Op::Overdue { slot, overdue } => if let Some(socket) = model.sockets.get_mut(&slot) {
                    socket.1 = overdue;
                    dispatch.set_overdue(slot, overdue);
                },
                Op::GiveBack { slot, unsent } | Op::Close { slot, unsent } => {
                    let Some((calls, _)) = model.sockets.get_mut(&slot) else { continue };
                    // The last ones, and no request of the socket's own.
                    let own = calls.iter().rposition(Option::is_none).map_or(0, |at| at + 1);
                    let from = calls.len().saturating_sub(unsent).max(own);
                    let back: Vec<Call> = calls.split_off(from).into_iter().flatten().collect();
                    back.iter().rev().for_each(|call| model.queue.push_front(*call));
                    if !back.is_empty() {
                        model.asked.remove(&slot);
                    }
                    dispatch.give_back(slot, back.into_iter());
                    if matches!(op, Op::Close { .. }) {
                        dispatch.closed(slot);
                        model.sockets.remove(&slot);
                        model.asked.remove(&slot);
                    }
                }
                Op::Reserve { slot } => if slot < connections {
                    let unused = model.sockets.get(&slot).is_some_and(|(calls, _)| calls.is_empty());
                    prop_assert_eq!(dispatch.reserve(slot), unused);
                    if unused {
                        model.sockets.insert(slot, (vec![None], true));
                    }
                },
                Op::Ask { slot } => if slot < connections {
                    let socket = model.sockets.get_mut(&slot);
                    let room =
                        socket.filter(|(calls, overdue)| !overdue && calls.len() < in_flight);
                    prop_assert_eq!(dispatch.ask(slot), room.is_some());
                    if let Some((calls, _)) = room {
                        calls.push(None);
                        model.asked.insert(slot);
                    }
                },
                Op::Retire { slot } => if model.sockets.contains_key(&slot) {
                    let unused = model.sockets[&slot].0.is_empty();
                    prop_assert_eq!(dispatch.retire(slot), unused);
                    if unused {
                        model.sockets.remove(&slot);
                    }
                },
                Op::Expire(now) => {
                    let room = (connections * in_flight)
                        .saturating_sub(model.load() - model.queue.len());
                    let over = |call: &Call| call.deadline <= now;
                    let expected: Vec<_> = model.queue.iter().enumerate()
                        .filter(|(_, call)| over(call))
                        .map(|(position, call)| (*call, position >= room))
                        .collect();
                    model.queue.retain(|call| !over(call));
                    prop_assert_eq!(dispatch.expire(now), expected);
                }
                Op::Sweep => {
                    let before = model.queue.len();
                    model.queue.retain(|call| !call.left);
                    prop_assert_eq!(dispatch.sweep(), before - model.queue.len());
                }
            }
            loop {
                let expected = if model.queue.is_empty() { None } else { model.socket_for_the_next() };
                let next = dispatch.next();
                prop_assert_eq!(next.map(|(slot, _)| slot), expected);
                let Some((slot, bound)) = next else { break };
                prop_assert_eq!(Some(bound), model.queue.pop_front());
                model.sockets.get_mut(&slot).unwrap().0.push(Some(bound));
            }
            prop_assert_eq!(dispatch.queued(), model.queue.len());
            prop_assert_eq!(dispatch.wanted(), model.wanted());
            prop_assert_eq!(dispatch.waiting(), model.load().saturating_sub(connections * in_flight));
            let earliest = model.queue.iter().map(|call| call.deadline).min();
            // It may be early, never late.
            prop_assert!(earliest.is_none_or(|earliest| dispatch.earliest().is_some_and(|from| from <= earliest)));
            prop_assert_eq!(dispatch.is_open(), !model.sockets.is_empty());
            prop_assert_eq!(dispatch.works(), model.sockets.values().any(|(_, overdue)| !overdue));
            for slot in 0..connections {
                let load = model.sockets.get(&slot).map_or(0, |(calls, _)| calls.len());
                prop_assert_eq!(dispatch.load(slot), load);
            }
        }
        let left: Vec<_> = dispatch.drain().into();
        prop_assert_eq!(left, Vec::from(model.queue));
    }
}
