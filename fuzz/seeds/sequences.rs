//! What happens to a socket, and to the queue of what is in flight on it.

use hookwire_fuzz::queue::{self, Op};
use hookwire_fuzz::script::script;

use super::Seeds;

/// The longest message is 64 bytes.
const UNIT: u8 = 4;

fn frame(message: &[u8]) -> Vec<u8> {
    [&[(message.len() as u8) << 2][..], message].concat()
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    [&[(bytes.len() as u8) << 2 | 1][..], bytes].concat()
}

fn header(units: u8) -> Vec<u8> {
    vec![units << 2 | 2]
}

const CUT: [u8; 1] = [3];

/// `requests` calls were made, of which `written` bytes left (each has eight); the
/// server closes the socket at the end if it says so.
fn reads_of(requests: u8, written: u8, closes: bool, pieces: &[&[u8]]) -> Vec<u8> {
    let seed = [&[UNIT, written, requests << 1 | u8::from(closes)][..], &pieces.concat()].concat();
    assert!(script(&seed).is_some());
    seed
}

pub(super) fn reads() -> Seeds {
    let long = frame(&[7; 60]);
    [
        ("a_reply_to_each", reads_of(2, 16, false, &[&frame(b"one"), &frame(b"two")])),
        (
            "one_byte_at_a_time",
            reads_of(
                1,
                8,
                false,
                &[
                    &raw(&[0]),
                    &CUT,
                    &raw(&[0]),
                    &CUT,
                    &raw(&[0]),
                    &CUT,
                    &raw(&[1]),
                    &CUT,
                    &raw(b"x"),
                ],
            ),
        ),
        ("an_empty_reply", reads_of(1, 8, false, &[&frame(b"")])),
        ("for_one_who_left", reads_of(3, 24, false, &[&frame(b"a"), &frame(b"b"), &frame(b"c")])),
        ("closed_between_frames", reads_of(2, 16, true, &[&frame(b"one")])),
        ("closed_within_a_frame", reads_of(1, 8, true, &[&header(2), &raw(b"half")])),
        ("closed_within_a_header", reads_of(1, 8, true, &[&raw(&[0, 0])])),
        ("beyond_the_limit", reads_of(1, 8, false, &[&header(17)])),
        ("unasked", reads_of(1, 8, false, &[&frame(b"one"), &CUT, &frame(b"two")])),
        ("unasked_beginning", reads_of(1, 8, false, &[&frame(b"one"), &raw(&[0])])),
        ("before_its_request_left", reads_of(2, 15, false, &[&frame(b"one"), &frame(b"two")])),
        (
            "more_than_is_expected_at_once",
            reads_of(0, 0, false, &[&header(16).repeat(20), &raw(b"x")]),
        ),
        ("many", reads_of(20, 160, true, &[&long[..]; 20])),
    ]
    .map(|(name, seed)| (name.to_owned(), seed))
    .into()
}

pub(super) fn operations() -> Seeds {
    let push = |deadline| Op::Push { size: 9, deadline };
    let seeds = [
        ("replies_in_order", vec![push(1), push(2), Op::Advance(20), Op::Pop, Op::Pop, Op::Pop]),
        (
            "a_caller_left",
            vec![push(1), push(9), Op::Advance(20), Op::Expire { now: 5 }, Op::Pop, Op::Pop],
        ),
        ("half_written", vec![push(1), push(2), Op::Advance(15), Op::Pop, Op::Pop, Op::TakeBack]),
        (
            "taken_back",
            vec![
                push(3),
                push(2),
                push(1),
                Op::Advance(1),
                Op::TakeBack,
                Op::TakeBack,
                Op::TakeBack,
                Op::Drain,
            ],
        ),
        (
            "deadlines_out_of_order",
            vec![push(9), push(3), push(5), Op::Expire { now: 4 }, Op::Shrink, Op::Drain],
        ),
        (
            "pushed_after_a_take_back",
            vec![push(1), Op::TakeBack, push(2), Op::Advance(10), Op::Pop],
        ),
        (
            "a_probe",
            vec![
                Op::PushTombstone { size: 9, deadline: 0 },
                push(5),
                Op::Advance(20),
                Op::Pop,
                Op::Pop,
            ],
        ),
        (
            "drained_half_written",
            vec![push(1), push(1), Op::Advance(5), Op::Drain, push(1), Op::Pop],
        ),
    ];
    let seed = |(name, ops): (&str, Vec<Op>)| {
        let bytes = queue::bytes(&ops);
        let read: Vec<Op> =
            arbitrary::Arbitrary::arbitrary_take_rest(arbitrary::Unstructured::new(&bytes))
                .unwrap();
        assert_eq!(read, ops, "{name}");
        (name.to_owned(), bytes)
    };
    seeds.map(seed).into()
}
