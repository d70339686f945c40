use proptest::prelude::*;

use super::*;

/// A queue of requests of ten bytes each, `written` bytes of which have left.
fn queue(callers: impl IntoIterator<Item = u32>, written: usize) -> InFlight<u32, u32> {
    let mut queue = InFlight::new();
    for caller in callers {
        queue.push(Some(caller), Kind::Hook, caller, 10);
    }
    queue.advance(written);
    queue
}

/// Whom the next reply goes to.
fn pop(queue: &mut InFlight<u32, u32>) -> Result<Option<u32>, Unasked> {
    queue.pop().map(|entry| entry.responder)
}

fn responders(queue: &mut InFlight<u32, u32>) -> Vec<u32> {
    queue.drain().filter_map(|entry| entry.responder).collect()
}

#[test]
fn replies_go_to_the_requests_in_their_order() {
    let mut queue = queue([1, 2, 3], 30);
    assert_eq!(
        [pop(&mut queue), pop(&mut queue), pop(&mut queue)],
        [Ok(Some(1)), Ok(Some(2)), Ok(Some(3))]
    );
}

#[test]
fn the_reply_for_a_caller_that_left_shifts_nobody() {
    let mut queue = queue([1, 2, 3], 30);
    assert_eq!(queue.expire(2).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        [pop(&mut queue), pop(&mut queue), pop(&mut queue)],
        [Ok(None), Ok(None), Ok(Some(3))]
    );
}

#[test]
fn a_reply_that_nobody_asked_for_is_told() {
    assert_eq!(pop(&mut queue([], 0)), Err(Unasked));
}

#[test]
fn a_reply_before_its_request_has_left_is_told() {
    let mut queue = queue([1, 2], 15);
    assert_eq!(pop(&mut queue), Ok(Some(1)));
    assert_eq!(pop(&mut queue), Err(Unasked));
}

// Promise: H4
#[test]
fn only_requests_without_a_written_byte_are_taken_back() {
    let mut queue = queue([1, 2, 3, 4], 11);
    let back: Vec<_> =
        std::iter::from_fn(|| queue.take_back()).map(|entry| entry.responder).collect();
    assert_eq!(back, [Some(4), Some(3)]);
    assert_eq!(responders(&mut queue), [1, 2]);
}

#[test]
fn the_earliest_deadline_is_that_of_somebody_who_waits() {
    let mut queue = queue([5, 3, 9], 30);
    assert_eq!(queue.earliest_deadline(), Some(3));
    queue.expire(3).for_each(drop);
    assert_eq!(queue.earliest_deadline(), Some(5));
}

#[derive(Debug, Clone)]
enum Op {
    Push(usize),
    PushTombstone(usize),
    Write(usize),
    Reply,
    Expire(u32),
    TakeBack,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (4_usize..50).prop_map(Op::Push),
        1 => (4_usize..50).prop_map(Op::PushTombstone),
        3 => (1_usize..60).prop_map(Op::Write),
        2 => Just(Op::Reply),
        1 => (0_u32..40).prop_map(Op::Expire),
        1 => Just(Op::TakeBack),
    ]
}

proptest! {
    /// Against the plainest of models, a list of (caller, still there, start, end).
    // Promise: M1
    #[test]
    fn it_behaves_like_a_list_whatever_is_done_to_it(
        ops in proptest::collection::vec(any_op(), 0..200),
    ) {
        let mut queue = InFlight::new();
        let mut model: Vec<(u32, bool, u64, u64)> = Vec::new();
        let (mut next, mut queued, mut written) = (0_u32, 0_u64, 0_u64);
        for op in ops {
            match op {
                Op::Push(size) | Op::PushTombstone(size) => {
                    let there = matches!(op, Op::Push(_));
                    queue.push(there.then_some(next), Kind::Hook, next, size);
                    model.push((next, there, queued, queued + size as u64));
                    queued += size as u64;
                    next += 1;
                }
                Op::Write(count) => {
                    let count = (count as u64).min(queued - written);
                    queue.advance(count as usize);
                    written += count;
                }
                Op::Reply => {
                    let expected = match model.first() {
                        Some(&(caller, there, _, end)) if end <= written => {
                            model.remove(0);
                            Ok(there.then_some(caller))
                        }
                        _ => Err(Unasked),
                    };
                    prop_assert_eq!(pop(&mut queue), expected);
                }
                Op::Expire(now) => {
                    let mut expected = Vec::new();
                    for entry in model.iter_mut().filter(|entry| entry.1 && entry.0 <= now) {
                        entry.1 = false;
                        expected.push(entry.0);
                    }
                    prop_assert_eq!(queue.expire(now).collect::<Vec<_>>(), expected);
                }
                Op::TakeBack => {
                    let expected = model.pop_if(|entry| entry.2 >= written);
                    if let Some(entry) = expected {
                        queued = entry.2;
                    }
                    let taken = queue.take_back().map(|entry| entry.deadline);
                    prop_assert_eq!(taken, expected.map(|entry| entry.0));
                }
            }
            prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(queue.head_deadline(), model.first().map(|entry| entry.0));
            let waiting = || model.iter().filter(|entry| entry.1).map(|entry| entry.0);
            prop_assert_eq!(queue.earliest_deadline(), waiting().min());
            let even = |caller: &u32| caller.is_multiple_of(2);
            prop_assert_eq!(queue.nobody(even), !waiting().any(|caller| even(&caller)));
        }
        let waiting: Vec<_> = model.iter().filter(|entry| entry.1).map(|entry| entry.0).collect();
        prop_assert_eq!(responders(&mut queue), waiting);
    }
}

#[test]
fn the_memory_of_a_burst_is_given_back() {
    let mut queue = queue(0..1_000, 10_000);
    while pop(&mut queue).is_ok() {}
    queue.shrink();
    assert!(queue.entries.capacity() < 10, "{}", queue.entries.capacity());
}
