//! The faults of rows H1, H2, H3 and H13 of docs/reliability.md, with the reference
//! server on the other side: calls that end early, and a question that is answered late.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::calls::{LIMIT, SOON, eventually, in_time, poll_times};
use common::knobs::Knobs;
use common::reference::ReferenceServer;
use common::reference::calls::{call, call_for};
use hookwire::{ErrorKind, PluginConfig, PluginHandle, Sent};
use serde_json::{Value, json};

/// For a question that is not to be answered in time, with room for a busy machine to ask it.
const BRIEF: Duration = Duration::from_millis(500);

/// One connection that no missing reply ends, so that whatever is shifted stays shifted.
fn one_connection(server: &ReferenceServer) -> Knobs {
    Knobs::new(server.socket())
        .max_connections(1)
        .timeout(LIMIT)
        .stall_limit(Duration::from_secs(60))
        .breaker_threshold(0)
}

async fn connect(socket: Knobs, plugin: &str) -> PluginHandle {
    let config = socket.apply(PluginConfig::builder(plugin).hook("tool_pre_invoke")).build();
    in_time("connect", PluginHandle::connect(config.unwrap())).await.unwrap()
}

/// Calls the plugin with a mark; what came back under that name.
async fn marked(plugin: &PluginHandle, marker: &str) -> Value {
    let result = call(plugin, json!({"marker": marker})).await.unwrap();
    common::modified(result).unwrap().args.unwrap()["marker"].clone()
}

fn connects(plugin: &PluginHandle) -> u64 {
    plugin.stats().connections.iter().map(|connection| connection.connects).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_after_calls_of_the_reference_server_time_out_each_later_one_gets_its_own_answer() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(one_connection(server), "Slow").await;
    let mut late = 0;
    for round in 0..5 {
        let args = json!({"marker": format!("late-{round}"), "delay_ms": 150});
        let error = call_for(&plugin, args, SOON).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        late += u32::from(error.sent() == Sent::Maybe);
        for i in 0..4 {
            let marker = format!("{round}-{i}");
            assert_eq!(marked(&plugin, &marker).await, marker);
        }
    }
    assert!(late > 0, "no call was on its way when its time was over");
    let stats = plugin.stats();
    assert_eq!((connects(&plugin), stats.ok, stats.timeouts, stats.mismatches), (1, 20, 5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_after_calls_of_the_reference_server_are_dropped_each_later_one_gets_its_own_answer() {
    let Some(server) = ReferenceServer::start(&[]) else { return };
    let plugin = connect(one_connection(&server), "Slow").await;
    for i in 0..20 {
        // Dropped wherever it is after some turns.
        let args = json!({"marker": format!("left-{i}"), "delay_ms": 5});
        let _ = poll_times(call(&plugin, args), i % 10).await;
        let marker = format!("own-{i}");
        assert_eq!(marked(&plugin, &marker).await, marker);
    }
    assert_eq!((connects(&plugin), plugin.stats().mismatches), (1, 0));

    // And while the hook runs.
    let plugin = connect(one_connection(&server), "Counter").await;
    for i in 0..20 {
        let marker = format!("runs-{i}");
        let running = tokio::spawn({
            let (plugin, args) = (plugin.clone(), json!({"marker": &marker, "delay_ms": 20}));
            async move { call(&plugin, args).await }
        });
        eventually("the hook runs", || server.executions(&marker) == 1).await;
        running.abort();
        let own = format!("own-{i}");
        let result = call(&plugin, json!({"marker": &own})).await.unwrap();
        assert_eq!(result.metadata()["marker"], own);
    }
    assert_eq!((connects(&plugin), plugin.stats().mismatches), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_h13_a_late_config_reply_of_the_reference_server_is_read_by_no_call_and_allows_none() {
    let Some(server) = ReferenceServer::start(&[]) else { return };
    server.freeze();
    // Connects, because the kernel does that for the server, and goes on without an answer.
    let plugin = connect(one_connection(&server).timeout(BRIEF), "Deny").await;
    assert_eq!((plugin.stats().in_flight, connects(&plugin)), (1, 1), "the question is asked");
    server.thaw();
    for _ in 0..5 {
        let result = call_for(&plugin, json!({}), LIMIT).await.unwrap();
        assert!(!result.is_allowed(), "a deny became an allow");
        assert_eq!(result.violation().unwrap().code, "FIXTURE_DENIED");
    }
    let stats = plugin.stats();
    assert_eq!((connects(&plugin), stats.violations, stats.ok), (1, 5, 0));
    assert_eq!((stats.abandoned, stats.mismatches), (1, 0), "the answer was read and thrown away");
}
