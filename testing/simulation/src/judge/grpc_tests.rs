//! What is judged in another way over gRPC, broken once each.

use super::tests::*;
use super::*;
use crate::event::Sent;

const OVER_GRPC: Bounds = Bounds { over: Over::Grpc, max_connection_age: None, ..BOUNDS };

/// All is well, and both servers are connected to.
const WELL: Sample = Sample { connections: 2, ..SAMPLE };

const GREETED: Event = Event::Greeted { conn: 1 };

fn judged(trace: &[(Millis, Event)]) -> Option<u8> {
    judged_by(OVER_GRPC, trace)
}

fn at_rest(sample: Sample) -> (Millis, Event) {
    (9, Event::Rested(sample, Counters::default()))
}

#[test]
fn a_stream_that_is_left_when_nobody_calls_is_found() {
    assert_eq!(judged(&[at_rest(WELL)]), None);
    assert_eq!(judged(&[at_rest(Sample { streams: 1, ..WELL })]), Some(12));
}

#[test]
fn a_server_that_is_well_and_not_connected_to_is_found() {
    assert_eq!(judged(&[at_rest(Sample { connections: 1, ..WELL })]), Some(2));
}

#[test]
fn connections_that_nobody_needs_are_found() {
    let connected = |conn| (1, Event::Connected { conn });
    let three = [connected(1), connected(2), connected(3)];
    assert_eq!(judged(&three), None, "one of them may have calls that go on");
    let at_rest = [connected(1), connected(2), connected(3), at_rest(WELL)];
    assert_eq!(judged(&at_rest), Some(6));
}

#[test]
fn a_server_may_say_that_a_call_is_late_and_the_client_may_not() {
    let timeout = failed(4, "timeout", Sent::Maybe);
    let begun = [(0, CONNECTED), (1, asked(4)), (1, written(4)), (1, began(4))];
    assert_eq!(judged(&[&begun[..], &[(5, timeout)]].concat()), Some(2));
    let said = (5, Event::SaidLate { call: 4 });
    assert_eq!(judged(&[&begun[..], &[said, (5, timeout)]].concat()), None);
}

#[test]
fn a_breaker_that_closes_before_a_server_has_answered_is_found() {
    let open = Event::Sampled(Sample { breaker_closed: false, ..SAMPLE });
    let closed = Event::Sampled(SAMPLE);
    let lost = [(1, Event::ConnectFailed), (2, open), (3, CONNECTED)];
    assert_eq!(judged(&[&lost[..], &[(4, closed)]].concat()), Some(8));
    assert_eq!(judged(&[&lost[..], &[(4, GREETED), (4, closed)]].concat()), None);
}

#[test]
fn a_reply_that_its_server_took_back_is_no_answer() {
    let declined = Event::Declined { conn: 1, call: 4 };
    let trace = [
        (0, CONNECTED),
        (1, asked(4)),
        (1, written(4)),
        (1, began(4)),
        (2, declined),
        (2, answered(4, reply(4))),
    ];
    assert_eq!(judged(&trace), Some(1));
    assert_eq!(judged(&[&served(4)[..], &[(5, answered(4, reply(4)))]].concat()), None);
}

#[test]
fn a_reply_with_nothing_in_it_costs_its_connection_nothing() {
    let nothing = (5, failed(4, "empty_reply", Sent::Maybe));
    let misanswered = (5, Event::Misanswered { conn: 1, call: 4 });
    let begun = [(0, CONNECTED), (1, asked(4)), (1, written(4)), misanswered, nothing];
    let after = [(9, Event::Sampled(SAMPLE))];
    assert_eq!(judged(&[&begun[..], &after].concat()), None);
    assert_eq!(judged_by(BOUNDS, &[&begun[..], &after].concat()), Some(4), "over a socket");
}
