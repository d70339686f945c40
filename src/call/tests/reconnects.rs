//! Connections that break, servers that are not there.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::pipe::{
    Door, answer, call, call_sized, call_with, config, failure, pair, served, settle,
};
use crate::config::RetryPolicy;
use crate::error::{Cause, ErrorKind, Sent};
use crate::options::CallOptions;
use crate::unix::reconnect::ConnectionState;

const SECOND: Duration = Duration::from_secs(1);

/// tarpc #415, zbus #1803: queued calls hung when the connection's task ended.
#[tokio::test(start_paused = true)]
async fn when_the_server_dies_everybody_is_answered_and_told_whether_it_sent() {
    let (client, mut server) = pair(&config(|c| c.max_in_flight(4)), 1 << 20);
    let calls: Vec<_> = (0..4).map(|i| call(&client, &i.to_string())).collect();
    let queued: Vec<_> = (0..3).map(|i| call(&client, &format!("queued {i}"))).collect();
    let mut peer = server.accept().await;
    for i in 0..4 {
        assert_eq!(peer.request().await.unwrap(), i.to_string());
    }
    server.set(Door::Refused);
    drop(peer);
    for (i, call) in calls.into_iter().enumerate() {
        let error = failure(call).await;
        // It can have been at the first of them only.
        let sent = if i == 0 { Sent::Maybe } else { Sent::Unstarted };
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, sent));
    }
    for call in queued {
        let error = failure(call).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
    }
    let started = Instant::now();
    assert_eq!(failure(call(&client, "after")).await.kind(), ErrorKind::Unavailable);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// ttrpc #318: the rest of a half-written request went out on the next socket.
#[tokio::test(start_paused = true)]
async fn half_a_request_is_never_finished_on_another_socket() {
    let (client, mut server) = pair(&config(|c| c), 64);
    let half = call_sized(&client, "half", 5000);
    let behind = call_sized(&client, "behind", 5000);
    let peer = server.accept().await;
    settle().await;
    drop(peer);
    let error = failure(half).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    // Nothing of the second had left, so it waits for the next socket.
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "behind");
    peer.reply("behind").await;
    assert_eq!(answer(behind).await, "behind");
}

/// Whoever lost a call may wait until the plugin is ready, and make none before.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_with_a_call_on_it_is_replaced_before_the_next_call() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let lost = call(&client, "lost");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "lost");
    drop(peer);
    assert_eq!(failure(lost).await.kind(), ErrorKind::Disconnected);
    let peer = server.accept().await;
    settle().await;
    assert!(client.plugin.state().is_ready());

    // That one was not in use.
    drop(peer);
    settle().await;
    advance(60 * SECOND).await;
    settle().await;
    assert!(server.nobody_came());
    assert_eq!(client.plugin.state(), ConnectionState::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_run_is_sent_again_only_where_that_is_allowed() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let once = call(&client, "once");
    let again = call_with(&client, "again", 0, CallOptions::new().retry(RetryPolicy::Resend));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "once");
    assert_eq!(peer.request().await.unwrap(), "again");
    drop(peer);
    assert_eq!(failure(once).await.sent(), Sent::Maybe);
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "again");
    peer.reply("again").await;
    assert_eq!(answer(again).await, "again");
    assert_eq!(client.stats().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn resending_ends_and_the_error_remembers_that_it_sent() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(3)), 4096);
    let again = call_with(&client, "again", 0, CallOptions::new().retry(RetryPolicy::Resend));
    let mut sent = 0;
    while !again.is_finished() {
        tokio::select! {
            mut peer = server.accept() => sent += usize::from(peer.request().await.is_some()),
            () = settle() => advance(SECOND).await,
        }
    }
    assert_eq!(failure(again).await.sent(), Sent::Maybe);
    assert!((1..=4).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn callers_of_a_server_that_is_down_all_fail_within_one_cycle() {
    let (client, server) = pair(&config(|c| c.reconnect_attempts(3)), 4096);
    server.set(Door::Refused);
    let started = Instant::now();
    let calls: Vec<_> = (0..5).map(|i| call(&client, &i.to_string())).collect();
    for call in calls {
        let error = failure(call).await;
        let Cause::Unavailable { attempts, error: source, .. } = error.cause() else {
            panic!("{error}")
        };
        assert_eq!(*attempts, 3);
        assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(server.attempts(), 3);
    // Two waits with full jitter over 0.1 and 0.2 seconds.
    assert!(started.elapsed() <= Duration::from_millis(310), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_comes_back_is_found_without_a_call() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    server.set(Door::Refused);
    failure(call(&client, "a")).await;
    server.set(Door::Open);
    let mut peer = server.accept().await;
    settle().await;
    assert_eq!(client.plugin.state(), ConnectionState::Ready);
    let back = call(&client, "back");
    assert_eq!(peer.request().await.unwrap(), "back");
    peer.reply("back").await;
    assert_eq!(answer(back).await, "back");
}

/// tower #60, rustis #66: a server that accepts and closes made a busy loop.
#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_closes_is_not_hammered() {
    let (client, mut server) = pair(&config(|c| c.max_backoff(SECOND)), 4096);
    let started = Instant::now();
    while started.elapsed() < 60 * SECOND {
        let pending = call(&client, "a");
        tokio::select! {
            peer = server.accept() => drop(peer),
            () = settle() => advance(Duration::from_millis(50)).await,
        }
        pending.abort();
    }
    // Once the delays have grown they are half a second on average.
    assert!(server.attempts() < 250, "{} attempts in a minute", server.attempts());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_counts_as_failed() {
    let config = config(|c| c.connect_timeout(SECOND).reconnect_attempts(1));
    let (client, server) = pair(&config, 4096);
    server.set(Door::Silent);
    let error = failure(call(&client, "a")).await;
    let Cause::Unavailable { error, .. } = error.cause() else { panic!("{error}") };
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_tried_again_until_it_lets_us_in() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(1)), 4096);
    server.set(Door::Busy);
    let long = CallOptions::new().timeout(3_600 * SECOND);
    let patient = call_with(&client, "patient", 0, long);
    server.attempted(5).await;
    server.set(Door::Open);
    served(&mut server, patient, "patient").await;
}

#[tokio::test(start_paused = true)]
async fn eof_while_idle_is_quiet_and_costs_no_call_an_error() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    for marker in ["a", "b", "c"] {
        let next = call(&client, marker);
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.unwrap(), marker);
        peer.reply(marker).await;
        assert_eq!(answer(next).await, marker);
        drop(peer);
        settle().await;
        assert_eq!(client.plugin.state(), ConnectionState::Idle);
    }
    assert_eq!(client.stats().reconnects, 2);
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_calls_finish_until_its_deadline_and_takes_no_new_ones() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let [quick, slow] = ["quick", "slow"].map(|marker| call(&client, marker));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "quick");
    client.stop(Instant::now() + 3 * SECOND);
    let refused = failure(call(&client, "late")).await;
    assert_eq!((refused.reason(), refused.sent()), ("shutdown", Sent::No));
    peer.reply("quick").await;
    assert_eq!(answer(quick).await, "quick");
    let started = Instant::now();
    client.stopped().await;
    assert!(started.elapsed() >= 2 * SECOND);
    let error = failure(slow).await;
    assert_eq!((error.reason(), error.sent()), ("shutdown", Sent::Maybe));
    assert_eq!(client.plugin.state(), ConnectionState::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_server_in_vain_ends_at_the_deadline_of_a_shutdown() {
    let (client, server) = pair(&config(|c| c), 4096);
    server.set(Door::Silent);
    let waits = call(&client, "waits");
    settle().await;
    let started = Instant::now();
    client.stop(started + 2 * SECOND);
    let error = failure(waits).await;
    assert_eq!((error.reason(), error.sent()), ("shutdown", Sent::No));
    let took = started.elapsed();
    assert!(took >= 2 * SECOND && took < 3 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_of_an_idle_or_unused_plugin_is_immediate_and_may_be_repeated() {
    let (client, mut server) = pair(&config(|c| c.max_connections(4)), 4096);
    let first = call(&client, "a");
    tokio::spawn(server.accept().await.serve());
    answer(first).await;
    for _ in 0..2 {
        let started = Instant::now();
        client.stop(Instant::now() + 60 * SECOND);
        client.stopped().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
    let (unused, _server) = pair(&config(|c| c), 4096);
    unused.stop(Instant::now() + SECOND);
    unused.stopped().await;
}

/// redis-rs #1236: the task outlived its handles.
#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_task_and_the_socket_along() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let first = call(&client, "a");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "a");
    peer.reply("a").await;
    answer(first).await;
    let shared = std::sync::Arc::downgrade(client.plugin.unix().connections());
    drop(client);
    assert!(peer.is_closed().await);
    settle().await;
    assert!(shared.upgrade().is_none(), "the task still holds what it shared");
}
