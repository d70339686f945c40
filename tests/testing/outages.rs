//! Doubles that hang, go down, come back, or are left waiting.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use hookwire::config::PluginMode;
use hookwire::hooks::ToolPreInvoke;
use hookwire::server::PluginInfo;
use hookwire::testing::{Answer, Double};
use hookwire::{
    BreakerState, ErrorKind, PluginConfig, PluginHandle, PluginResult, PluginViolation, Sent,
};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{allowed, call, failure};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_double_that_goes_down_fails_calls_under_way_and_all_that_come_until_it_is_up() {
    let guard = Double::named("Guard").then(Answer::silence()).build();
    let handle = guard.handle();
    let under_way = tokio::spawn({
        let handle = handle.clone();
        async move { failure(&handle).await }
    });
    guard.wait_for_calls(1).await;
    guard.down();
    let error = under_way.await.unwrap();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Maybe));

    let error = failure(&handle).await;
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No));
    assert_eq!(error.attempts(), Some(3));
    assert_eq!(handle.breaker(), BreakerState::Open);

    guard.up();
    let closed = |state: &BreakerState| std::future::ready(*state == BreakerState::Closed);
    handle.watch_breaker().filter(closed).next().await.unwrap();
    assert!(call(&handle, "search").await.is_ok());
    assert_eq!(guard.calls().len(), 2, "none of the calls that failed fast has come");
}

/// On several threads the double's end may still be open when the next call is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_that_is_made_after_a_double_went_down_reaches_it() {
    let entry = json!({
        "name": "Guard", "unix_socket": {"path": "/in-memory", "reconnect_attempts": 1},
    });
    let entry = PluginConfig::from_value(entry).unwrap();
    for _ in 0..200 {
        let guard = Double::of(entry.clone()).build();
        let handle = guard.handle();
        allowed(&handle).await;
        guard.down();
        let error = failure(&handle).await;
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
        assert_eq!(guard.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_costs_the_calls_under_way_and_no_other() {
    let guard = Double::named("Guard").build();
    let handle = guard.handle();
    for round in 1..=10 {
        allowed(&handle).await;
        guard.then(Answer::silence());
        let under_way = tokio::spawn({
            let handle = handle.clone();
            async move { failure(&handle).await }
        });
        guard.wait_for_calls(2 * round).await;
        let began = Instant::now();
        guard.restart();
        assert_eq!(under_way.await.unwrap().kind(), ErrorKind::Disconnected);
        assert_eq!(began.elapsed(), Duration::ZERO, "its caller is told at once");
    }
    allowed(&handle).await;
    assert_eq!(handle.stats().ok, 11);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_hangs_costs_its_callers_their_timeout_and_no_real_time() {
    let hanging = PluginConfig::builder("Guard").socket("/in-memory").timeout(3_600 * SECOND);
    let guard = Double::of(hanging).always(Answer::silence()).build();
    let (started, began) = (std::time::Instant::now(), Instant::now());
    assert_eq!(failure(&guard.handle()).await.kind(), ErrorKind::Timeout);
    assert_eq!(began.elapsed().as_secs(), 3_600);
    assert!(started.elapsed() < 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_handler_waits_for_what_the_test_waits_for() {
    let (go, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let guard = Double::named("Guard")
        .on::<ToolPreInvoke>({
            let (go, told) = (Arc::clone(&go), Arc::clone(&told));
            move |_, _| {
                let (go, told) = (Arc::clone(&go), Arc::clone(&told));
                async move {
                    told.notify_one();
                    go.notified().await;
                    Ok(PluginResult::allow())
                }
            }
        })
        .build();
    let handle = guard.handle();
    let under_way = tokio::spawn(async move { call(&handle, "search").await });
    told.notified().await;
    assert!(!under_way.is_finished());
    go.notify_one();
    assert!(under_way.await.unwrap().is_ok());
}

/// A hook that was sent runs on, and its reply is nobody's.
#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_leaves_its_call_behind() {
    let guard = Double::named("Guard").then(Answer::allow().after(SECOND)).build();
    let handle = guard.handle();
    let left = tokio::time::timeout(SECOND / 2, call(&handle, "search")).await;
    assert!(left.is_err());
    guard.then(Answer::deny(PluginViolation::new("NEXT")));
    assert!(!call(&handle, "search").await.unwrap().is_allowed());
    assert_eq!(guard.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_double_ends_with_its_last_handle_though_it_hangs() {
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let guard = Double::named("Guard")
        .on::<ToolPreInvoke>(move |_, _| {
            let _holds = Arc::clone(&holds);
            async { Ok(PluginResult::allow()) }
        })
        .always(Answer::silence())
        .build();
    let handle = guard.handle();
    assert_eq!(failure(&handle).await.kind(), ErrorKind::Timeout);
    drop((guard, handle));
    tokio::time::timeout(60 * SECOND, async {
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(SECOND / 100).await;
        }
    })
    .await
    .expect("nothing holds its handlers any more");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_weaker_is_found_out() {
    let entry = json!({
        "name": "Guard", "mode": "sequential",
        "unix_socket": {"path": "/in-memory", "verify": "strict"},
    });
    let guard = Double::of(PluginConfig::from_value(entry).unwrap()).build();
    let handle = guard.handle_builder().connect().await.unwrap();
    allowed(&handle).await;
    guard.restart_as(PluginInfo::new("Guard").with_mode(PluginMode::Audit));
    let weaker = tokio::time::timeout(60 * SECOND, async {
        while reason_of_failure(&handle).await != Some("weaker_server") {
            tokio::time::sleep(SECOND / 10).await;
        }
    });
    weaker.await.expect("the server is asked anew");

    guard.restart_as(PluginInfo::new("Guard").with_version("3"));
    handle.verify().await.unwrap();
    allowed(&handle).await;
    assert_eq!(handle.config().version(), Some("3"));
}

async fn reason_of_failure(handle: &PluginHandle) -> Option<&'static str> {
    call(handle, "search").await.err().map(|error| error.reason())
}
