//! One deadline covers everything, and who leaves shifts nobody.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::{Instant, advance, sleep};

use super::pipe::{
    Door, answer, assert_nothing_is_bound, burst, call, call_here, call_sized, call_with, config,
    failure, pair, served, settle,
};
use crate::error::{ErrorKind, Sent};
use crate::options::{CallOptions, Overload};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_call_comes_back_with_its_own_reply() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let first = call(&client, "a");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "a");
    peer.reply("a").await;
    assert_eq!(answer(first).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_call_does_not_shift_the_next_reply() {
    let (client, mut server) = pair(&config(|c| c.stall_limit(60 * SECOND)), 4096);
    let late = call_with(&client, "late", 0, CallOptions::new().timeout(SECOND));
    let other = call(&client, "other");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "late");
    let error = failure(late).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::Maybe));
    assert_eq!(peer.request().await.unwrap(), "other");
    peer.reply("late").await;
    peer.reply("other").await;
    assert_eq!(answer(other).await, "other");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_timeout_or_its_deadline_whichever_is_earlier() {
    let (client, _server) = pair(&config(|c| c.timeout(60 * SECOND)), 4096);
    let begun = Instant::now();
    for (timeout, deadline, length) in [(3, 5, 3), (5, 3, 3), (60, 4, 4), (2, 0, 0)] {
        let begun_now = Instant::now();
        let options =
            CallOptions::new().timeout(timeout * SECOND).deadline(begun_now + deadline * SECOND);
        let error = failure(call_with(&client, "late", 0, options)).await;
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.timeout(), Some(length * SECOND));
        assert_eq!(begun_now.elapsed().as_secs(), u64::from(length), "{timeout} {deadline}");
    }
    let past = CallOptions::new().deadline(begun);
    assert_eq!(failure(call_with(&client, "past", 0, past)).await.sent(), Sent::No);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_does_not_shift_the_next_reply() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let cancelled = call(&client, "cancelled");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "cancelled");
    cancelled.abort();
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("cancelled").await;
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_before_it_is_sent_never_reaches_the_plugin() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(1)), 4096);
    server.set(Door::Refused);
    let cancelled = call(&client, "cancelled");
    settle().await;
    cancelled.abort();
    settle().await;
    server.set(Door::Open);
    let next = call(&client, "next");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
}

/// redis-rs #1955: a write that blocked hid the read waker, and both sides waited
/// for ever: the client to get rid of its bytes, the server to get rid of its reply.
#[tokio::test(start_paused = true)]
async fn a_blocked_write_does_not_keep_replies_from_being_read() {
    let (client, mut server) = pair(&config(|c| c), 256);
    let calls = ["a", "b", "c"].map(|marker| call_sized(&client, marker, 5000));
    let mut peer = server.accept().await;
    for marker in ["a", "b", "c"] {
        assert_eq!(peer.request().await.unwrap(), marker);
        // Through 256 bytes at a time, taken only while the client reads.
        peer.reply(&marker.repeat(3000)).await;
    }
    for (marker, call) in ["a", "b", "c"].into_iter().zip(calls) {
        assert_eq!(answer(call).await, marker.repeat(3000));
    }
}

/// redis-rs #1541, ttrpc #317: the timeout did not cover the wait for a place.
#[tokio::test(start_paused = true)]
async fn every_caller_ends_by_its_deadline_when_the_server_never_reads() {
    let config = config(|c| c.max_in_flight(4).queue_capacity(5).timeout(SECOND));
    let (client, mut server) = pair(&config, 64);
    let calls: Vec<_> = (0..20).map(|i| call_sized(&client, &i.to_string(), 1000)).collect();
    let _peer = server.accept().await;
    let started = Instant::now();
    let mut kinds = Vec::new();
    for call in calls {
        let error = failure(call).await;
        assert!(started.elapsed() <= SECOND + Duration::from_millis(5), "{error}");
        kinds.push((error.kind(), error.sent()));
    }
    let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count();
    assert_eq!(count((ErrorKind::Timeout, Sent::Maybe)), 4, "{kinds:?}");
    assert_eq!(count((ErrorKind::Timeout, Sent::No)), 5, "{kinds:?}");
    assert_eq!(count((ErrorKind::Overloaded, Sent::No)), 11, "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_a_server_that_does_not_let_us_in() {
    for door in [Door::Silent, Door::Busy] {
        let config = config(|c| c.timeout(SECOND).connect_timeout(30 * SECOND));
        let (client, server) = pair(&config, 64);
        server.set(door);
        let started = Instant::now();
        let error = failure(call(&client, "a")).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No), "{door:?}");
        assert!(started.elapsed() <= SECOND + Duration::from_millis(5), "{door:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_want_to_wait_is_refused_at_once() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(1)), 4096);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "first");
    let options = CallOptions::new().overload(Overload::Refuse);
    let error = failure(call_with(&client, "second", 0, options)).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Overloaded, Sent::No));
    peer.reply("first").await;
    assert_eq!(answer(first).await, "first");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_behind_an_overdue_reply_and_its_connection_is_closed_at_the_stall_limit() {
    let (client, mut server) = pair(&config(|c| c.stall_limit(2 * SECOND)), 4096);
    let stuck = call_with(&client, "stuck", 0, CallOptions::new().timeout(SECOND));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "stuck");
    let behind = call(&client, "behind");
    assert_eq!(peer.request().await.unwrap(), "behind");
    failure(stuck).await;
    let waits = call(&client, "waits");
    let started = Instant::now();
    settle().await;
    assert_eq!(server.calls.stops.load(SeqCst), 0);
    // The next thing that the old connection sees is its end.
    assert_eq!(peer.request().await, None);
    assert!(started.elapsed() >= 2 * SECOND - Duration::from_millis(5));
    assert_eq!(server.calls.stops.load(SeqCst), 1, "it must not find out that it can write");
    let error = failure(behind).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Unstarted));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_takes_calls_again_once_its_late_reply_is_there() {
    let (client, mut server) = pair(&config(|c| c.stall_limit(60 * SECOND)), 4096);
    let late = call_with(&client, "late", 0, CallOptions::new().timeout(SECOND));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "late");
    failure(late).await;
    let waits = call(&client, "waits");
    settle().await;
    peer.reply("late").await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
    assert!(server.nobody_came());
}

/// async-nats #1617: entries of callers that had left stayed for ever.
#[tokio::test(start_paused = true)]
async fn ten_thousand_cancelled_calls_leave_nothing_behind() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(16)), 1 << 16);
    let first = call(&client, "first");
    let serving = tokio::spawn(server.accept().await.serve());
    answer(first).await;
    for _ in 0..10_000 {
        let cancelled = call(&client, "cancelled");
        tokio::task::yield_now().await;
        cancelled.abort();
    }
    assert_eq!(answer(call(&client, "last")).await, "last");
    settle().await;
    let stats = client.stats();
    assert_eq!((stats.in_flight, stats.queued, stats.waiting), (0, 0, 0));
    assert_nothing_is_bound(&client);
    drop(client);
    serving.await.unwrap();
}

// Promise: R6
#[tokio::test(start_paused = true)]
async fn all_replies_that_are_here_at_the_deadline_are_in_time() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(64)), 1 << 16);
    let calls: Vec<_> = (0..64).map(|i| call(&client, &i.to_string())).collect();
    let mut peer = server.accept().await;
    let replies = burst(&mut peer, 64).await;
    // The connection's timer fires in the same turn of the clock.
    sleep(10 * SECOND).await;
    peer.send_raw(&replies).await;
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

/// It was written first and timed out after that: the hook ran for a caller who was
/// told that it did not answer.
// Promise: H4
#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_is_not_sent_and_its_error_says_so() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    peer.request().await.unwrap();
    peer.reply("first").await;
    answer(first).await;
    let over = call_with(&client, "over", 0, CallOptions::new().timeout(Duration::ZERO));
    let error = failure(over).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No), "{error}");
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    answer(next).await;
}

// Promise: R7
#[tokio::test(start_paused = true)]
async fn all_replies_that_are_here_when_the_client_stops_are_in_time() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(64)), 1 << 16);
    let calls: Vec<_> = (0..64).map(|i| call(&client, &i.to_string())).collect();
    let mut peer = server.accept().await;
    let replies = burst(&mut peer, 64).await;
    peer.send_raw(&replies).await;
    client.stop(Instant::now());
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

/// By the deadline in its middle, the burst that ends a stall would be overdue.
// Promise: B2
#[tokio::test(start_paused = true)]
async fn a_stalled_connection_is_not_judged_before_all_that_came_is_looked_at() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(64)), 1 << 16);
    let seconds = |i| match i {
        0 => 5,
        32 => 1,
        _ => 10,
    };
    let calls: Vec<_> = (0..64)
        .map(|i| {
            let options = CallOptions::new().timeout(seconds(i) * SECOND);
            call_with(&client, &i.to_string(), 0, options)
        })
        .collect();
    let mut peer = server.accept().await;
    let replies = burst(&mut peer, 64).await;
    sleep(6 * SECOND).await;
    peer.send_raw(&replies).await;
    for (i, call) in calls.into_iter().enumerate() {
        if seconds(i) < 6 {
            assert_eq!(failure(call).await.kind(), ErrorKind::Timeout);
        } else {
            assert_eq!(answer(call).await, i.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_idle_timeout_and_opened_again() {
    let (client, mut server) = pair(&config(|c| c.idle_timeout(5 * SECOND)), 4096);
    for round in ["a", "b"] {
        let first = call(&client, round);
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), round);
        advance(4 * SECOND).await;
        peer.reply(round).await;
        assert_eq!(answer(first).await, round);
        let idle = Instant::now();
        assert!(peer.is_closed().await);
        let after = idle.elapsed();
        assert!(after >= 5 * SECOND && after < 6 * SECOND, "{after:?}");
    }
}

/// The request was written, and its reply is owed, whoever waits for it.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_behind_a_reply_that_is_overdue_although_its_caller_has_left() {
    let (client, mut server) = pair(&config(|c| c.stall_limit(60 * SECOND)), 4096);
    let left = call_with(&client, "left", 0, CallOptions::new().timeout(SECOND));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "left");
    left.abort();
    sleep(2 * SECOND).await;
    let waits = call(&client, "waits");
    settle().await;
    assert!(peer.request().now_or_never().is_none());
    peer.reply("left").await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}

#[tokio::test(start_paused = true)]
async fn of_two_overdue_replies_both_must_come_before_anything_is_sent() {
    let (client, mut server) = pair(&config(|c| c.stall_limit(60 * SECOND)), 4096);
    let hasty = || CallOptions::new().timeout(SECOND);
    let calls = ["first", "second"].map(|marker| call_with(&client, marker, 0, hasty()));
    let mut peer = server.accept().await;
    for marker in ["first", "second"] {
        assert_eq!(peer.request().await.unwrap(), marker);
    }
    for call in calls {
        failure(call).await;
    }
    let waits = call(&client, "waits");
    peer.reply("first").await;
    settle().await;
    assert!(peer.request().now_or_never().is_none());
    peer.reply("second").await;
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_while_another_is_written_gives_its_room_back() {
    let (client, mut server) = pair(&config(|c| c), 64);
    let large = call_sized(&client, "large", 1 << 20);
    let mut peer = server.accept().await;
    settle().await;
    let small = call_with(&client, "small", 0, CallOptions::new().timeout(SECOND));
    let error = failure(small).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No));
    assert_eq!(client.stats().in_flight, 1);
    assert_eq!(peer.request().await.unwrap(), "large");
    peer.reply("large").await;
    assert_eq!(answer(large).await, "large");
    assert_nothing_is_bound(&client);
}

/// It is bound to the socket already, whose task has not seen it yet.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_it_is_written_gives_its_room_back() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let first = call(&client, "first");
    let mut peer = served(&mut server, first, "first").await;
    let dropped = call_here(&client, "dropped", 0, CallOptions::new());
    assert!(dropped.now_or_never().is_none());
    settle().await;
    assert_nothing_is_bound(&client);
    assert_eq!(client.stats().abandoned, 1);
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
}
