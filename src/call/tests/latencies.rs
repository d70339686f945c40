//! What is counted of how long calls took.

use std::time::Duration;

use tokio::time::sleep;

use super::pipe::{Door, answer, call, call_with, config, failure, pair};
use crate::options::CallOptions;
use crate::stats::{HookStats, PluginStats};

const SECOND: Duration = Duration::from_secs(1);

/// Of the one hook that these tests call.
fn times(stats: &PluginStats) -> HookStats {
    assert_eq!(stats.hooks.len(), 1, "{stats:?}");
    stats.hooks.values().next().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_counts_from_the_call_to_its_verdict_the_wait_for_a_slot_included() {
    let (client, mut server) = pair(&config(|c| c.max_connections(1).max_in_flight(1)), 4096);
    let (first, second) = (call(&client, "first"), call(&client, "second"));
    let mut peer = server.accept().await;
    for marker in ["first", "second"] {
        assert_eq!(peer.request().await.unwrap(), marker);
        sleep(SECOND).await;
        peer.reply(marker).await;
    }
    assert_eq!((answer(first).await.as_str(), answer(second).await.as_str()), ("first", "second"));
    let stats = client.stats();
    let HookStats { allowed, denied, failed } = times(&stats);
    assert_eq!((allowed.count(), allowed.sum()), (2, 3 * SECOND));
    assert_eq!((denied.count(), failed.count(), stats.ok), (0, 0, 2));
}

/// A plugin that is down answers in no time: it must not look like the fastest of all.
#[tokio::test(start_paused = true)]
async fn calls_without_a_verdict_are_counted_apart() {
    let (client, mut server) = pair(&config(|c| c.reconnect_attempts(1)), 4096);
    let options = CallOptions::new().timeout(2 * SECOND);
    let late = call_with(&client, "late", 0, options);
    let mut peer = server.accept().await;
    peer.request().await.unwrap();
    failure(late).await;
    server.set(Door::Refused);
    drop(peer);
    failure(call(&client, "down")).await;
    failure(call(&client, "refused at once")).await;
    let stats = client.stats();
    let HookStats { allowed, denied, failed } = times(&stats);
    assert_eq!((allowed.count(), denied.count(), failed.count()), (0, 0, 3));
    assert!(failed.sum() >= 2 * SECOND && failed.sum() < 3 * SECOND, "{failed:?}");
    assert_eq!(failed.count(), stats.timeouts + stats.refused + stats.other_failures);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_drops_has_no_outcome_and_no_time() {
    let (client, mut server) = pair(&config(|c| c), 4096);
    let dropped = call(&client, "dropped");
    let mut peer = server.accept().await;
    peer.request().await.unwrap();
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let stats = client.stats();
    assert_eq!((stats.calls, stats.hooks.len()), (1, 0));
}
