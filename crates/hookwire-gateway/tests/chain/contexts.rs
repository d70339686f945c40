//! What plugins keep, and what they share.

use hookwire::GlobalContext;
use hookwire::hooks::{ToolPostInvoke, ToolPostInvokePayload};
use hookwire_gateway::RequestContext;
use serde_json::json;

use crate::world::{Act, gate, in_time, run_in, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_keeps_it_sees_at_its_next_hook_and_no_other_plugin_does() {
    for mode in ["sequential", "transform", "audit", "concurrent"] {
        let world =
            world([("A", Act::Keep("a"), json!(mode)), ("B", Act::Keep("b"), json!(mode))]).await;
        let chain = world.chain();
        let mut request = RequestContext::new("request-1");
        let _ = run_in(&chain, &mut request).await.unwrap();
        let payload = ToolPostInvokePayload::new("tool", json!(1));
        let _ = in_time("a run", chain.run::<ToolPostInvoke>(payload, &mut request)).await.unwrap();

        for (name, key) in [("A", "a"), ("B", "b")] {
            let calls = world.log.of(name);
            assert!(calls[0].context.state.is_empty() && calls[0].context.metadata.is_empty());
            assert_eq!(json!(calls[1].context.state), json!({ key: name }), "{mode}");
            assert_eq!(json!(calls[1].context.metadata), json!({ key: name }), "{mode}");
            assert_eq!(json!(request.plugin_state(name)), json!({ key: name }));
            assert_eq!(json!(request.plugin_metadata(name)), json!({ key: name }));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_request_sees_nothing_of_it() {
    let world = world([("A", Act::Keep("a"), json!({}))]).await;
    let chain = world.chain();
    for id in ["request-1", "request-2"] {
        let _ = run_in(&chain, &mut RequestContext::new(id)).await.unwrap();
    }
    let second = &world.log.all()[1].context;
    assert_eq!(second.global_context.request_id, "request-2");
    assert!(second.state.is_empty() && second.global_context.state.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_shares_those_behind_it_see_but_for_audit_and_the_background() {
    for (mode, shares) in [
        ("sequential", true),
        ("transform", true),
        ("audit", false),
        ("concurrent", true),
        ("fire_and_forget", false),
    ] {
        let world = world([("A", Act::Keep("a"), json!(mode))]).await;
        let chain = world.chain();
        let state = json!({"gateway": 1}).as_object().unwrap().clone();
        let global = GlobalContext::new("request-1").with_state(state);
        let mut request = RequestContext::from(global);
        let _ = run_in(&chain, &mut request).await.unwrap();
        assert!(chain.background_idle(crate::world::LIMIT).await);
        let expected = if shares { json!({"gateway": 1, "a": "A"}) } else { json!({"gateway": 1}) };
        assert_eq!(json!(request.global().state), expected, "{mode}");
        assert_eq!(json!(world.log.all()[0].context.global_context.state), json!({"gateway": 1}));
        assert_eq!(request.plugin_state("A").is_some(), mode != "fire_and_forget");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_plugins_side_by_side_none_takes_back_what_another_has_shared() {
    let (key, gate) = gate();
    let late = Act::When(gate, Box::new(Act::Keep("late")));
    let world = world([
        ("First", Act::Keep("shared"), json!({})),
        ("Late", late, json!("concurrent")),
        // It changes a value that the late one has seen as it was, and brings back so.
        ("Quick", Act::Keep("shared"), json!("concurrent")),
    ])
    .await;
    let chain = world.chain();
    let ran = tokio::spawn(async move {
        let mut request = RequestContext::new("request-1");
        let _ = run_in(&chain, &mut request).await.unwrap();
        request
    });
    world.log.wait_for(3).await;
    key.send_replace(true);
    let request = in_time("the run", ran).await.unwrap();
    assert_eq!(json!(request.global().state), json!({"shared": "Quick", "late": "Late"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_dropped_loses_nothing_of_what_was_kept() {
    let world = world([
        ("A", Act::Keep("a"), json!({})),
        ("Slow", Act::Hang, json!({"hooks": ["tool_post_invoke"]})),
    ])
    .await;
    let chain = world.chain();
    let mut request = RequestContext::new("request-1");
    let _ = run_in(&chain, &mut request).await.unwrap();
    {
        let payload = ToolPostInvokePayload::new("tool", json!(1));
        let dropped = chain.run::<ToolPostInvoke>(payload, &mut request);
        tokio::select! {
            _ = dropped => panic!("the slow plugin does not answer"),
            () = world.log.wait_for(3) => {}
        }
    }
    assert_eq!(json!(request.plugin_state("A")), json!({"a": "A"}));
    let _ = run_in(&chain, &mut request).await.unwrap();
    assert_eq!(json!(world.log.of("A").last().unwrap().context.state), json!({"a": "A"}));
}
