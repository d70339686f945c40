//! The reference server comes and goes while we call it. Each test has a server of its own.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use common::calls::{eventually, in_time};
use common::knobs::Knobs;
use common::log::Log;
use common::reference::ReferenceServer;
use common::reference::calls::{call, call_for, config, connect};
use futures::StreamExt;
use futures::future::join_all;
use hookwire::{
    BreakerState, ConnectionState, ErrorKind, PluginConfig, PluginError, PluginHandle, RetryPolicy,
    Sent, UnixSocketConfig,
};
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

/// Waits until the plugin is in this state.
async fn reaches(plugin: &PluginHandle, wanted: ConnectionState) {
    let mut states = plugin.watch_state();
    let reached = async { while states.next().await.expect("not shut down") != wanted {} };
    in_time(wanted.as_str(), reached).await;
}

/// Waits until the plugin has begun to run the call with this marker.
async fn runs(server: &ReferenceServer, marker: &str) {
    eventually("the hook runs", || server.executions(marker) > 0).await;
}

/// How one marked call ended.
type Outcome = (String, Result<(), PluginError>);

/// Calls without a pause until told to stop; while the plugin is down, waits for it.
async fn keep_calling(plugin: PluginHandle, caller: usize, stop: Arc<AtomicBool>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while !stop.load(SeqCst) {
        let marker = format!("{caller}-{}", outcomes.len());
        let outcome = call(&plugin, json!({"marker": &marker, "delay_ms": 2})).await.map(drop);
        let failed = outcome.is_err();
        outcomes.push((marker, outcome));
        if failed {
            reaches(&plugin, ConnectionState::Ready).await;
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_survive_a_server_that_is_killed_and_started_again() {
    for (server, _) in ReferenceServer::on_every_python(&[]) {
        survive_a_kill(server).await;
    }
}

async fn survive_a_kill(mut server: ReferenceServer) {
    let plugin = connect(&server, "Counter").await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|caller| tokio::spawn(keep_calling(plugin.clone(), caller, Arc::clone(&stop))))
        .collect();
    let held = {
        let plugin = plugin.clone();
        let args = json!({"marker": "held", "delay_ms": 60_000});
        tokio::spawn(async move { call(&plugin, args).await.map(drop) })
    };
    runs(&server, "held").await;
    let before = plugin.stats().ok;

    tokio::task::block_in_place(|| server.restart());
    // The same handle, without help from us.
    eventually("200 calls after the restart", || plugin.stats().ok >= before + 200).await;
    stop.store(true, SeqCst);
    let held = in_time("the call in flight ends", held).await.unwrap();
    let error = held.clone().unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));

    let ended = in_time("every caller ends", join_all(callers)).await;
    let outcomes = ended.into_iter().flat_map(Result::unwrap).chain([("held".into(), held)]);
    let executions = server.all_executions();
    for (marker, outcome) in outcomes {
        let ran = executions.get(&marker).copied().unwrap_or_default();
        match outcome.map_err(|error| error.sent()) {
            Ok(()) => assert_eq!(ran, 1, "{marker} succeeded"),
            Err(Sent::No) => assert_eq!(ran, 0, "{marker} is said not to have run"),
            Err(Sent::Unstarted) => assert_eq!(ran, 0, "{marker} was behind another call"),
            Err(Sent::Maybe) => assert!(ran <= 1, "{marker} ran {ran} times"),
        }
    }
    let stats = plugin.stats();
    assert!(stats.reconnects > 0, "{stats:?}");
    assert_eq!((stats.mismatches, stats.retries), (0, 0));
}

/// Fault H4 of the reference: its client runs such a hook four times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_ends_its_server_runs_once() {
    let Some(mut server) = ReferenceServer::start(&[]) else { return };
    let plugin = connect(&server, "Counter").await;
    let error = call(&plugin, json!({"marker": "last", "exit": true})).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));
    assert_eq!(server.executions("last"), 1);

    // Its listener may outlive its connections for a moment: wait for the process.
    server.kill();
    let error = call(&plugin, json!({"marker": "later"})).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
    assert!(error.is_retryable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_sent_again_where_that_is_allowed() {
    let Some(mut server) = ReferenceServer::start(&[]) else { return };
    let socket = Knobs::new(server.socket())
        .retry(RetryPolicy::Resend)
        .reconnect_attempts(10_000)
        .timeout(Duration::from_secs(60));
    let config = socket.apply(PluginConfig::builder("Counter")).build().unwrap();
    let plugin = PluginHandle::connect(config).await.unwrap();
    let twice = {
        let plugin = plugin.clone();
        let args = json!({"marker": "twice", "delay_ms": 1000});
        tokio::spawn(async move { call(&plugin, args).await })
    };
    runs(&server, "twice").await;
    tokio::task::block_in_place(|| server.restart());
    let result = in_time("the call is answered", twice).await.unwrap().unwrap();
    assert_eq!(result.metadata()["count"], 1, "as the new server counts");
    assert_eq!(server.executions("twice"), 2);
    // More than once if the dying server still took a connection.
    assert!(plugin.stats().retries >= 1);
}

/// Row H15. The reference server closes a connection that was idle for 300 s; here
/// it is told to do so earlier.
#[tokio::test]
async fn a_connection_that_the_server_closes_when_idle_costs_no_call_an_error() {
    let Some(server) = ReferenceServer::start(&[("HOOKWIRE_IDLE_SECONDS", "0.5")]) else { return };
    let (warnings, _logging) = Log::start(LevelFilter::WARN);
    let plugin = connect(&server, "Echo").await;
    for reconnects in 0..3 {
        reaches(&plugin, ConnectionState::Idle).await;
        assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
        assert_eq!(plugin.stats().reconnects, reconnects + 1);
    }
    assert_eq!((plugin.stats().ok, plugin.stats().calls), (3, 3));
    assert_eq!(warnings.text(), "", "an idle connection that ends is nothing to worry about");
}

#[tokio::test]
async fn a_server_that_stops_and_starts_between_two_calls_is_not_noticed() {
    for (server, _) in ReferenceServer::on_every_python(&[]) {
        stop_and_start(server).await;
    }
}

async fn stop_and_start(mut server: ReferenceServer) {
    let (warnings, _logging) = Log::start(LevelFilter::WARN);
    let plugin = connect(&server, "Echo").await;
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
    assert_eq!(plugin.state(), ConnectionState::Ready);
    server.stop();
    reaches(&plugin, ConnectionState::Idle).await;

    server.restart();
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
    let stats = plugin.stats();
    assert_eq!((stats.calls, stats.ok, stats.reconnects), (2, 2, 1));
    assert_eq!(warnings.text(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_starts_after_its_handle_is_reached_by_the_first_call() {
    let Some(mut server) = ReferenceServer::start(&[]) else { return };
    server.stop();
    let plugin = PluginHandle::connect_lazy(config(&server, "Echo"));
    assert_eq!(plugin.state(), ConnectionState::Idle);
    tokio::task::block_in_place(|| server.restart());
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_is_noticed_without_a_call_and_found_again_after_a_restart() {
    let Some(mut server) = ReferenceServer::start(&[]) else { return };
    let socket = Knobs::new(server.socket())
        .keep_alive(Some(Duration::from_millis(50)))
        .stall_limit(Duration::from_millis(500));
    let config = socket.apply(PluginConfig::builder("Echo")).build().unwrap();
    let plugin = PluginHandle::connect(config).await.unwrap();
    assert!(call(&plugin, json!({})).await.unwrap().is_allowed());
    let (sent, received) = (plugin.stats().bytes_sent, plugin.stats().bytes_received);
    eventually("probes are sent and answered", || {
        plugin.stats().bytes_sent > sent + 100 && plugin.stats().bytes_received > received + 100
    })
    .await;
    assert_eq!((plugin.stats().reconnects, plugin.stats().breaker_opened), (0, 0));

    server.freeze();
    eventually("it is noticed", || plugin.state() == ConnectionState::Idle).await;
    // A probe says nothing of hooks: the breaker waits for what becomes of calls.
    assert_eq!((plugin.breaker(), plugin.stats().breaker_opened), (BreakerState::Closed, 0));
    assert_eq!(plugin.stats().in_flight, 0, "and no call was lost with it");

    tokio::task::block_in_place(|| server.restart());
    assert!(in_time("it is found again", call(&plugin, json!({}))).await.unwrap().is_allowed());
}

/// The reference works in order, and gives a connection up that it cannot write to. So what
/// is behind an overdue reply when we close the connection never runs there, though the
/// server has it already, and may be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_what_is_behind_an_overdue_reply_of_the_reference_is_sent_again_and_runs_once() {
    let Some(server) = ReferenceServer::start(&[]) else { return };
    let socket = Knobs::new(server.socket())
        .max_connections(1)
        .stall_limit(Duration::from_millis(50))
        .breaker_threshold(0)
        .retry(RetryPolicy::Unstarted);
    let config = socket.apply(PluginConfig::builder("Counter")).build().unwrap();
    let plugin = PluginHandle::connect(config).await.unwrap();
    let slow = {
        let (plugin, args) = (plugin.clone(), json!({"marker": "slow", "delay_ms": 700}));
        tokio::spawn(async move { call_for(&plugin, args, Duration::from_millis(200)).await })
    };
    runs(&server, "slow").await;
    let sent = plugin.stats().bytes_sent;
    let behind: Vec<_> = (0..4)
        .map(|i| {
            let (plugin, args) = (plugin.clone(), json!({"marker": i.to_string()}));
            tokio::spawn(async move { call(&plugin, args).await })
        })
        .collect();
    eventually("they are written", || plugin.stats().bytes_sent > sent + 400).await;
    let error = in_time("the slow call", slow).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::Maybe));
    for call in behind {
        assert!(in_time("a call behind it", call).await.unwrap().unwrap().is_allowed());
    }
    assert_eq!(plugin.stats().retries, 4);
    // The slow hook is over after that one: the server has come to those behind it, if ever.
    assert!(call(&plugin, json!({"marker": "last", "delay_ms": 900})).await.unwrap().is_allowed());
    for marker in ["slow", "0", "1", "2", "3"] {
        assert_eq!(server.executions(marker), 1, "{marker}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_called_only_if_it_runs_as_the_expected_user_on_a_path_of_theirs() {
    let Some(server) = ReferenceServer::shared() else { return };
    let own = rustix::process::geteuid().as_raw();
    let handle = |uid| {
        let socket = UnixSocketConfig::builder(server.socket()).trust_path(true).peer_uids([uid]);
        let config = PluginConfig::builder("Echo").unix_socket(socket).build().unwrap();
        PluginHandle::connect_lazy(config)
    };
    assert!(call(&handle(own), json!({})).await.unwrap().is_allowed());
    let error = call(&handle(own + 1), json!({})).await.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("untrusted", Sent::No), "{error}");
}
