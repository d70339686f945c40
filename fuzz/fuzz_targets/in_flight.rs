//! Any operations on the queue of requests in flight, beside a plain list.
#![no_main]

use hookwire_fuzz::queue::Op;
use libfuzzer_sys::fuzz_target;

// The file as it is: it knows nothing of the rest of the crate.
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/unix/in_flight.rs"]
mod in_flight;

use in_flight::{InFlight, Kind, Unasked};

#[derive(Clone)]
struct Waiting {
    number: u32,
    deadline: u8,
    there: bool,
    start: u64,
    end: u64,
}

#[derive(Default)]
struct Model {
    list: Vec<Waiting>,
    queued: u64,
    written: u64,
    pushed: u32,
}

impl Model {
    fn push(&mut self, size: usize, deadline: u8, there: bool) {
        let (start, end) = (self.queued, self.queued + size as u64);
        self.list.push(Waiting { number: self.pushed, deadline, there, start, end });
        (self.queued, self.pushed) = (end, self.pushed + 1);
    }

    fn responders(list: &mut [Waiting], which: impl Fn(&Waiting) -> bool) -> Vec<u32> {
        let leave = |entry: &mut Waiting| {
            entry.there = false;
            entry.number
        };
        list.iter_mut().filter(|entry| entry.there && which(entry)).map(leave).collect()
    }
}

/// No frame is empty.
fn frame(size: u8) -> usize {
    usize::from(size) + 1
}

fn apply(op: &Op, queue: &mut InFlight<u32, u8>, model: &mut Model) {
    match *op {
        Op::Push { size, deadline } => {
            queue.push(Some(model.pushed), Kind::Hook, deadline, frame(size));
            model.push(frame(size), deadline, true);
        }
        Op::PushTombstone { size, deadline } => {
            queue.push(None, Kind::Probe, deadline, frame(size));
            model.push(frame(size), deadline, false);
        }
        Op::Advance(count) => {
            let count = u64::from(count).min(model.queued - model.written);
            queue.advance(count as usize);
            model.written += count;
        }
        Op::Pop => {
            let expected = match model.list.first() {
                Some(head) if head.end <= model.written => {
                    let head = model.list.remove(0);
                    Ok(head.there.then_some(head.number))
                }
                _ => Err(Unasked),
            };
            assert_eq!(queue.pop().map(|entry| entry.responder), expected);
        }
        Op::Expire { now } => {
            let expected = Model::responders(&mut model.list, |entry| entry.deadline <= now);
            assert_eq!(queue.expire(now).collect::<Vec<_>>(), expected);
        }
        Op::TakeBack => {
            let expected = model.list.pop_if(|entry| entry.start >= model.written);
            model.queued = expected.as_ref().map_or(model.queued, |entry| entry.start);
            let taken = queue.take_back().map(|entry| (entry.responder, entry.deadline));
            let expected = expected.map(|e| (e.there.then_some(e.number), e.deadline));
            assert_eq!(taken, expected);
        }
        Op::Shrink => queue.shrink(),
        Op::Drain => {
            let expected = Model::responders(&mut model.list, |_| true);
            model.list.clear();
            let drained = queue.drain().filter_map(|entry| entry.responder);
            assert_eq!(drained.collect::<Vec<_>>(), expected);
        }
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let (mut queue, mut model) = (InFlight::new(), Model::default());
    for op in &ops {
        apply(op, &mut queue, &mut model);
        let list = &model.list;
        assert_eq!((queue.len(), queue.is_empty()), (list.len(), list.is_empty()));
        assert_eq!(queue.head_deadline(), list.first().map(|entry| entry.deadline));
        let waiting = || list.iter().filter(|entry| entry.there);
        assert_eq!(queue.earliest_deadline(), waiting().map(|entry| entry.deadline).min());
        let even = |number: &u32| number.is_multiple_of(2);
        assert_eq!(queue.nobody(even), !waiting().any(|entry| even(&entry.number)));
    }
});
