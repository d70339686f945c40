//! Row H39 of docs/reliability.md: a task that calls again as soon as its call fails, as one
//! that waits for a plugin does, lets the others run. What would end its calls' failing is
//! done by one of them.

// Helpers of tests are test code too; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::future::Future;
use std::time::Duration;

use common::calls::{LIMIT, SOON, call, call_with, eventually, in_time, knobs, lazy};
use common::over::{Over, apply, both_on_one_thread};
use hookwire::{BreakerState, CallOptions, PluginContext, PluginError, PluginHandle};
use serde_json::{Value, json};

/// Far more than a task may do in one turn.
const CALLS: usize = 10_000;

/// Fails unless a task that was spawned before comes to run while this one calls. The runtime
/// has one thread, so it runs only where a call lets it.
async fn lets_others_run<T, F>(what: &str, mut call: impl FnMut() -> F)
where
    F: Future<Output = Result<T, PluginError>>,
{
    let other = tokio::spawn(async {});
    for _ in 0..CALLS {
        assert!(call().await.is_err(), "{what} is meant to fail");
        if other.is_finished() {
            return;
        }
    }
    panic!("no other task ran during {CALLS} calls: {what}");
}

async fn call_hook(handle: &PluginHandle, hook: &str, payload: &Value) -> Result<(), PluginError> {
    let mut context = PluginContext::new("request-1");
    handle.invoke_hook_json(hook, payload, &mut context).await.map(drop)
}

#[apply(both_on_one_thread)]
async fn h39_calls_that_are_refused_let_other_tasks_run(over: Over) {
    let server = over.start(|mut connection| async move { connection.client_closed().await });
    let handle = lazy(knobs(&server).max_frame_len(4096));
    let (fits, large) = (json!({"name": "t"}), json!({"name": "t".repeat(8192)}));
    lets_others_run("an unregistered hook", || call_hook(&handle, "no_hook", &fits)).await;
    let odd = json!("no object");
    lets_others_run("no payload", || call_hook(&handle, "tool_pre_invoke", &odd)).await;
    lets_others_run("a large payload", || call_hook(&handle, "tool_pre_invoke", &large)).await;
    let late = handle.with(CallOptions::new().timeout(Duration::ZERO));
    lets_others_run("no time", || call_hook(&late, "tool_pre_invoke", &fits)).await;

    in_time("the shutdown", handle.shutdown(Duration::ZERO)).await;
    lets_others_run("after a shutdown", || call_hook(&handle, "tool_pre_invoke", &fits)).await;
    lets_others_run("a question after it", || handle.plugin_config()).await;
    lets_others_run("one about all after it", || handle.plugin_configs()).await;
    lets_others_run("a check after it", || handle.verify()).await;
}

#[apply(both_on_one_thread)]
async fn h39_calls_that_an_open_breaker_refuses_let_the_one_on_trial_be_answered(over: Over) {
    let server = over.start(|mut connection| async move {
        loop {
            let call = connection.hook().await?;
            match call.marker() {
                "lost" => connection.leave_unanswered().await?,
                _ => connection.answer(&call).await?,
            }
        }
    });
    // Over a socket the stall tells, over gRPC that a call with all of its time was not answered.
    let brief = knobs(&server).breaker_threshold(1).stall_limit(SOON).timeout(SOON);
    let handle = lazy(brief);
    in_time("a call", call(&handle, "lost")).await.unwrap_err();
    eventually("the breaker opens", || handle.breaker() != BreakerState::Closed).await;
    // The server's reply, its timer and the trial itself have to run between the refusals.
    let patient = CallOptions::new().timeout(LIMIT);
    let callers =
        (0..4).map(|_| async { while call_with(&handle, "again", patient).await.is_err() {} });
    in_time("the trial", futures::future::join_all(callers)).await;
    assert_eq!(handle.breaker(), BreakerState::Closed);
}
