//! Plugins that do not answer, and calls that are not made because of it: the breaker,
//! the retry budget and the probes, rows B of docs/reliability.md.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::ErrorKind::NotFound;
use std::time::Duration;

use common::calls::{
    LIMIT, SOON, call, call_with, eventually, in_time, knobs, lazy, socket, spawn_call,
    spawn_call_with,
};
use common::knobs::Knobs;
use common::over::{Over, apply, both};
use fault_server::{FaultServer, Gate, Reply};
use futures::StreamExt;
use hookwire::{
    BreakerState, CallOptions, ConnectionState, ErrorKind, PluginError, PluginHandle, RetryPolicy,
    Sent,
};

/// Answers calls whose marker begins with `good`, once the gate lets them, and no other: over
/// a socket it then leaves the connection as it is.
fn moody_server(over: Over, gate: &Gate) -> FaultServer {
    let gate = gate.clone();
    over.start(move |mut connection| {
        let gate = gate.clone();
        async move {
            loop {
                let call = connection.hook().await?;
                if !call.marker().starts_with("good") {
                    connection.leave_unanswered().await?;
                    continue;
                }
                gate.passed().await;
                connection.answer(&call).await?;
            }
        }
    })
}

fn open_gate() -> Gate {
    let gate = Gate::closed();
    gate.open();
    gate
}

/// Enough to be sent on a busy machine, little to wait for in vain.
const BRIEF: Duration = Duration::from_millis(100);

/// Calls end soon, on a connection each; only missing replies open the breaker.
fn brief(server: &FaultServer) -> Knobs {
    let brief = knobs(server).max_connections(8).timeout(BRIEF).stall_limit(SOON);
    brief.reconnect_attempts(1_000_000).breaker_threshold(3)
}

async fn ignored(handle: &PluginHandle) {
    let error = in_time("a call without a reply", call(handle, "ignored")).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Timeout, Sent::Maybe), "{error}");
}

fn is_silence(error: &PluginError) -> bool {
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unavailable, Sent::No), "{error}");
    error.reason() == "unresponsive"
}

#[apply(both)]
async fn b1_a_plugin_that_cannot_be_reached_is_refused_with_the_reason_and_the_time_to_wait(
    over: Over,
) {
    let mut server = over.absent(|mut connection| async move { connection.serve().await });
    let handle = lazy(knobs(&server).reconnect_attempts(2));
    let mut states = handle.watch_breaker();
    assert_eq!(states.next().await, Some(BreakerState::Closed));
    call(&handle, "first").await.unwrap_err();
    assert_eq!(in_time("it opens", states.next()).await, Some(BreakerState::Open));
    assert_eq!((handle.breaker(), handle.stats().breaker_opened), (BreakerState::Open, 1));
    for _ in 0..20 {
        let error = in_time("failing fast", call(&handle, "m")).await.unwrap_err();
        assert_eq!(error.reason(), "unavailable", "{error}");
        assert!(error.attempts().is_some_and(|attempts| attempts >= 2), "{error}");
        let told = error.to_string();
        assert_eq!(error.retry_after().is_some(), told.contains("next attempt is due"), "{told}");
        assert!(told.contains("No such file"), "{told}");
        assert!(told.contains("next attempt is "), "{told}");
        assert!(error.is_retryable());
    }
    server.restart();
    assert_eq!(in_time("it closes", states.next()).await, Some(BreakerState::Closed));
    assert_eq!(call(&handle, "back").await.unwrap(), "back");
    drop(handle);
    assert_eq!(in_time("the plugin is gone", states.next()).await, None);
}

#[apply(both)]
async fn b2_missing_replies_in_a_row_open_the_breaker_and_spare_the_server(over: Over) {
    let server = moody_server(over, &open_gate());
    let handle = lazy(brief(&server));
    for _ in 0..3 {
        ignored(&handle).await;
    }
    for _ in 0..20 {
        let error = in_time("failing fast", call(&handle, "spared")).await.unwrap_err();
        assert!(is_silence(&error), "{error}");
        assert!(error.to_string().contains("does not answer"), "{error}");
        assert!(error.retry_after().is_some_and(|after| after <= Duration::from_secs(1)));
    }
    assert_eq!(server.record().seen().executions_of("spared"), 0);
    assert_eq!(handle.stats().timeouts, 3);
}

#[apply(both)]
async fn b2_a_reply_in_time_starts_the_count_anew(over: Over) {
    let server = moody_server(over, &open_gate());
    let handle = lazy(brief(&server));
    for round in 0..5 {
        ignored(&handle).await;
        ignored(&handle).await;
        let good = format!("good-{round}");
        let patient = CallOptions::new().timeout(LIMIT);
        assert_eq!(call_with(&handle, &good, patient).await.unwrap(), good);
    }
    assert_eq!((handle.stats().timeouts, handle.stats().breaker_opened), (10, 0));
}

#[apply(both)]
async fn b2_callers_in_a_hurry_do_not_cut_off_the_others(over: Over) {
    let server = moody_server(over, &open_gate());
    // Nothing stalls here, and those who leave early give less than the plugin's time.
    let handle = lazy(brief(&server).timeout(LIMIT).stall_limit(LIMIT).max_connections(16));
    let hasty = CallOptions::new().timeout(SOON);
    let calls: Vec<_> = (0..10).map(|_| spawn_call_with(&handle, "ignored", hasty)).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(call(&handle, "good").await.unwrap(), "good");
    assert_eq!(handle.stats().breaker_opened, 0);
}

#[apply(both)]
async fn b2_with_a_threshold_of_0_silence_opens_nothing(over: Over) {
    let server = moody_server(over, &open_gate());
    let handle = lazy(brief(&server).breaker_threshold(0));
    for _ in 0..20 {
        let error = in_time("a call", call(&handle, "ignored")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert_eq!(handle.stats().breaker_opened, 0);
}

#[apply(both)]
async fn b3_one_call_at_a_time_is_on_trial_and_its_reply_closes_the_breaker(over: Over) {
    let gate = Gate::closed();
    let server = moody_server(over, &gate);
    let handle = lazy(brief(&server).breaker_max_open(SOON));
    for _ in 0..3 {
        ignored(&handle).await;
    }
    let patient = CallOptions::new().timeout(LIMIT);
    let persists = {
        let handle = handle.clone();
        async move {
            loop {
                match call_with(&handle, "good", patient).await {
                    Err(error) if is_silence(&error) => tokio::task::yield_now().await,
                    outcome => return outcome,
                }
            }
        }
    };
    let on_trial = tokio::spawn(persists);
    server.record().wait_for(|seen| seen.executions_of("good") == 1).await;
    assert_eq!(handle.breaker(), BreakerState::HalfOpen);
    for _ in 0..20 {
        let error = in_time("a call beside the trial", call(&handle, "good")).await.unwrap_err();
        assert!(is_silence(&error), "{error}");
        assert!(error.to_string().contains("the next trial is under way"), "{error}");
    }
    assert_eq!(server.record().seen().executions_of("good"), 1, "one at a time");
    gate.open();
    assert_eq!(on_trial.await.unwrap().unwrap(), "good");
    assert_eq!(handle.breaker(), BreakerState::Closed);
    let calls: Vec<_> = (0..20).map(|_| spawn_call_with(&handle, "good", patient)).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "good");
    }
}

#[apply(both)]
async fn b4_a_plugin_that_hung_and_was_restarted_is_found_without_a_trial(over: Over) {
    let mut server = moody_server(over, &open_gate());
    let handle = lazy(brief(&server).reconnect_attempts(3));
    while handle.breaker() == BreakerState::Closed {
        let _ = in_time("a call without a reply", call(&handle, "ignored")).await;
    }
    // It was connected to again, without a call: that is how its end is noticed.
    eventually("one connection is kept", || handle.state() == ConnectionState::Ready).await;
    server.kill().await;
    server.remove_socket();
    let refused = || matches!(handle.state(), ConnectionState::TransientFailure);
    eventually("its end is noticed", refused).await;
    let unreachable = async {
        loop {
            let error = call(&handle, "good").await.unwrap_err();
            let absent = error.io_error().is_some_and(|error| error.kind() == NotFound);
            if absent && error.reason() == "unavailable" {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    in_time("it counts as gone, no longer as silent", unreachable).await;
    server.restart();
    // No call is needed for it.
    eventually("it is back", || handle.breaker() == BreakerState::Closed).await;
    assert_eq!(call(&handle, "good").await.unwrap(), "good");
}

/// A caller in a hurry leaves behind a reply that never comes; another call is written
/// behind it. How that one fared.
async fn behind_a_stall(
    handle: &PluginHandle,
    server: &FaultServer,
) -> Result<String, PluginError> {
    let hasty = CallOptions::new().timeout(SOON);
    let stuck = spawn_call_with(handle, "stuck", hasty);
    server.record().wait_for(|seen| seen.executions_of("stuck") == 1).await;
    let behind = spawn_call(handle, "behind");
    let error = in_time("the first call", stuck).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    in_time("the call behind it", behind).await.unwrap()
}

/// Its first connection reads and never answers.
fn stalls_once() -> FaultServer {
    FaultServer::start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        loop {
            connection.hook().await?;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_a_stall_counts_as_a_missing_reply() {
    let server = stalls_once();
    let handle = lazy(socket(server.path()).stall_limit(SOON).breaker_threshold(1));
    let error = behind_a_stall(&handle, &server).await.unwrap_err();
    assert!(error.to_string().contains("stall_limit"), "{error}");
    assert_eq!(handle.stats().breaker_opened, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_what_is_behind_a_stall_follows_the_retry_rule() {
    let server = stalls_once();
    let handle = lazy(socket(server.path()).stall_limit(SOON * 4));
    let error = behind_a_stall(&handle, &server).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Disconnected, Sent::Unstarted), "{error}");
    assert_eq!(server.record().seen().executions_of("behind"), 1);

    let server = stalls_once();
    let again = socket(server.path()).stall_limit(SOON * 4).retry(RetryPolicy::Resend);
    let handle = lazy(again);
    assert_eq!(behind_a_stall(&handle, &server).await.unwrap(), "behind");
    assert_eq!(server.record().seen().executions_of("behind"), 2);
    assert_eq!(server.record().seen().executions_of("stuck"), 1, "its time was over");
}

#[apply(both)]
async fn b6_an_open_breaker_is_an_error_and_never_an_allow(over: Over) {
    let gate = Gate::closed();
    let closed = gate.clone();
    // Denies everything, while it answers at all.
    let server = over.start(move |mut connection| {
        let gate = closed.clone();
        async move {
            loop {
                let call = connection.hook().await?;
                gate.passed().await;
                connection.reply(Reply::denial(&call)).await?;
            }
        }
    });
    let handle = lazy(brief(&server).breaker_max_open(SOON));
    let ask = async || {
        let payload = serde_json::json!({"name": "t", "args": {}});
        let mut context = hookwire::PluginContext::new("request");
        handle.invoke_hook_json("tool_pre_invoke", &payload, &mut context).await
    };
    let mut refused = 0;
    while refused < 50 {
        let error = in_time("a call", ask()).await.unwrap_err();
        refused += u32::from(error.kind() == ErrorKind::Unavailable);
        tokio::task::yield_now().await;
    }
    gate.open();
    let denied = async {
        loop {
            if let Ok(result) = ask().await {
                break result;
            }
        }
    };
    assert!(!in_time("it answers again", denied).await.is_allowed());
    assert_eq!(handle.stats().ok, 0);
}

#[apply(both)]
async fn b7_a_server_that_dies_over_and_over_is_not_sent_every_call_many_times(over: Over) {
    let server = over.start(|mut connection| async move {
        // Runs one hook, and takes all that wait behind it along.
        connection.hook().await.map(drop)
    });
    let again = knobs(&server).max_in_flight(256).retry(RetryPolicy::Resend);
    let handle = lazy(again.reconnect_attempts(1_000_000));
    let calls: Vec<_> = (0..200).map(|i| spawn_call(&handle, i.to_string())).collect();
    for call in calls {
        let error = in_time("a call", call).await.unwrap().unwrap_err();
        assert_eq!(error.reason(), "retry_budget_spent", "{error}");
        assert!(error.to_string().contains("the connection was lost"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_ne!(error.sent(), Sent::No);
        assert!(error.to_string().contains("retry budget"), "{error}");
    }
    let stats = handle.stats();
    assert_eq!(stats.retries_refused, 200);
    // A fifth of the calls, and ten for each of ten seconds, of which few have passed.
    assert!((100..=140 + 100).contains(&stats.retries), "{} resends", stats.retries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_a_server_that_hangs_is_found_before_a_call_is_made() {
    let server = FaultServer::start(|mut connection| async move {
        if connection.number > 0 {
            return connection.serve().await;
        }
        let call = connection.hook().await?;
        connection.answer(&call).await?;
        connection.client_closed().await
    });
    let handle = lazy(socket(server.path()).keep_alive(Some(SOON)).stall_limit(SOON));
    assert_eq!(call(&handle, "first").await.unwrap(), "first");
    server.record().wait_for(|seen| seen.ended == 1).await;
    // The connection was replaced by now, or is when the call comes.
    assert_eq!(in_time("a call", call(&handle, "next")).await.unwrap(), "next");
    let seen = server.record().seen();
    assert_eq!((seen.executions_of("first"), seen.executions_of("next")), (1, 1));
}

#[apply(both)]
async fn b8_a_server_that_is_well_is_probed_on_the_connection_that_it_has(over: Over) {
    let server = over.honest();
    let handle = lazy(knobs(&server).keep_alive(Some(Duration::from_millis(5))));
    for i in 0..20 {
        let marker = i.to_string();
        assert_eq!(call(&handle, &marker).await.unwrap(), marker);
        let probes = |seen: &fault_server::Seen| seen.checks + seen.requests - seen.hook_calls();
        server.record().wait_for(|seen| probes(seen) > 2 * i).await;
    }
    let seen = server.record().seen();
    assert_eq!((seen.connections(), seen.hook_calls()), (1, 20));
    eventually("a probe leaves nothing behind", || {
        let stats = handle.stats();
        (stats.calls, stats.ok, stats.abandoned, stats.in_flight) == (20, 20, 0, 0)
    })
    .await;
}
