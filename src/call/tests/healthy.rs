//! Calls that failed although the system was healthy, found by reading the code.
//! Each was reproduced before it was mended.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;

use super::pipe::{
    Door, Server, answer, call, call_sized, call_with, config, failure, pair, served, settle,
};
use crate::error::{Cause, ErrorKind, Sent};
use crate::model::PluginContext;
use crate::options::{CallOptions, Overload};

/// Serves whoever comes.
async fn serve_all(mut server: Server) {
    loop {
        tokio::spawn(server.accept().await.serve());
    }
}

/// A rolling restart unlinks the socket: open connections work, new ones cannot be
/// made. A call was refused, or waited for ever, at a connection that failed to
/// open, while the open one was free.
#[tokio::test(start_paused = true)]
async fn while_one_connection_works_no_call_fails_at_another_that_cannot_be_opened() {
    for door in [Door::Refused, Door::Busy] {
        for attempts in [1, 3] {
            let config = config(|c| c.max_connections(4).reconnect_attempts(attempts));
            let (client, mut server) = pair(&config, 4096);
            let first = call(&client, "first");
            let mut peer = server.accept().await;
            assert_eq!(peer.request().await.unwrap(), "first");
            server.set(door);
            let second = call(&client, "second");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let third = call(&client, "third");
            tokio::time::sleep(Duration::from_secs(1)).await;
            peer.reply("first").await;
            tokio::spawn(peer.serve());
            assert_eq!(answer(first).await, "first");
            assert_eq!(answer(second).await, "second", "{door:?}");
            assert_eq!(answer(third).await, "third", "{door:?}");
        }
    }
}

/// A call that was handed back for another connection to take lost its place on
/// the way, and was refused as if it had just come.
#[tokio::test(start_paused = true)]
async fn a_burst_that_fits_is_taken_whole_at_a_cold_start() {
    let config = config(|c| c.max_connections(2).max_in_flight(2).queue_capacity(6));
    let (client, server) = pair(&config, 4096);
    let calls: Vec<_> = (0..10).map(|i| call(&client, &i.to_string())).collect();
    tokio::spawn(serve_all(server));
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_connecting_lets_the_calls_that_were_taken_finish() {
    for connections in [1, 4] {
        let (client, server) = pair(&config(|c| c.max_connections(connections)), 4096);
        server.set(Door::Refused);
        let calls: Vec<_> = (0..4).map(|i| call(&client, &i.to_string())).collect();
        settle().await;
        server.set(Door::Open);
        client.stop(Instant::now() + Duration::from_secs(60));
        tokio::spawn(serve_all(server));
        for (i, call) in calls.into_iter().enumerate() {
            assert_eq!(answer(call).await, i.to_string());
        }
        client.stopped().await;
    }
}

/// The first connection had nothing left to do once its calls had moved on, and ended
/// before they were back.
// Promise: R7
#[tokio::test(start_paused = true)]
async fn a_shutdown_before_the_first_attempt_fails_lets_the_calls_that_were_taken_finish() {
    let config = config(|c| c.max_connections(4).connect_timeout(Duration::from_secs(1)));
    let (client, server) = pair(&config, 4096);
    server.set(Door::Silent);
    let calls: Vec<_> = (0..4).map(|i| call(&client, &i.to_string())).collect();
    settle().await;
    client.stop(Instant::now() + Duration::from_secs(60));
    settle().await;
    server.set(Door::Open);
    tokio::spawn(serve_all(server));
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
    client.stopped().await;
}

/// It was handed to the first connection, which had nothing left to do and had ended.
// Promise: R7
#[tokio::test(start_paused = true)]
async fn in_a_shutdown_a_call_whose_connection_cannot_be_made_takes_one_that_gets_free() {
    let config = config(|c| {
        let connect_timeout = Duration::from_secs(1);
        c.max_connections(2).connect_timeout(connect_timeout).reconnect_attempts(1_000_000)
    });
    let (client, mut server) = pair(&config, 4096);
    let first = call(&client, "first");
    let mut peer = server.accept().await;
    peer.request().await.unwrap();
    server.set(Door::Silent);
    let second = call(&client, "second");
    settle().await;
    assert_eq!(server.attempts(), 2);
    client.stop(Instant::now() + Duration::from_secs(60));
    server.set(Door::Refused);
    tokio::time::sleep(Duration::from_millis(1050)).await;
    peer.reply("first").await;
    answer(first).await;
    tokio::spawn(peer.serve());
    assert_eq!(answer(second).await, "second");
    client.stopped().await;
}

/// The place was given back after the reply had woken its caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_after_the_other_is_never_too_many() {
    let config = config(|c| c.max_in_flight(1).queue_capacity(0));
    let (client, server) = pair(&config, 4096);
    tokio::spawn(serve_all(server));
    let refuse = CallOptions::new().overload(Overload::Refuse);
    for i in 0..5_000 {
        let marker = i.to_string();
        assert_eq!(answer(call_with(&client, &marker, 0, refuse)).await, marker);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_all_connections_stalled_takes_the_first_that_gets_free() {
    let config = config(|c| c.max_connections(2).stall_limit(Duration::from_secs(60)));
    for free in [0, 1] {
        let (client, mut server) = pair(&config, 4096);
        let soon = CallOptions::new().timeout(Duration::from_secs(1));
        let mut stuck = Vec::new();
        for marker in ["a", "b"] {
            let call = call_with(&client, marker, 0, soon);
            let mut peer = server.accept().await;
            assert_eq!(peer.request().await.unwrap(), marker);
            stuck.push((marker, call, peer));
        }
        let mut peers = Vec::new();
        for (marker, call, peer) in stuck {
            failure(call).await;
            peers.push((marker, peer));
        }
        let waits = call(&client, "waits");
        settle().await;
        let (marker, mut peer) = peers.remove(free);
        peer.reply(marker).await;
        tokio::spawn(peer.serve());
        assert_eq!(answer(waits).await, "waits", "{free}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_written_by_the_end_of_a_shutdown_was_not_sent() {
    let (client, mut server) = pair(&config(|c| c), 64);
    let calls = ["half", "behind"].map(|marker| super::pipe::call_sized(&client, marker, 5000));
    let _peer = server.accept().await;
    settle().await;
    client.stop(Instant::now() + Duration::from_secs(1));
    let [half, behind] = calls;
    assert_eq!(failure(half).await.sent(), Sent::Maybe);
    let error = failure(behind).await;
    assert_eq!((error.reason(), error.sent()), ("shutdown", Sent::No));
}

/// The timer of a connection's task belonged to the runtime of the first caller.
#[test]
fn a_handle_may_be_called_from_outside_its_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, server) = {
        let _entered = runtime.enter();
        pair(&config(|c| c), 4096)
    };
    runtime.spawn(serve_all(server));
    let context = PluginContext::new("request-1");
    let payload = serde_json::json!({"marker": "x"});
    let options = CallOptions::new();
    let call = client.invoke::<_, serde_json::Value>("hook", &payload, &context, options, |_| None);
    assert!(futures::executor::block_on(call).unwrap().0.is_allowed());
}

/// The wait took the runtime's timer from where the caller was, and panicked.
// Promise: R6
#[test]
fn a_call_from_outside_its_runtime_may_wait_for_a_place() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, mut server) = {
        let _entered = runtime.enter();
        pair(&config(|c| c.max_in_flight(1)), 4096)
    };
    let (stuck, _peer) = runtime.block_on(async {
        let stuck = call(&client, "stuck");
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), "stuck");
        (stuck, peer)
    });
    let context = PluginContext::new("request-1");
    let payload = serde_json::json!({"marker": "x"});
    let options = CallOptions::new().timeout(Duration::from_millis(20));
    let waits =
        client.invoke::<_, serde_json::Value>("hook", &payload, &context, options, |_| None);
    let error = futures::executor::block_on(waits).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::No));
    stuck.abort();
}

/// Their timers belong to the runtime that is gone.
// Promise: T3
#[test]
fn calls_that_wait_for_a_place_learn_that_the_runtime_is_gone() {
    let own = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut server) = {
        let _entered = own.enter();
        pair(&config(|c| c.max_in_flight(2)), 4096)
    };
    let _peer = own.block_on(async {
        drop((call(&client, "0"), call(&client, "1")));
        let mut peer = server.accept().await;
        peer.request().await.unwrap();
        peer.request().await.unwrap();
        peer
    });
    let calls: Vec<_> = other.block_on(async {
        let calls = (0..20).map(|_| call(&client, "waits")).collect();
        settle().await;
        calls
    });
    assert_eq!(client.stats().waiting, 20);
    // It is gone before any of them is looked at again.
    drop(own);
    for call in calls {
        let error = other.block_on(failure(call));
        assert_eq!((error.reason(), error.sent()), ("task_gone", Sent::No), "{error}");
    }
}

#[test]
fn a_handle_outlives_the_runtime_of_its_first_caller() {
    let own = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, server) = {
        let _entered = own.enter();
        pair(&config(|c| c), 4096)
    };
    own.spawn(serve_all(server));
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(other.block_on(async { answer(call(&client, "one")).await }), "one");
    drop(other);
    assert_eq!(own.block_on(async { answer(call(&client, "two")).await }), "two");
}

#[test]
fn a_first_call_without_any_runtime_fails_and_spoils_nothing() {
    let (client, server) = pair(&config(|c| c), 4096);
    let context = PluginContext::new("request-1");
    let payload = serde_json::json!({"marker": "x"});
    let options = CallOptions::new();
    let call_outside =
        client.invoke::<_, serde_json::Value>("hook", &payload, &context, options, |_| None);
    let error = futures::executor::block_on(call_outside).unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("task_gone", Sent::No));

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::spawn(serve_all(server));
        assert_eq!(answer(call(&client, "inside")).await, "inside");
        client.stop(Instant::now());
        client.stopped().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_in_vain_makes_room_for_the_next_when_its_caller_leaves() {
    let config = config(|c| c.max_in_flight(1).queue_capacity(1));
    let (client, mut server) = pair(&config, 4096);
    let held = call(&client, "held");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "held");
    let leaves = call(&client, "leaves");
    settle().await;
    assert_eq!(failure(call(&client, "too many")).await.kind(), ErrorKind::Overloaded);
    leaves.abort();
    settle().await;
    let next = call(&client, "next");
    settle().await;
    peer.reply("held").await;
    assert_eq!(answer(held).await, "held");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
}

#[tokio::test(start_paused = true)]
async fn a_request_as_large_as_the_limit_is_sent_and_one_byte_more_is_not() {
    let with_limit = |limit| config(|c| c.max_frame_len(limit));
    let (client, _server) = pair(&with_limit(1024), 4096);
    let error = failure(call_sized(&client, "large", 2000)).await;
    let &Cause::RequestTooLarge { size, limit: 1024 } = error.cause() else { panic!("{error}") };
    let (client, mut server) = pair(&with_limit(size), 4096);
    let fits = call_sized(&client, "large", 2000);
    served(&mut server, fits, "large").await;
    let (client, _server) = pair(&with_limit(size - 1), 4096);
    let error = failure(call_sized(&client, "large", 2000)).await;
    assert!(matches!(error.cause(), Cause::RequestTooLarge { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn in_a_shutdown_the_only_connection_takes_what_waits_for_it() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(1)), 4096);
    let held = call(&client, "held");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "held");
    let waits = call(&client, "waits");
    settle().await;
    client.stop(Instant::now() + Duration::from_secs(5));
    peer.reply("held").await;
    assert_eq!(answer(held).await, "held");
    assert_eq!(peer.request().await.unwrap(), "waits");
    peer.reply("waits").await;
    assert_eq!(answer(waits).await, "waits");
}
