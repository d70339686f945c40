//! Each invariant, broken once: a judge that cannot find it is none.

use super::*;
use crate::event::{Damage, Kind, Outcome, Over, Sent, Side, Verdict, work};

pub(super) const BOUNDS: Bounds = Bounds {
    over: Over::Socket,
    plugins: 1,
    max_connections: 2,
    max_in_flight: 4,
    queue_capacity: 1,
    connect_timeout: 7,
    keep_alive: false,
    max_connection_age: Some(60_000),
    log_panics: false,
};

pub(super) const SAMPLE: Sample = Sample {
    waiting: 0,
    queued: 0,
    in_flight: 0,
    fullest: 0,
    connections: 0,
    breaker_closed: true,
    shut_down: false,
    streams: 0,
};

/// What a judge makes of a trace: the invariant that the last event breaks.
fn judged(trace: &[(Millis, Event)]) -> Option<u8> {
    judged_by(BOUNDS, trace)
}

pub(super) fn judged_by(bounds: Bounds, trace: &[(Millis, Event)]) -> Option<u8> {
    let mut judge = Judge::default();
    judge.see(0, &Event::Handle(bounds)).expect("a new handle breaks nothing");
    let (last, before) = trace.split_last().expect("a trace has a last event");
    for (now, event) in before {
        judge.see(*now, event).unwrap_or_else(|broken| panic!("{event:?} at {now}: {broken}"));
    }
    judge.see(last.0, &last.1).err().map(|broken| broken.invariant)
}

pub(super) fn asked(call: u32) -> Event {
    Event::Asked { call, kind: Kind::Hook, deadline: 1_000, may_rerun: false }
}

fn question(call: u32) -> Event {
    Event::Asked { call, kind: Kind::Question, deadline: 1_000, may_rerun: false }
}

/// What call `of` is answered, over connection 1.
pub(super) fn reply(of: u32) -> Outcome {
    let (verdict, number) = work(of);
    Outcome::Hook { verdict, call: of, conn: 1, number }
}

pub(super) fn answered(call: u32, outcome: Outcome) -> Event {
    Event::Answered { call, outcome }
}

pub(super) fn failed(call: u32, reason: &'static str, sent: Sent) -> Event {
    answered(call, Outcome::Failed { reason, sent })
}

pub(super) const CONNECTED: Event = Event::Connected { conn: 1 };
const CLOSED: Event = Event::Closed { conn: 1, by: Side::Client };

pub(super) fn written(call: u32) -> Event {
    Event::Written { conn: 1, call }
}

pub(super) fn began(call: u32) -> Event {
    Event::Began { conn: 1, call }
}

pub(super) fn replied(call: u32) -> Event {
    Event::Replied { conn: 1, call, kind: Kind::Hook }
}

/// A call that the server answers at 5 ms.
pub(super) fn served(call: u32) -> Vec<(Millis, Event)> {
    [(0, CONNECTED), (1, asked(call)), (1, written(call)), (1, began(call)), (5, replied(call))]
        .into()
}

fn and(mut trace: Vec<(Millis, Event)>, more: &[(Millis, Event)]) -> Vec<(Millis, Event)> {
    trace.extend_from_slice(more);
    trace
}

#[test]
fn a_call_that_is_answered_as_it_should_be_breaks_nothing() {
    assert_eq!(judged(&and(served(4), &[(5, answered(4, reply(4)))])), None);
}

#[test]
fn the_reply_of_another_call_is_found() {
    assert_eq!(judged(&and(served(4), &[(5, answered(4, reply(5)))])), Some(1));
}

#[test]
fn a_deny_that_became_an_allow_is_found() {
    let denied = (1..).find(|call| work(*call).0 == Verdict::Deny).expect("some are");
    let (_, number) = work(denied);
    let allowed = Outcome::Hook { verdict: Verdict::Allow, call: denied, conn: 1, number };
    assert_eq!(judged(&and(served(denied), &[(5, answered(denied, allowed))])), Some(1));
}

#[test]
fn an_answer_without_a_run_of_the_hook_is_found() {
    assert_eq!(judged(&[(0, CONNECTED), (1, asked(4)), (2, answered(4, reply(4)))]), Some(1));
}

#[test]
fn answers_of_the_wrong_kind_are_found() {
    assert_eq!(judged(&and(served(4), &[(5, answered(4, Outcome::Config))])), Some(1));
    let trace = and(served(4), &[(5, question(6)), (5, answered(6, reply(4)))]);
    assert_eq!(judged(&trace), Some(1));
}

#[test]
fn a_late_answer_and_one_that_never_comes_are_found() {
    let late = failed(4, "timeout", Sent::No);
    assert_eq!(judged(&[(0, asked(4)), (1_002, late)]), None);
    assert_eq!(judged(&[(0, asked(4)), (1_003, late)]), Some(2));
    assert_eq!(judged(&[(0, asked(4)), (1_003, Event::Sampled(SAMPLE))]), Some(2));
}

#[test]
fn a_timeout_before_the_deadline_is_found() {
    assert_eq!(judged(&[(0, asked(4)), (999, failed(4, "timeout", Sent::No))]), Some(2));
}

#[test]
fn a_second_answer_is_found() {
    let once = and(served(4), &[(5, answered(4, reply(4)))]);
    assert_eq!(judged(&and(once, &[(6, answered(4, reply(4)))])), Some(2));
}

#[test]
fn a_plugin_that_is_well_and_whose_call_fails_is_found() {
    let trace = [(0, Event::Recovered), (0, asked(4)), (0, failed(4, "unavailable", Sent::No))];
    assert_eq!(judged(&trace), Some(2));
}

#[test]
fn a_connection_that_goes_on_after_a_foreign_reply_is_found() {
    let misanswered = Event::Misanswered { conn: 1, call: 4 };
    let told = [
        (0, CONNECTED),
        (1, asked(4)),
        (1, written(4)),
        (1, asked(6)),
        (1, written(6)),
        (2, misanswered),
        (2, failed(4, "mismatch", Sent::Maybe)),
    ];
    let open = and(told.into(), &[(4, Event::Sampled(SAMPLE))]);
    assert_eq!(judged(&open), Some(4));
    let closed = and(told.into(), &[(2, CLOSED), (4, Event::Sampled(SAMPLE))]);
    assert_eq!(judged(&closed), None);
    let answers = and(told.into(), &[(3, began(6)), (3, replied(6)), (3, answered(6, reply(6)))]);
    assert_eq!(judged(&answers), Some(4));
}

#[test]
fn a_reply_behind_broken_frames_is_found() {
    let damaged = Event::Damaged { conn: 1, damage: Damage::Framing };
    let trace = [
        (0, CONNECTED),
        (1, asked(4)),
        (1, written(4)),
        (1, began(4)),
        (2, damaged),
        (2, replied(4)),
        (2, answered(4, reply(4))),
    ];
    assert_eq!(judged(&trace), Some(4));
    let counters = Counters::default();
    let open = [(0, CONNECTED), (2, damaged), (9, Event::Rested(SAMPLE, counters))];
    assert_eq!(judged(&open), Some(4));
}

#[test]
fn a_hook_that_runs_twice_is_found_unless_that_is_allowed() {
    let twice = [(2, began(4)), (3, began(4))];
    assert_eq!(judged(&and(vec![(0, asked(4))], &twice)), Some(5));
    let allowed = Event::Asked { call: 4, kind: Kind::Hook, deadline: 1_000, may_rerun: true };
    assert_eq!(judged(&and(vec![(0, allowed)], &twice)), None);
}

#[test]
fn a_call_that_is_said_to_be_unsent_and_was_sent_is_found_before_and_after() {
    let told = failed(4, "unavailable", Sent::No);
    assert_eq!(judged(&[(0, CONNECTED), (1, asked(4)), (2, written(4)), (3, told)]), Some(5));
    assert_eq!(judged(&[(0, CONNECTED), (1, asked(4)), (2, told), (3, written(4))]), Some(5));
}

#[test]
fn a_call_that_is_said_not_to_have_begun_and_did_is_found_before_and_after() {
    let told = failed(4, "disconnected", Sent::Unstarted);
    assert_eq!(judged(&[(1, asked(4)), (2, began(4)), (3, told)]), Some(5));
    assert_eq!(judged(&[(1, asked(4)), (2, told), (3, began(4))]), Some(5));
}

#[test]
fn every_bound_that_is_crossed_is_found() {
    let crossed = [
        Sample { waiting: 2, ..SAMPLE },
        Sample { queued: 5, in_flight: 4, ..SAMPLE },
        Sample { fullest: 5, ..SAMPLE },
        Sample { connections: 3, ..SAMPLE },
    ];
    for sample in crossed {
        assert_eq!(judged(&[(1, Event::Sampled(sample))]), Some(6), "{sample:?}");
    }
    let sockets = [(0, CONNECTED), (0, Event::Connected { conn: 2 }), (0, Event::Connecting)];
    assert_eq!(judged(&sockets), Some(6));
}

#[test]
fn what_is_left_when_nobody_calls_is_found() {
    for sample in [
        Sample { waiting: 1, ..SAMPLE },
        Sample { queued: 1, ..SAMPLE },
        Sample { in_flight: 1, ..SAMPLE },
    ] {
        assert_eq!(judged(&[(9, Event::Rested(sample, Counters::default()))]), Some(2));
    }
}

#[test]
fn a_call_that_is_not_counted_or_counted_twice_is_found() {
    for calls in [0, 2] {
        let counters = Counters { calls, ..Counters::default() };
        let trace =
            [(0, asked(4)), (1, Event::Left { call: 4 }), (9, Event::Rested(SAMPLE, counters))];
        assert_eq!(judged(&trace), Some(2), "{calls} calls");
    }
}

#[test]
fn a_panic_in_the_plugins_tasks_is_found() {
    let counters = Counters { panics: 1, ..Counters::default() };
    assert_eq!(judged(&[(9, Event::Rested(SAMPLE, counters))]), Some(10));
}

#[test]
fn what_outlives_a_shutdown_is_found() {
    let stopping = Event::Stopping { by: 50 };
    let gone = Sample { shut_down: true, ..SAMPLE };
    assert_eq!(judged(&[(0, stopping), (53, Event::Sampled(gone))]), None);
    assert_eq!(judged(&[(0, stopping), (53, Event::Sampled(SAMPLE))]), Some(7));
    let socket = [(0, CONNECTED), (0, stopping), (53, Event::Sampled(gone))];
    assert_eq!(judged(&socket), Some(7));
    let call = [(0, asked(4)), (0, stopping), (53, Event::Sampled(gone))];
    assert_eq!(judged(&call), Some(7));
}

#[test]
fn a_call_after_a_shutdown_that_is_not_refused_at_once_is_found() {
    let stopping = (0, Event::Stopping { by: 50 });
    let refused = failed(4, "shutdown", Sent::No);
    assert_eq!(judged(&[stopping, (9, asked(4)), (9, refused)]), None);
    assert_eq!(judged(&[stopping, (9, asked(4)), (11, refused)]), Some(7));
    let other = failed(4, "unavailable", Sent::No);
    assert_eq!(judged(&[stopping, (9, asked(4)), (9, other)]), Some(7));
}

#[test]
fn sockets_that_outlive_the_last_handle_are_found() {
    assert_eq!(
        judged(&[(0, CONNECTED), (1, Event::Released), (9, Event::Handle(BOUNDS))]),
        Some(7)
    );
    assert_eq!(judged(&[(0, CONNECTED), (1, Event::Released), (9, Event::Ended)]), Some(7));
    let connecting = [(0, Event::Connecting), (1, Event::Released), (9, Event::Ended)];
    assert_eq!(judged(&connecting), Some(7));
}

#[test]
fn a_breaker_that_a_question_moves_is_found() {
    let open = Event::Sampled(Sample { breaker_closed: false, ..SAMPLE });
    let closed = Event::Sampled(SAMPLE);
    let asked_and_answered = Event::Replied { conn: 1, call: 0, kind: Kind::Question };
    assert_eq!(judged(&[(0, CONNECTED), (1, question(6)), (5, open)]), Some(8));
    let hangs = [(0, CONNECTED), (0, closed), (1, asked(4)), (1, written(4)), (5, open)];
    assert_eq!(judged(&hangs), None);
    let by_question = and(hangs.into(), &[(6, asked_and_answered), (7, closed)]);
    assert_eq!(judged(&by_question), Some(8));
    let by_hook = and(hangs.into(), &[(6, replied(4)), (7, closed)]);
    assert_eq!(judged(&by_hook), None);
    let by_connection = and(
        hangs.into(),
        &[(6, Event::Connecting), (6, Event::Connected { conn: 2 }), (7, closed)],
    );
    assert_eq!(judged(&by_connection), Some(8));
}

#[test]
fn a_reply_in_time_that_is_taken_for_late_is_found() {
    let late = (1_000, failed(4, "timeout", Sent::Maybe));
    assert_eq!(judged(&and(served(4), &[late])), Some(9));
    let closed = Event::Closed { conn: 1, by: Side::Server };
    assert_eq!(judged(&and(served(4), &[(6, closed), late])), None);
}

#[test]
fn invariant_11_a_connection_is_used_after_another_server_has_the_path() {
    let used = |asked_at, conn| {
        judged(&[
            (0, CONNECTED),
            (10, Event::TakenOver),
            (20, Event::Connected { conn: 2 }),
            (asked_at, asked(1)),
            (asked_at, Event::Written { conn, call: 1 }),
        ])
    };
    assert_eq!(used(512, 1), None, "it may not be known yet");
    assert_eq!(used(513, 1), Some(11));
    assert_eq!(used(513, 2), None, "that is the new one's");
}

#[test]
fn invariant_11_a_connection_is_used_that_is_too_old() {
    let used = |at| judged(&[(0, CONNECTED), (at, asked(1)), (at, written(1))]);
    assert_eq!((used(60_002), used(60_003)), (None, Some(11)));
}

#[test]
fn invariant_11_a_call_that_was_asked_in_time_may_be_written_late() {
    let trace = [(0, CONNECTED), (1, Event::TakenOver), (500, asked(1)), (900, written(1))];
    assert_eq!(judged(&trace), None);
}
