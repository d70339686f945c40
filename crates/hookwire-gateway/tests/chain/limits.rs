//! Time and room.

use std::time::Duration;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire_gateway::{Chain, HaltReason, RequestContext};
use serde_json::json;

use crate::world::{Act, LIMIT, gate, in_time, record, run, statuses, tool_payload, world};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_time_of_the_chain_is_over_it_ends_whatever_on_error_says() {
    for mode in ["sequential", "transform", "audit", "concurrent"] {
        for on_error in ["fail", "ignore", "disable"] {
            let world = world([
                ("Slow", Act::Hang, json!({"mode": mode, "on_error": on_error})),
                ("Watcher", Act::Allow, json!("fire_and_forget")),
            ])
            .await;
            let chain = world.builder().timeout(SHORT).build().unwrap();
            let halted = run(&chain).await.unwrap_err();
            assert!(
                matches!(halted.reason(), HaltReason::OutOfTime(time) if *time == SHORT),
                "{mode} {on_error}: {halted}"
            );
            assert_eq!(statuses(halted.report())["Slow"], "timeout");
            assert_eq!(statuses(halted.report())["Watcher"], "skipped");
            assert!(chain.disabled().is_empty(), "the time may have been used up by others");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_not_reached_in_time_is_not_asked_and_does_not_allow() {
    let world = world([
        ("Slow", Act::Hang, json!({"on_error": "ignore"})),
        ("Late", Act::Allow, json!({"on_error": "ignore"})),
    ])
    .await;
    let halted = run(&world.builder().timeout(SHORT).build().unwrap()).await.unwrap_err();
    assert_eq!(statuses(halted.report())["Late"], "skipped");
    assert_eq!(world.log.plugins(), ["Slow"]);

    let no_time = world.builder().timeout(Duration::ZERO).build().unwrap();
    let halted = run(&no_time).await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::OutOfTime(_)));
    assert_eq!(world.log.plugins(), ["Slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugins_own_timeout_ends_its_call_and_not_the_chain() {
    let entry = json!({"on_error": "ignore", "unix_socket": {"timeout": 0.1}});
    let world = world([("Slow", Act::Hang, entry), ("Next", Act::Allow, json!({}))]).await;
    let chain = world.builder().timeout(LIMIT).build().unwrap();
    let passed = run(&chain).await.unwrap();
    assert_eq!(record(passed.report(), "Slow").status.as_str(), "timeout");
    assert_eq!(world.log.plugins(), ["Slow", "Next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_background_has_room_for_so_many_calls_and_more_are_dropped_and_counted() {
    let (key, gate) = gate();
    let entry = json!({"mode": "fire_and_forget", "unix_socket": {"max_connections": 4}});
    let act = Act::When(gate, Box::new(Act::Allow));
    let world = world([("Watcher", act, entry)]).await;
    let chain = world.builder().background(2).build().unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(statuses(run(&chain).await.unwrap().report())["Watcher"]);
    }
    assert_eq!(seen, ["started", "started", "skipped", "skipped"]);
    assert_eq!((chain.background_running(), chain.background_dropped()), (2, 2));
    assert!(!chain.background_idle(Duration::ZERO).await);

    key.send_replace(true);
    assert!(chain.background_idle(LIMIT).await);
    assert_eq!(world.log.all().len(), 2);
    assert_eq!(chain.background_running(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_does_not_wait_for_the_background() {
    let world = world([("Watcher", Act::Hang, json!("fire_and_forget"))]).await;
    let chain = world.builder().timeout(LIMIT).build().unwrap();
    let _ = in_time("the run", run(&chain)).await.unwrap();
    world.log.wait_for(1).await;
    assert_eq!(chain.background_running(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_the_background_disables_a_plugin_that_says_so_and_stops_nothing() {
    for (on_error, disables) in [("fail", false), ("ignore", false), ("disable", true)] {
        let entry = json!({"mode": "fire_and_forget", "on_error": on_error});
        let world = world([("Watcher", Act::Fail, entry)]).await;
        let chain = world.chain();
        let _ = run(&chain).await.unwrap();
        assert!(chain.background_idle(LIMIT).await);
        assert_eq!(!chain.disabled().is_empty(), disables, "{on_error}");
        let status = statuses(run(&chain).await.unwrap().report())["Watcher"];
        assert_eq!(status, if disables { "disabled" } else { "started" });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_a_chain_and_each_gets_its_own_answers() {
    let world = world([
        ("A", Act::Append, json!({})),
        ("B", Act::Append, json!("transform")),
        ("C", Act::Keep("c"), json!("concurrent")),
    ])
    .await;
    let chain = world.chain();
    let runs: Vec<_> = (0..64)
        .map(|id| {
            let chain = chain.clone();
            tokio::spawn(async move {
                let mut request = hookwire_gateway::RequestContext::new(format!("request-{id}"));
                let payload = ToolPreInvokePayload::new("tool").with_arg("path", id.to_string());
                let passed = chain.run::<ToolPreInvoke>(payload, &mut request).await.unwrap();
                assert_eq!(passed.value().args.as_ref().unwrap()["path"], format!("{id}AB"));
                assert_eq!(json!(request.plugin_state("C")), json!({"c": "C"}));
            })
        })
        .collect();
    for ran in runs {
        in_time("a run", ran).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_above_the_limit_is_refused_before_any_plugin_is_asked() {
    let payload = serde_json::to_vec(&tool_payload()).unwrap();
    let world = world([
        ("Guard", Act::Allow, json!({"on_error": "ignore"})),
        ("Watcher", Act::Allow, json!("fire_and_forget")),
    ])
    .await;
    let chain = world.builder().max_payload(payload.len()).build().unwrap();
    assert!(run(&chain).await.is_ok());
    assert!(chain.background_idle(LIMIT).await);
    assert_eq!(world.log.all().len(), 2);

    let limit = payload.len() - 1;
    let chain = world.builder().max_payload(limit).build().unwrap();
    let halted = run(&chain).await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::TooLarge(bytes) if *bytes == limit));
    let seen = statuses(halted.report());
    assert_eq!((seen["Guard"], seen["Watcher"]), ("skipped", "skipped"));
    assert!(chain.background_idle(LIMIT).await);
    assert_eq!(world.log.all().len(), 2);
}

/// A guard that gives the payload back could not reply to one that just fits a frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_another_limit_a_payload_is_at_most_a_mebibyte_where_a_plugin_is_asked() {
    let world =
        world([("Guard", Act::Allow, json!({"mode": "sequential", "on_error": "disable"}))]).await;
    let chain = world.builder().build().unwrap();
    let large = || ToolPreInvokePayload::new("tool").with_arg("text", "x".repeat(1 << 20));
    let mut request = RequestContext::new("large");
    let halted = chain.run::<ToolPreInvoke>(large(), &mut request).await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::TooLarge(1_048_576)));
    assert!(chain.disabled().is_empty() && world.log.all().is_empty());

    let unlimited = world.builder().max_payload(usize::MAX).build().unwrap();
    let mut request = RequestContext::new("unlimited");
    assert!(unlimited.run::<ToolPreInvoke>(large(), &mut request).await.is_ok());

    let nobody = Chain::builder().build().unwrap();
    let mut request = RequestContext::new("nobody");
    assert!(nobody.run::<ToolPreInvoke>(large(), &mut request).await.is_ok());
}
