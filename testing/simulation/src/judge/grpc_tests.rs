//! What is judged in another way over gRPC, broken once each.

use super::tests::*;
use super::*;
use crate::event::{Kind, Sent, Side};

const OVER_GRPC: Bounds = Bounds { over: Over::Grpc, max_connection_age: None, ..BOUNDS };

/// All is well, and both servers are connected to.
const WELL: Sample = Sample { connections: 2, ..SAMPLE };

const GREETED: Event = Event::Greeted { conn: 1 };
const LOST: Event = Event::Closed { conn: 1, by: Side::Server };
const CONNECTED_AGAIN: Event = Event::Connected { conn: 2 };
const GREETED_AGAIN: Event = Event::Greeted { conn: 2 };

/// Every breaker is seen closed, or one is not.
const CLOSED: Event = Event::Sampled(SAMPLE);
const OPEN: Event = Event::Sampled(Sample { breaker_closed: false, ..SAMPLE });

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
    let lost = [(1, Event::ConnectFailed), (2, OPEN), (3, CONNECTED)];
    assert_eq!(judged(&[&lost[..], &[(4, CLOSED)]].concat()), Some(8));
    assert_eq!(judged(&[&lost[..], &[(4, GREETED), (4, CLOSED)]].concat()), None);
}

/// Both lie in the kernel when the client looks, and the end counts.
#[test]
fn a_connection_that_is_lost_with_the_first_word_of_its_server_may_never_have_been_there() {
    let lost = [(0, CONNECTED), (1, CLOSED), (2, GREETED), (2, LOST), (3, OPEN)];
    let again = [(4, CONNECTED_AGAIN), (4, GREETED_AGAIN), (5, CLOSED)];
    assert_eq!(judged(&[&lost[..], &again].concat()), None);
    assert_eq!(judged(&[&lost[..], &[(4, CONNECTED_AGAIN), (5, CLOSED)]].concat()), Some(8));
}

#[test]
fn a_breaker_that_a_connection_closes_after_one_was_lost_at_its_first_hook_is_found() {
    let used = [(0, CONNECTED), (1, GREETED), (1, CLOSED), (2, asked(4)), (2, written(4))];
    let lost = [(3, LOST), (3, failed(4, "disconnected", Sent::Maybe)), (4, OPEN)];
    let again = [(5, CONNECTED_AGAIN), (5, GREETED_AGAIN), (6, CLOSED)];
    assert_eq!(judged(&[&used[..], &lost, &again].concat()), Some(8));
    let by_hook = [(5, CONNECTED_AGAIN), (5, GREETED_AGAIN), (5, replied(4)), (6, CLOSED)];
    assert_eq!(judged(&[&used[..], &lost, &by_hook].concat()), None);
}

#[test]
fn a_breaker_that_a_connection_closes_after_one_was_lost_that_the_client_had_counted_is_found() {
    let ready = Event::Sampled(Sample { connections: 1, ..SAMPLE });
    let lost = |counted: Millis| {
        let lost = [(0, CONNECTED), (1, GREETED), (counted, ready), (3, LOST), (4, OPEN)];
        judged(&[&lost[..], &[(5, CONNECTED_AGAIN), (5, GREETED_AGAIN), (6, CLOSED)]].concat())
    };
    assert_eq!(lost(2), Some(8));
    assert_eq!(lost(1), None, "that may be one whose end it has not seen yet");
}

#[test]
fn a_reply_that_is_read_late_closes_a_breaker() {
    let in_the_kernel = [(0, CONNECTED), (1, asked(4)), (1, written(4)), (1, began(4))];
    let unread = [(2, replied(4)), (3, CLOSED), (4, asked(6)), (5, OPEN)];
    let late = [(6, answered(4, reply(4))), (7, CLOSED)];
    assert_eq!(judged(&[&in_the_kernel[..], &unread, &late].concat()), None);
    assert_eq!(judged(&[&in_the_kernel[..], &unread, &[(7, CLOSED)]].concat()), Some(8));
}

/// Of two plugins that share their connections.
#[test]
fn what_one_plugin_has_given_up_and_another_waits_for_may_open_a_breaker_and_close_it() {
    let shared = Bounds { plugins: 2, ..OVER_GRPC };
    let patience = shared.connect_timeout;
    for connected in [vec![], vec![(2, CONNECTED)]] {
        let opened = |at| {
            let begun = [&[(1, Event::Connecting)][..], &connected, &[(2, CLOSED)]].concat();
            [&begun[..], &[(at, OPEN)]].concat()
        };
        assert_eq!(judged_by(shared, &opened(patience)), Some(8), "each of them still waits");
        let open = opened(1 + patience);
        assert_eq!(judged_by(shared, &open), None);
        assert_eq!(judged(&open), Some(8), "there is no other");
        let reached = [&open[..], &[(9, CONNECTED), (9, GREETED), (9, CLOSED)]].concat();
        assert_eq!(judged_by(shared, &reached), None);
        let silent = [&open[..], &[(9, CLOSED)]].concat();
        assert_eq!(judged_by(shared, &silent), Some(8));
    }
}

#[test]
fn a_failure_speaks_for_a_moment_to_those_who_share_a_connection() {
    let shared = Bounds { plugins: 2, ..OVER_GRPC };
    let opened = |at| [(0, Event::Connecting), (1, Event::ConnectFailed), (51, CLOSED), (at, OPEN)];
    assert_eq!(judged_by(shared, &opened(51)), None);
    assert_eq!(judged(&opened(51)), Some(8), "there is no other");
    let later = [(0, Event::Connecting), (1, Event::ConnectFailed), (52, CLOSED), (52, OPEN)];
    assert_eq!(judged_by(shared, &later), Some(8));
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

#[test]
fn a_foreign_reply_condemns_the_connection_that_brought_it_whichever_was_written_to_last() {
    let condemned = |closed| {
        let sent = [(0, CONNECTED), (0, CONNECTED_AGAIN), (1, asked(4)), (1, written(4))];
        // As it was to begin with, before it was passed over there.
        let late = (1, Event::Written { conn: 2, call: 4 });
        let foreign = (2, Event::Misanswered { conn: 1, call: 4 });
        let told = (2, failed(4, "mismatch", Sent::Maybe));
        let closed = (2, Event::Closed { conn: closed, by: Side::Client });
        judged(&[&sent[..], &[late, foreign, closed, told, (4, CLOSED)]].concat())
    };
    assert_eq!(condemned(1), None);
    assert_eq!(condemned(2), Some(4));
}

#[test]
fn a_reply_on_a_connection_that_one_plugin_has_left_answers_no_call_that_was_sent_again() {
    let late = |plugins, may_rerun| {
        let asked = Event::Asked { call: 4, kind: Kind::Hook, deadline: 1_000, may_rerun };
        let served = [(0, CONNECTED), (1, asked), (1, written(4)), (1, began(4)), (5, replied(4))];
        let late = (1_000, failed(4, "timeout", Sent::Maybe));
        judged_by(Bounds { plugins, ..OVER_GRPC }, &[&served[..], &[late]].concat())
    };
    assert_eq!(late(2, true), None);
    assert_eq!(late(2, false), Some(9), "it would have failed with the connection");
    assert_eq!(late(1, true), Some(9), "there is no other for whom it would be open");
}
