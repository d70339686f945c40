//! A plugin that cannot be reached, and the calls that are not made because of it.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::sleep;

use super::pipe::{
    Door, PLUGIN, answer, assert_nothing_is_bound, call, config, failure, pair, settle,
};
use crate::breaker::BreakerState::{Closed, Open};
use crate::error::{ErrorKind, Sent};
use crate::options::CallOptions;

const SECOND: Duration = Duration::from_secs(1);

// Promise: B1
#[tokio::test(start_paused = true)]
async fn a_plugin_that_accepts_and_closes_is_sent_one_call_at_a_time() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(2)), 4096);
    for _ in 0..2 {
        let lost = call(&client, "lost");
        assert_eq!(server.accept().await.request().await.unwrap(), "lost");
        assert_eq!(failure(lost).await.sent(), Sent::Maybe);
    }
    let mut peer = server.accept().await;
    settle().await;
    assert_eq!(client.gate.state(), Open, "a connection alone proves nothing");
    let trial = call(&client, "trial");
    assert_eq!(peer.request().await.unwrap(), "trial");
    let refused = failure(call(&client, "refused")).await;
    assert_eq!((refused.kind(), refused.sent()), (ErrorKind::Unavailable, Sent::No));
    peer.reply("trial").await;
    assert_eq!(answer(trial).await, "trial");
    assert_eq!(client.gate.state(), Closed);
}

// Promise: B1
#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_reached_is_refused_without_waking_its_task() {
    let (client, server) = pair(&config(|c| c.reconnect_attempts(1)), 4096);
    server.set(Door::Refused);
    let first = failure(call(&client, "first")).await;
    let after = first.retry_after().unwrap();
    assert!(after <= Duration::from_millis(100), "{after:?}");
    assert!(first.to_string().contains("the next attempt is due in 0."), "{first}");
    // At its first poll, so nothing was handed to anybody.
    let refused = client.connect(CallOptions::new()).now_or_never();
    assert!(refused.is_some_and(|outcome| outcome.is_err()));
    assert_nothing_is_bound(&client);
}

/// Found by the simulation. One connection was open and overdue when another could not be
/// made, so the plugin was down; then the reply came, and nobody tried to connect any more.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_down_is_looked_for_although_a_connection_of_it_is_open() {
    let config = config(|c| {
        c.max_connections(2).reconnect_attempts(1).timeout(SECOND).stall_limit(60 * SECOND)
    });
    let (client, mut server) = pair(&config, 4096);
    let late = call(&client, "late");
    let mut peer = server.accept().await;
    assert_eq!(peer.request().await.unwrap(), "late");
    server.set(Door::Refused);
    assert_eq!(failure(late).await.kind(), ErrorKind::Timeout);
    // The open one is overdue, so this call wants another.
    assert_eq!(failure(call(&client, "down")).await.kind(), ErrorKind::Unavailable);
    assert_eq!(client.gate.state(), Open);
    peer.reply("late").await;
    server.set(Door::Open);
    sleep(2 * SECOND).await;
    assert_eq!(client.gate.state(), Closed);
    let back = call(&client, "back");
    tokio::spawn(peer.serve());
    tokio::spawn(server.accept().await.serve());
    assert_eq!(answer(back).await, "back");
}

/// Questions say nothing of hooks, and a connection is there.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_can_be_reached_again_is_asked_before_its_hooks_are_trusted() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(2)), 4096);
    for _ in 0..2 {
        let lost = call(&client, "lost");
        assert_eq!(server.accept().await.request().await.unwrap(), "lost");
        failure(lost).await;
    }
    let question = || client.plugin_config(PLUGIN, CallOptions::new());
    assert!(question().now_or_never().is_some_and(|refused| refused.is_err()));
    let mut peer = server.accept().await;
    settle().await;
    assert_eq!(client.gate.state(), Open);
    let (entry, ()) = tokio::join!(question(), async {
        peer.probe().await;
        peer.send(Bytes::new()).await;
    });
    assert!(entry.unwrap().0.is_none());
    assert_eq!(client.gate.state(), Open);
}
