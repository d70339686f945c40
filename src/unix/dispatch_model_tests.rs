//! The dispatcher beside a model that keeps every request in exactly one place.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Push {
        deadline: u32,
        left: bool,
        may_wait: bool,
    },
    BeginOpening,
    /// A socket, made to the server of a generation.
    Open(u64),
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
    CloseUnused {
        slot: usize,
    },
    Retire {
        slot: usize,
    },
    /// Somebody looked, before the sockets above a number were opened.
    Look {
        generation: u64,
        until: u64,
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
        3 => (1_u64..3).prop_map(Op::Open),
        1 => Just(Op::FailOpening),
        1 => any::<bool>().prop_map(Op::Hold),
        6 => (slot.clone(), 1_usize..4).prop_map(|(slot, count)| Op::Release { slot, count }),
        2 => (slot.clone(), any::<bool>()).prop_map(|(slot, overdue)| Op::Overdue { slot, overdue }),
        1 => (slot.clone(), 0_usize..4).prop_map(|(slot, unsent)| Op::Close { slot, unsent }),
        1 => (slot.clone(), 0_usize..4).prop_map(|(slot, unsent)| Op::GiveBack { slot, unsent }),
        1 => slot.clone().prop_map(|slot| Op::Reserve { slot }),
        1 => slot.clone().prop_map(|slot| Op::Ask { slot }),
        1 => slot.clone().prop_map(|slot| Op::CloseUnused { slot }),
        1 => slot.prop_map(|slot| Op::Retire { slot }),
        1 => (1_u64..3, 0_u64..8)
            .prop_map(|(generation, until)| Op::Look { generation, until }),
        1 => (0_u32..60).prop_map(Op::Expire),
        1 => Just(Op::Sweep),
    ]
}

#[derive(Debug)]
struct Socket {
    /// `None` is a request of the socket's own.
    calls: Vec<Option<Call>>,
    /// It was asked a question, and has answered nothing since.
    asked: bool,
    /// Its one request is a probe.
    probed: bool,
    overdue: bool,
    retired: bool,
    number: u64,
    generation: u64,
}

/// Where every request is: a queue, and a list for each open socket.
#[derive(Debug, Default)]
struct Model {
    bounds: (usize, usize, usize),
    queue: VecDeque<Call>,
    sockets: BTreeMap<usize, Socket>,
    opened: u64,
    opening: Vec<usize>,
    held: bool,
}

impl Model {
    fn load(&self) -> usize {
        self.queue.len() + self.sockets.values().map(|socket| socket.calls.len()).sum::<usize>()
    }

    /// The rules of the module, in its words.
    fn socket_for_the_next(&self) -> Option<usize> {
        let (connections, in_flight, _) = self.bounds;
        let ready = self.sockets.iter().filter(|(_, socket)| {
            let takes = !socket.overdue && !socket.retired && !socket.probed;
            takes && socket.calls.len() < in_flight
        });
        // A question is no use.
        let unused = |socket: &Socket| socket.calls.len() == usize::from(socket.asked);
        let load = |socket| if unused(socket) { 0 } else { socket.calls.len() };
        let (&slot, socket) = ready.min_by_key(|(slot, socket)| (load(socket), **slot))?;
        let closed = connections - self.sockets.len();
        let to_come = if self.held { self.opening.len() } else { closed };
        (unused(socket) || self.queue.len() > to_come * in_flight).then_some(slot)
    }

    fn is_open(&self) -> bool {
        self.sockets.values().any(|socket| !socket.retired)
    }

    fn wanted(&self) -> usize {
        let closed = self.bounds.0 - self.sockets.len();
        match (self.held || self.queue.is_empty(), self.is_open()) {
            (true, _) => 0,
            (false, false) => usize::from(self.opening.is_empty()),
            (false, true) => self.queue.len().min(closed).saturating_sub(self.opening.len()),
        }
    }
}

proptest! {
    /// Whatever happens, every request is in exactly one place, is bound where the rules
    /// say, and never to a socket that is full, overdue, retired or
    /// closed; and nothing waits that
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
                            model.sockets.get_mut(&slot).unwrap().calls.push(Some(call));
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
                Op::Open(generation) => if let Some(slot) = model.opening.pop() {
                    model.opened += 1;
                    let number = model.opened;
                    let place = Some(Place::numbered(generation));
                    dispatch.opened(slot, (), Made { number, place });
                    let (calls, asked, probed) = (Vec::new(), false, false);
                    let (overdue, retired) = (false, false);
                    let socket =
                        Socket { calls, asked, probed, overdue, retired, number, generation };
                    model.sockets.insert(slot, socket);
                },
                Op::FailOpening => if let Some(slot) = model.opening.pop() {
                    dispatch.opening_failed(slot);
                },
                Op::Hold(held) => {
                    dispatch.hold(held);
                    model.held = held;
                }
                Op::Release { slot, count } => if let Some(socket) = model.sockets.get_mut(&slot) {
                    let count = count.min(socket.calls.len());
                    socket.calls.drain(..count);
                    socket.asked &= count == 0;
                    socket.probed &= !socket.calls.is_empty();
                    dispatch.release(slot, count);
                },
                Op::Overdue { slot, overdue } => if let Some(socket) = model.sockets.get_mut(&slot) {
                    socket.overdue = overdue;
                    dispatch.set_overdue(slot, overdue);
                },
                Op::GiveBack { slot, unsent } | Op::Close { slot, unsent } => {
                    let Some(socket) = model.sockets.get_mut(&slot) else { continue };
                    let calls = &mut socket.calls;
                    // The last ones, and no request of the socket's own.
                    let own = calls.iter().rposition(Option::is_none).map_or(0, |at| at + 1);
                    let from = calls.len().saturating_sub(unsent).max(own);
                    let back: Vec<Call> = calls.split_off(from).into_iter().flatten().collect();
                    socket.asked &= back.is_empty();
                    back.iter().rev().for_each(|call| model.queue.push_front(*call));
                    dispatch.give_back(slot, back.into_iter());
                    if matches!(op, Op::Close { .. }) {
                        dispatch.closed(slot);
                        model.sockets.remove(&slot);
                    }
                }
                Op::Reserve { slot } => if slot < connections {
                    let unused = |socket: &&mut Socket| socket.calls.is_empty() && !socket.retired;
                    let socket = model.sockets.get_mut(&slot).filter(unused);
                    prop_assert_eq!(dispatch.reserve(slot), socket.is_some());
                    if let Some(socket) = socket {
                        socket.calls.push(None);
                        socket.probed = true;
                    }
                },
                Op::Ask { slot } => if slot < connections {
                    let room = |socket: &&mut Socket| {
                        let takes = !socket.overdue && !socket.retired && !socket.probed;
                        takes && socket.calls.len() < in_flight
                    };
                    let socket = model.sockets.get_mut(&slot).filter(room);
                    prop_assert_eq!(dispatch.ask(Some(slot)), socket.is_some().then_some(slot));
                    if let Some(socket) = socket {
                        socket.calls.push(None);
                        socket.asked = true;
                    }
                },
                Op::CloseUnused { slot } => if model.sockets.contains_key(&slot) {
                    let unused = model.sockets[&slot].calls.is_empty();
                    prop_assert_eq!(dispatch.close_unused(slot), unused);
                    if unused {
                        model.sockets.remove(&slot);
                    }
                },
                Op::Retire { slot } => if let Some(socket) = model.sockets.get_mut(&slot) {
                    socket.retired = true;
                    dispatch.retire(slot);
                },
                Op::Look { generation, until } => {
                    let mut retired = 0;
                    for socket in model.sockets.values_mut().filter(|socket| !socket.retired) {
                        socket.retired = socket.number <= until && socket.generation != generation;
                        retired += usize::from(socket.retired);
                    }
                    let place = Place::numbered(generation);
                    prop_assert_eq!(dispatch.retire_elsewhere(place, until), retired);
                }
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
                model.sockets.get_mut(&slot).unwrap().calls.push(Some(bound));
            }
            prop_assert_eq!(dispatch.queued(), model.queue.len());
            prop_assert_eq!(dispatch.wanted(), model.wanted());
            prop_assert_eq!(dispatch.waiting(), model.load().saturating_sub(connections * in_flight));
            let earliest = model.queue.iter().map(|call| call.deadline).min();
            // It may be early, never late.
            prop_assert!(earliest.is_none_or(|earliest| dispatch.earliest().is_some_and(|from| from <= earliest)));
            prop_assert_eq!(dispatch.is_open(), model.is_open());
            prop_assert_eq!(dispatch.any_socket(), !model.sockets.is_empty());
            let works = |socket: &Socket| !socket.overdue && !socket.retired;
            prop_assert_eq!(dispatch.works(), model.sockets.values().any(works));
            for slot in 0..connections {
                let load = model.sockets.get(&slot).map_or(0, |socket| socket.calls.len());
                prop_assert_eq!(dispatch.load(slot), load);
            }
        }
        let left: Vec<_> = dispatch.drain().into();
        prop_assert_eq!(left, Vec::from(model.queue));
    }
}
