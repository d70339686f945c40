//! How long a plugin that an error has disabled stays out.

use std::time::Duration;

use hookwire::config::OnError;
use hookwire::testing::Answer;
use serde_json::json;
use tokio::time::sleep;

use crate::guards::{broken, chain_of, checked, guard, info, no, run};
use crate::world::{in_time, statuses};

#[tokio::test(start_paused = true)]
async fn a_trial_waits_for_a_request_that_asks_the_plugin() {
    let first = guard("First", json!({"priority": 1}))
        .choose(|call| match call.payload["name"].as_str() {
            Some("bad") => no(),
            _ => Answer::allow(),
        })
        .build();
    for mode in ["sequential", "concurrent", "fire_and_forget"] {
        let entry = json!({"mode": mode, "priority": 2, "on_error": "disable"});
        let second = guard("Second", entry).then(broken()).build();
        let rest = Duration::from_secs(60);
        let chain = chain_of([&first, &second]).disable_for(rest).build().unwrap();
        let _ = run(&chain, "ok").await;
        assert!(chain.background_idle(rest).await);
        assert_eq!(chain.disabled(), ["Second"]);
        sleep(rest).await;
        if mode != "fire_and_forget" {
            assert!(run(&chain, "bad").await.is_err());
        }
        let passed = run(&chain, "ok").await.unwrap();
        assert_ne!(statuses(passed.report())["Second"], "disabled", "{mode}");
        assert!(chain.background_idle(rest).await);
        assert!(chain.disabled().is_empty(), "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_dropped_is_given_back() {
    let entry = json!({"mode": "concurrent", "on_error": "disable"});
    let tried = guard("Tried", entry)
        .then(broken())
        .then(Answer::allow().after(Duration::from_secs(5)))
        .build();
    let denies = guard("Denies", json!({"mode": "concurrent"}))
        .choose(|call| match call.payload["name"].as_str() {
            Some("bad") => no().after(Duration::from_secs(1)),
            _ => Answer::allow(),
        })
        .build();
    let rest = Duration::from_secs(60);
    let chain = chain_of([&tried, &denies]).disable_for(rest).build().unwrap();
    assert!(run(&chain, "ok").await.is_ok());
    sleep(rest).await;
    let halted = run(&chain, "bad").await.unwrap_err();
    assert_eq!(statuses(halted.report())["Tried"], "cancelled");
    assert_eq!(statuses(run(&chain, "ok").await.unwrap().report())["Tried"], "completed");
    assert!(chain.disabled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_call_from_before_a_reset_does_not_undo_it() {
    let guard = guard("Guard", json!({"on_error": "disable"}))
        .choose(|call| match call.payload["name"].as_str() {
            Some("slow") => broken().after(Duration::from_secs(10)),
            Some("bad") => broken(),
            _ => Answer::allow(),
        })
        .build();
    let chain = chain_of([&guard]).build().unwrap();
    let slow = tokio::spawn({
        let chain = chain.clone();
        async move { run(&chain, "slow").await.is_ok() }
    });
    guard.wait_for_calls(1).await;
    let _ = run(&chain, "bad").await;
    assert_eq!(chain.disabled(), ["Guard"]);
    assert!(chain.reset("Guard"));
    assert!(slow.await.unwrap());
    assert!(chain.disabled().is_empty());
    let _ = run(&chain, "bad").await;
    assert_eq!(chain.disabled(), ["Guard"], "one that begins after it counts");
}

/// Its calls are not made, so it costs nothing, and it guards as soon as its server is in order.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_used_as_it_is_configured_is_not_disabled_for_that() {
    let (double, chain) = checked(json!({"on_error": "disable"}), info(&[])).await;
    let passed = run(&chain, "search").await.unwrap();
    assert_eq!(statuses(passed.report())["Guard"], "error");
    assert!(chain.disabled().is_empty());
    double.restart_as(info(&["tool_pre_invoke"]));
    let handle = chain.handles().next().unwrap();
    in_time("the check", handle.verify()).await.unwrap();
    double.then(no());
    assert!(run(&chain, "search").await.unwrap_err().denial().is_some());
}

/// The entry leaves `on_error` to the server.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_requests_now_stop_for_is_asked_although_an_error_disabled_it() {
    let server = || info(&["tool_pre_invoke"]);
    let (double, chain) = checked(json!({}), server().with_on_error(OnError::Disable)).await;
    double.then(broken());
    assert!(run(&chain, "search").await.is_ok());
    assert_eq!(chain.disabled(), ["Guard"]);
    double.restart_as(server().with_on_error(OnError::Fail));
    let handle = chain.handles().next().unwrap();
    in_time("the check", handle.verify()).await.unwrap();
    double.then(no());
    assert!(run(&chain, "search").await.unwrap_err().denial().is_some());
    assert!(chain.disabled().is_empty());
}
