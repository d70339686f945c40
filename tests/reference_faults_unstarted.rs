//! Row H26 of docs/reliability.md, with the reference server on the other side: it works in
//! order, and is killed at random points while many calls are written ahead.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use common::calls::{LIMIT, in_time};
use common::knobs::Knobs;
use common::reference::calls::call;
use common::reference::often::OftenServer;
use hookwire::{PluginConfig, PluginError, PluginHandle, RetryPolicy, Sent};
use serde_json::json;

/// How often the server is killed, and the environment's word for another number.
const KILLS: usize = 60;
const KILLS_IN: &str = "HOOKWIRE_KILLS";

const CONNECTIONS: usize = 4;
const WRITTEN_AHEAD: usize = 16;
const CALLERS: usize = CONNECTIONS * WRITTEN_AHEAD;

fn kills() -> usize {
    std::env::var(KILLS_IN).map_or(KILLS, |number| number.parse().expect("a number of kills"))
}

/// How each call ended, by its marker.
type Outcomes = BTreeMap<String, Result<(), PluginError>>;

/// Calls, one after the other, until it is told to stop.
async fn caller(number: usize, handle: PluginHandle, stop: Arc<AtomicBool>) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for round in 0.. {
        if stop.load(SeqCst) {
            break;
        }
        let marker = format!("{number}-{round}");
        let outcome = in_time("a call", call(&handle, json!({"marker": &marker}))).await;
        if let Ok(result) = &outcome {
            assert_eq!(result.metadata()["marker"], marker, "another call's reply");
        }
        outcomes.insert(marker, outcome.map(drop));
    }
    outcomes
}

/// As many calls as can be are on their way at each kill. Those whose hook may have begun
/// are the oldest of each connection; every other one runs, and no hook runs twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_of_a_server_that_is_killed_at_random_points_no_hook_runs_twice_and_only_heads_fail() {
    let Some(mut server) = OftenServer::new() else { return };
    let socket = Knobs::new(server.socket())
        .max_connections(CONNECTIONS)
        .max_in_flight(WRITTEN_AHEAD)
        .reconnect_delay(Duration::from_millis(5))
        .max_backoff(Duration::from_millis(20))
        .reconnect_attempts(1_000_000)
        .breaker_threshold(0)
        .timeout(LIMIT)
        .retry(RetryPolicy::Unstarted)
        .retry_budget(100);
    let config = socket.apply(PluginConfig::builder("Counter").hook("tool_pre_invoke"));
    let handle = PluginHandle::connect_lazy(config.build().unwrap());
    let (kills, stop) = (kills(), Arc::new(AtomicBool::new(false)));
    server.start();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(caller(number, handle.clone(), Arc::clone(&stop))))
        .collect();
    let killing = {
        let stop = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || {
            let mut random = fastrand::Rng::with_seed(26);
            for _ in 0..kills {
                // The moments must not follow from what the server is doing.
                std::thread::sleep(Duration::from_micros(random.u64(0..40_000)));
                server.kill();
                server.start();
            }
            // With nothing to be afraid of, the last calls end.
            stop.store(true, SeqCst);
            server
        })
    };
    let server = killing.await.unwrap();
    let mut outcomes = Outcomes::new();
    for caller in callers {
        outcomes.extend(in_time("a caller", caller).await.unwrap());
    }

    let executions = server.executions();
    let ran = |marker: &str| executions.get(marker).copied().unwrap_or(0);
    let mut failed = 0;
    for (marker, outcome) in &outcomes {
        match outcome {
            Ok(()) => assert_eq!(ran(marker), 1, "{marker} was answered"),
            Err(error) => {
                failed += 1;
                assert_eq!(error.sent(), Sent::Maybe, "{marker}, which is no head: {error}");
                assert!(ran(marker) <= 1, "{marker} ran {} times", ran(marker));
            }
        }
    }
    assert!(executions.keys().all(|marker| outcomes.contains_key(marker)));
    let stats = handle.stats();
    // One for each connection: a server at its end may still take one in.
    let heads = stats.connections.iter().map(|connection| connection.connects).sum::<u64>();
    assert!(failed <= heads, "{failed} of {} calls failed, of {heads} heads", outcomes.len());
    assert!(stats.reconnects >= kills as u64, "it was killed for nothing: {stats:?}");
    assert!(stats.retries > 0, "nothing was written ahead: {stats:?}");
}
