//! How the reference server stops, and how another takes its place: on every Python that is
//! found, as that differs.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::calls::{LIMIT, in_time};
use common::reference::ReferenceServer;
use common::reference::calls::{call, connect};
use hookwire::{BreakerState, ErrorKind, PluginHandle};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// Row H32: within this a server must be gone that is asked to stop. Service managers wait
/// 10 s (Docker), 30 s (Kubernetes) or 90 s (systemd) before they kill.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Calls, and how many calls its server has answered by then.
async fn count(plugin: &PluginHandle) -> u64 {
    let result = in_time("a call", call(plugin, json!({}))).await.expect("it is answered");
    result.metadata().get("count").and_then(Value::as_u64).expect("a count")
}

/// From Python 3.12 on it waits for its clients to let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h32_a_server_that_is_asked_to_stop_ends_though_a_handle_with_defaults_is_idle() {
    for (mut server, python) in ReferenceServer::on_every_python(&[]) {
        let plugin = connect(&server, "Echo").await;
        let _ = call(&plugin, json!({})).await.unwrap();
        let ended = block_in_place(|| server.stops_within(STOP_LIMIT));
        assert!(ended, "on Python {} it runs on", python.version);
    }
}

/// The second server takes the file of the first away, and the first, when it stops, that of
/// the second: no connection can be made any more, and those that there are must last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h31_a_handle_follows_its_path_to_the_next_server_and_stays_with_it() {
    for (mut first, python) in ReferenceServer::on_every_python(&[]) {
        let plugin = connect(&first, "Counter").await;
        let mut counted = 0;
        for _ in 0..5 {
            counted = count(&plugin).await;
        }
        let second = block_in_place(|| first.succeed());
        let switched = Instant::now();
        loop {
            let next = count(&plugin).await;
            if next <= counted {
                counted = next;
                break;
            }
            counted = next;
            assert!(switched.elapsed() < LIMIT, "all calls go to the first server");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..100 {
            let next = count(&plugin).await;
            assert_eq!(next, counted + 1, "on Python {}: another server", python.version);
            counted = next;
        }
        let ended = block_in_place(|| first.stops_within(STOP_LIMIT));
        assert!(ended, "on Python {}: nobody holds it, and it runs on", python.version);
        for _ in 0..100 {
            counted += 1;
            assert_eq!(count(&plugin).await, counted);
        }
        drop(second);
    }
}

/// The server ends a hook after a time that nothing changes. Where the call's own time is
/// over first, its reply counts as missing, and the breaker opens for a plugin that answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h35_a_hook_that_takes_too_long_ends_with_the_servers_error_and_the_breaker_stays_closed() {
    let Some(server) = ReferenceServer::start(&[("HOOKWIRE_HOOK_SECONDS", "0.3")]) else { return };
    let limit = server.constant("cpex.framework.manager", "DEFAULT_PLUGIN_TIMEOUT");
    let plugin = connect(&server, "Slow").await;
    let timeout = plugin.config().policy().timeout();
    assert!(timeout >= Duration::from_secs_f64(limit) + Duration::from_secs(1), "{timeout:?}");

    let calls: Vec<_> = (0..8)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { call(&plugin, json!({"delay_ms": 60_000})).await })
        })
        .collect();
    for call in calls {
        let error = in_time("the server's own error", call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
        assert!(error.to_string().contains("exceeded 0.3s timeout"), "{error}");
    }
    assert_eq!((plugin.breaker(), plugin.stats().breaker_opened), (BreakerState::Closed, 0));
}
