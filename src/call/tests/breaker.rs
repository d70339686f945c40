//! A plugin that does not answer, and the calls that are not made because of it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::knobs::Knobs;
use super::pipe::{
    Call, Door, Peer, Server, answer, call, call_with, config, failure, pair, settle,
};
use crate::breaker::BreakerState::{self, Closed, HalfOpen, Open};
use crate::config::PluginConfig;
use crate::error::{Cause, ErrorKind, PluginError, Sent};
use crate::options::CallOptions;

const SECOND: Duration = Duration::from_secs(1);

/// Calls time out after a second, and their connection is given up right after that.
fn brief() -> PluginConfig {
    brief_and(|c| c)
}

fn brief_and(change: impl FnOnce(Knobs) -> Knobs) -> PluginConfig {
    config(|c| {
        let brief = c
            .timeout(SECOND)
            .stall_limit(Duration::from_millis(1))
            .breaker_threshold(3)
            .reconnect_attempts(1_000_000)
            .max_backoff(Duration::from_millis(100));
        change(brief)
    })
}

/// Takes `call` and leaves it without a reply: how it failed.
async fn ignored(server: &mut Server, call: Call) -> PluginError {
    let mut peer = server.accept().await;
    assert!(peer.request().await.is_some());
    let error = failure(call).await;
    assert!(peer.is_closed().await);
    error
}

fn assert_refused(error: &PluginError) {
    assert!(matches!(error.cause(), Cause::Unresponsive { .. }), "{error}");
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn after_so_many_calls_without_a_reply_the_next_ones_fail_at_once() {
    let (client, mut server) = pair(&brief(), 4096);
    for _ in 0..3 {
        let waits = call(&client, "waits");
        assert_eq!(ignored(&mut server, waits).await.kind(), ErrorKind::Timeout);
    }
    let started = Instant::now();
    let error = failure(call(&client, "refused")).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_refused(&error);
    assert!(error.is_retryable());
    let after = error.retry_after().unwrap();
    assert!(after > SECOND / 4 && after <= SECOND, "{after:?}");
    assert!(error.to_string().contains("unanswered calls in a row: 3"), "{error}");
    assert!(error.to_string().contains("the next trial is due in 0."), "{error}");
    let stats = client.stats();
    assert_eq!((stats.breaker, stats.breaker_opened, stats.refused), (Open, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_between_starts_the_count_anew() {
    let (client, mut server) = pair(&brief(), 4096);
    for _ in 0..5 {
        for _ in 0..2 {
            let waits = call(&client, "waits");
            ignored(&mut server, waits).await;
        }
        let good = call(&client, "good");
        let mut peer = server.accept().await;
        peer.request().await.unwrap();
        peer.reply("good").await;
        assert_eq!(answer(good).await, "good");
        drop(peer);
        settle().await;
    }
    assert_eq!(client.gate.opened(), 0);
}

/// Opens the breaker and waits out its rest.
async fn silent_for(
    times: u32,
    config: &PluginConfig,
) -> (std::sync::Arc<crate::call::Caller>, Server) {
    let (client, mut server) = pair(config, 4096);
    for _ in 0..times {
        let waits = call(&client, "waits");
        ignored(&mut server, waits).await;
    }
    assert_eq!(client.gate.state(), Open);
    (client, server)
}

async fn rest_over(client: &std::sync::Arc<crate::call::Caller>) -> Duration {
    let after = failure(call(client, "asks")).await.retry_after().unwrap();
    sleep(after + Duration::from_millis(1)).await;
    after
}

// Promise: B3
#[tokio::test(start_paused = true)]
async fn one_call_is_on_trial_and_its_reply_lets_all_others_pass() {
    let (client, mut server) = silent_for(3, &brief()).await;
    rest_over(&client).await;
    let trial = call(&client, "trial");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "trial");
    assert_eq!(client.gate.state(), HalfOpen);
    for _ in 0..10 {
        let error = failure(call(&client, "refused")).await;
        assert_refused(&error);
        assert_eq!(error.retry_after(), None);
        assert!(error.to_string().contains("the next trial is under way"), "{error}");
    }
    peer.reply("trial").await;
    // Before its caller runs: that one may call again at once.
    assert_eq!(answer(trial).await, "trial");
    assert_eq!(client.gate.state(), Closed);
    tokio::spawn(peer.serve());
    let calls: Vec<_> = (0..10).map(|i| call(&client, &i.to_string())).collect();
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).await, i.to_string());
    }
}

// Promise: B3
#[tokio::test(start_paused = true)]
async fn a_trial_without_a_reply_is_followed_by_a_longer_rest_up_to_the_cap() {
    let config = brief_and(|c| c.breaker_max_open(5 * SECOND));
    let (client, mut server) = silent_for(3, &config).await;
    for bound in [1, 2, 4, 5, 5] {
        let bound = bound * SECOND;
        let rest = rest_over(&client).await;
        assert!(rest <= bound && rest > bound / 2 - SECOND / 5, "{rest:?} of {bound:?}");
        let trial = call(&client, "trial");
        assert_eq!(ignored(&mut server, trial).await.kind(), ErrorKind::Timeout);
    }
    assert_eq!(client.gate.opened(), 1, "it was open all the time");
}

// Promise: B3
#[tokio::test(start_paused = true)]
async fn a_trial_whose_caller_leaves_gives_its_turn_to_the_next_call() {
    let (client, mut server) = silent_for(3, &brief()).await;
    rest_over(&client).await;
    let leaves = call(&client, "leaves");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "leaves");
    leaves.abort();
    settle().await;
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    peer.reply("leaves").await;
    peer.reply("next").await;
    assert_eq!(answer(next).await, "next");
    assert_eq!(client.gate.state(), Closed);
}

/// A caller that waits for 5 ms says nothing about a plugin that takes 50, and must not
/// cut off all others from it.
// Promise: B2
#[tokio::test(start_paused = true)]
async fn callers_in_a_hurry_do_not_open_the_breaker_of_a_slow_plugin() {
    let (client, mut server) = pair(&config(|c| c.max_connections(16).breaker_threshold(3)), 4096);
    let serving = tokio::spawn(async move {
        loop {
            let mut peer: Peer = server.accept().await;
            tokio::spawn(async move {
                while let Some(marker) = peer.request().await {
                    sleep(Duration::from_millis(50)).await;
                    peer.reply(&marker).await;
                }
            });
        }
    });
    let hasty = CallOptions::new().timeout(Duration::from_millis(5));
    for _ in 0..20 {
        let calls: Vec<_> = (0..10).map(|_| call_with(&client, "hasty", 0, hasty)).collect();
        for call in calls {
            let error = failure(call).await;
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    }
    assert_eq!(answer(call(&client, "patient")).await, "patient");
    assert_eq!(client.gate.opened(), 0);
    serving.abort();
}

// Promise: B5
#[tokio::test(start_paused = true)]
async fn a_caller_in_a_hurry_counts_once_its_reply_stalls_the_connection() {
    let config = config(|c| c.breaker_threshold(2).reconnect_attempts(100));
    let (client, mut server) = pair(&config, 4096);
    let hasty = CallOptions::new().timeout(Duration::from_millis(5));
    for state in [Closed, Open] {
        let waits = call_with(&client, "waits", 0, hasty);
        assert_eq!(ignored(&mut server, waits).await.kind(), ErrorKind::Timeout);
        assert_eq!(client.gate.state(), state);
        // No wait between two attempts is left that could use up the next call's time.
        sleep(SECOND).await;
    }
}

/// Eight connections, and two calls of a second each on every one: the second ones run
/// out of time, all at once, after half a second with the plugin.
// Promise: B2
#[tokio::test(start_paused = true)]
async fn calls_that_waited_for_their_turn_do_not_open_the_breaker_of_a_plugin_that_answers() {
    let config = config(|c| c.max_connections(8).timeout(SECOND * 3 / 2).breaker_threshold(5));
    let (client, mut server) = pair(&config, 4096);
    let serving = tokio::spawn(async move {
        loop {
            let mut peer: Peer = server.accept().await;
            tokio::spawn(async move {
                while let Some(marker) = peer.request().await {
                    sleep(SECOND).await;
                    peer.reply(&marker).await;
                }
            });
        }
    });
    let calls: Vec<_> = (0..16).map(|i| call(&client, &i.to_string())).collect();
    let (mut answered, mut late) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) if error.kind() == ErrorKind::Timeout => late += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((answered, late), (8, 8));
    assert_eq!(client.gate.opened(), 0);
    serving.abort();
}

// Promise: B3
#[tokio::test(start_paused = true)]
async fn a_trial_with_all_the_time_holds_the_others_up_no_longer_than_the_plugins_timeout() {
    let (client, mut server) = silent_for(3, &brief()).await;
    rest_over(&client).await;
    let trial = call_with(&client, "trial", 0, CallOptions::new().timeout(SECOND * 600));
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "trial");
    assert_refused(&failure(call(&client, "refused")).await);
    sleep(SECOND + Duration::from_millis(1)).await;
    let next = call(&client, "next");
    assert_eq!(peer.request().await.unwrap(), "next");
    for (marker, call) in [("trial", trial), ("next", next)] {
        peer.reply(marker).await;
        assert_eq!(answer(call).await, marker);
    }
    assert_eq!(client.gate.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn that_a_plugin_which_is_down_is_shut_down_is_no_news_of_it() {
    let (client, _server) = silent_for(3, &brief()).await;
    let mut states = client.gate.watch_state();
    states.mark_unchanged();
    client.stop(Instant::now());
    client.stopped().await;
    settle().await;
    assert!(!states.has_changed().unwrap());
}

/// One slow hook with others written behind it is one missing reply, not sixteen.
// Promise: B2
#[tokio::test(start_paused = true)]
async fn calls_written_behind_a_missing_reply_are_not_counted() {
    let (client, mut server) = pair(&config(|c| c.timeout(SECOND).breaker_threshold(2)), 4096);
    let calls: Vec<_> = (0..16).map(|i| call(&client, &i.to_string())).collect();
    let mut peer = server.accept().await;
    for i in 0..16 {
        assert_eq!(peer.request().await.unwrap(), i.to_string());
    }
    for call in calls {
        assert_eq!(failure(call).await.kind(), ErrorKind::Timeout);
    }
    assert!(peer.is_closed().await, "and not when it is given up for it either");
    settle().await;
    assert_eq!(client.gate.state(), Closed);
}

/// The most common end of a hung plugin: its supervisor kills it and starts a new one.
// Promise: B4
#[tokio::test(start_paused = true)]
async fn a_restart_ends_the_rest_of_a_hung_plugin() {
    for restart_after in [Duration::ZERO, 5 * SECOND] {
        let config = brief_and(|c| c.reconnect_attempts(3).idle_timeout(240 * SECOND));
        let (client, mut server) = pair(&config, 4096);
        // Long rests by now.
        while client.gate.state() == Closed {
            let waits = call(&client, "waits");
            ignored(&mut server, waits).await;
        }
        for _ in 0..6 {
            rest_over(&client).await;
            let trial = call(&client, "trial");
            ignored(&mut server, trial).await;
        }
        // Connected again, without a call: the backlog of a hung server takes everybody.
        let hung = server.accept().await;
        let rest = failure(call(&client, "refused")).await.retry_after().unwrap();
        assert!(rest > 10 * SECOND, "{rest:?}");
        server.set(if restart_after.is_zero() { Door::Open } else { Door::Refused });
        drop(hung);
        sleep(restart_after).await;
        server.set(Door::Open);
        let restarted = Instant::now();
        tokio::spawn(async move {
            loop {
                tokio::spawn(server.accept().await.serve());
            }
        });
        sleep(SECOND).await;
        assert_eq!(answer(call(&client, "back")).await, "back");
        assert!(restarted.elapsed() < 2 * SECOND);
    }
}

// Promise: B4
#[tokio::test(start_paused = true)]
async fn a_plugin_that_answers_late_after_all_is_tried_at_once() {
    let slow = |c: Knobs| c.timeout(SECOND).stall_limit(60 * SECOND).max_connections(3);
    let config = config(|c| slow(c).breaker_threshold(2));
    let (client, mut server) = pair(&config, 4096);
    let mut peers = Vec::new();
    let calls = ["a", "b"].map(|marker| call(&client, marker));
    for _ in 0..2 {
        let mut peer = server.accept().await;
        let marker = peer.request().await.unwrap();
        peers.push((marker, peer));
    }
    for call in calls {
        failure(call).await;
    }
    assert_refused(&failure(call(&client, "refused")).await);
    settle().await;
    assert_eq!(server.attempts(), 2, "while it rests nothing more is opened");
    let (marker, mut peer) = peers.remove(0);
    peer.reply(&marker).await;
    settle().await;
    let trial = call(&client, "trial");
    assert_eq!(peer.request().await.unwrap(), "trial");
    peer.reply("trial").await;
    assert_eq!(answer(trial).await, "trial");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_told_before_an_open_breaker() {
    let (client, _server) = silent_for(3, &brief()).await;
    client.stop(Instant::now());
    client.stopped().await;
    assert_eq!(failure(call(&client, "late")).await.reason(), "shutdown");
}

#[tokio::test(start_paused = true)]
async fn the_breakers_state_can_be_watched() {
    let (client, mut server) = pair(&brief(), 4096);
    let mut states = client.gate.watch_state();
    let watching = tokio::spawn(async move {
        let mut seen: Vec<BreakerState> = vec![*states.borrow_and_update()];
        while states.changed().await.is_ok() {
            seen.push(*states.borrow_and_update());
        }
        seen
    });
    for _ in 0..3 {
        let waits = call(&client, "waits");
        ignored(&mut server, waits).await;
    }
    rest_over(&client).await;
    let trial = call(&client, "trial");
    let mut peer = server.accept().await;
    peer.request().await.unwrap();
    peer.reply("trial").await;
    answer(trial).await;
    settle().await;
    drop(client);
    assert_eq!(watching.await.unwrap(), [Closed, Open, HalfOpen, Closed]);
}
