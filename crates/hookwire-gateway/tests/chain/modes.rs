//! What plugins may do in each mode, and in which order they are asked.

use hookwire::PluginHandle;
use hookwire::hooks::{ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke, ToolPreInvokePayload};
use hookwire_gateway::{ChainError, Decision, FieldPolicy, HaltReason, RequestContext};
use serde_json::json;

use crate::world::{Act, config, gate, in_time, path, record, run, statuses, world};

const MODES: [&str; 5] = ["sequential", "transform", "audit", "concurrent", "fire_and_forget"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_plugin_sees_the_changes_of_those_before_it() {
    let world = world([
        ("C", Act::Append, json!({"mode": "transform", "priority": 1})),
        ("B", Act::Append, json!({"priority": 7})),
        ("A", Act::Append, json!({"priority": 3})),
        ("D", Act::Append, json!({"mode": "transform", "priority": 2})),
    ])
    .await;
    assert_eq!(path(run(&world.chain()).await), "ABCD");
    let seen: Vec<_> = world.log.all().into_iter().map(|seen| seen.path).collect();
    assert_eq!(seen, ["", "A", "AB", "ABC"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_sequential_and_transform_plugins_change_the_payload() {
    for mode in MODES {
        let world = world([("A", Act::Append, json!(mode))]).await;
        let ran = run(&world.chain()).await;
        let modifies = matches!(mode, "sequential" | "transform");
        let report = ran.as_ref().unwrap().report();
        assert_eq!(record(report, "A").modified, modifies, "{mode}");
        assert_eq!(path(ran), if modifies { "A" } else { "" }, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_sequential_and_concurrent_plugins_deny() {
    for mode in MODES {
        let world = world([("Guard", Act::Deny, json!(mode))]).await;
        let ran = run(&world.chain()).await;
        if matches!(mode, "sequential" | "concurrent") {
            let halted = ran.unwrap_err();
            let denial = halted.denial().unwrap();
            assert_eq!(denial.plugin(), "Guard", "{mode}");
            let violation = denial.violation().unwrap();
            assert_eq!(violation.plugin_name.as_deref(), Some("Guard"));
            assert_eq!((&*violation.code, &*violation.reason), ("NO", "Guard denies"));
            let record = record(halted.report(), "Guard");
            assert_eq!(record.requested, Some(Decision::Deny));
            assert_eq!((record.effective, record.applied), (Decision::Deny, true));
            assert_eq!(record.code.as_deref(), Some("NO"));
        } else {
            let report = ran.as_ref().unwrap().report();
            let record = record(report, "Guard");
            let requested = (mode != "fire_and_forget").then_some(Decision::Deny);
            assert_eq!((record.requested, record.effective), (requested, Decision::Allow));
            assert_eq!(path(ran), "", "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transform_plugin_that_denies_still_changes_the_payload() {
    let world = world([("A", Act::DenyAndAppend, json!("transform"))]).await;
    assert_eq!(path(run(&world.chain()).await), "A");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_ends_the_chain_and_the_background_still_learns_of_the_request() {
    let world = world([
        ("A", Act::Append, json!({})),
        ("Guard", Act::Deny, json!({})),
        ("Late", Act::Allow, json!({})),
        ("Audit", Act::Allow, json!("audit")),
        ("Beside", Act::Allow, json!("concurrent")),
        ("Watcher", Act::Allow, json!("fire_and_forget")),
    ])
    .await;
    let halted = run(&world.chain()).await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::Denied(_)));
    assert_eq!(
        statuses(halted.report()),
        [
            ("A", "completed"),
            ("Audit", "skipped"),
            ("Beside", "skipped"),
            ("Guard", "completed"),
            ("Late", "skipped"),
            ("Watcher", "started"),
        ]
        .map(|(name, status)| (name.to_owned(), status))
        .into()
    );
    world.log.wait_for(3).await;
    assert_eq!(world.log.plugins(), ["A", "Guard", "Watcher"]);
    assert_eq!(world.log.of("Watcher")[0].path, "", "it sees the payload as it came in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_plugins_are_asked_side_by_side_after_all_others() {
    let (key, gate) = gate();
    let waiting = || Act::When(gate.clone(), Box::new(Act::Append));
    let world = world([
        ("B", waiting(), json!("concurrent")),
        ("C", waiting(), json!("concurrent")),
        ("A", Act::Append, json!("transform")),
    ])
    .await;
    let chain = world.chain();
    let ran = tokio::spawn(async move { run(&chain).await });
    // Both are there, although neither has answered.
    world.log.wait_for(3).await;
    assert_eq!(world.log.of("B")[0].path, "A");
    assert_eq!(world.log.of("C")[0].path, "A");
    key.send_replace(true);
    assert_eq!(path(in_time("the run", ran).await.unwrap()), "A");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_denial_drops_the_calls_beside_it() {
    let (key, gate) = gate();
    let world = world([
        ("Slow", Act::Hang, json!("concurrent")),
        ("Guard", Act::When(gate, Box::new(Act::Deny)), json!("concurrent")),
        ("Quick", Act::Allow, json!("concurrent")),
        ("Later", Act::Allow, json!("concurrent")),
    ])
    .await;
    let chain = world.builder().concurrency(3).build().unwrap();
    let ran = tokio::spawn(async move { run(&chain).await });
    // `Later` is begun when `Quick` has finished.
    world.log.wait_for(4).await;
    key.send_replace(true);
    let halted = in_time("the run", ran).await.unwrap().unwrap_err();
    assert_eq!(halted.denial().unwrap().plugin(), "Guard");
    let statuses = statuses(halted.report());
    assert_eq!((statuses["Slow"], statuses["Guard"]), ("cancelled", "completed"));
    assert_eq!(statuses["Quick"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_concurrent_plugins_are_asked_at_a_time_than_the_chain_allows() {
    let world = world([
        ("Guard", Act::Deny, json!("concurrent")),
        ("Second", Act::Allow, json!("concurrent")),
        ("Third", Act::Allow, json!("concurrent")),
    ])
    .await;
    let chain = world.builder().concurrency(1).build().unwrap();
    let halted = run(&chain).await.unwrap_err();
    assert_eq!(world.log.plugins(), ["Guard"]);
    assert_eq!(statuses(halted.report())["Third"], "skipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_plugins_and_those_for_other_hooks_or_requests_are_left_out() {
    let world = world([
        ("Post", Act::Deny, json!({"hooks": ["tool_post_invoke"]})),
        ("Shell", Act::Deny, json!({"conditions": [{"tools": ["shell"]}]})),
        ("Tool", Act::Append, json!({"conditions": [{"tools": ["shell"]}, {"tools": ["tool"]}]})),
    ])
    .await;
    let socket = json!({"path": "/nowhere.sock"});
    let off = config("Off", &socket, json!({"mode": "disabled", "hooks": ["tool_pre_invoke"]}));
    let chain = world.builder().plugin(PluginHandle::connect_lazy(off)).build().unwrap();
    let ran = run(&chain).await;
    assert_eq!(
        statuses(ran.as_ref().unwrap().report()),
        [("Off", "disabled"), ("Shell", "skipped"), ("Tool", "completed")]
            .map(|(name, status)| (name.to_owned(), status))
            .into()
    );
    assert_eq!(path(ran), "Tool");

    let mut request = RequestContext::new("1");
    let payload = ToolPostInvokePayload::new("tool", json!("done"));
    let ran = in_time("a run", chain.run::<ToolPostInvoke>(payload, &mut request)).await;
    assert_eq!(ran.unwrap_err().denial().unwrap().plugin(), "Post");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_plugins_tell_comes_together() {
    let told = |delay: u64, key: &str, more: serde_json::Value| {
        let mut result = json!({
            "continue_processing": true, "retry_delay_ms": delay, "metadata": {key: delay},
            "http_headers": {"X-Rate": delay.to_string()},
        });
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Act::Json(result)
    };
    let extensions = |text: &str| json!({"modified_extensions": {"by": text}});
    let world = world([
        ("A", told(30, "a", extensions("a")), json!({})),
        ("B", told(10, "b", extensions("b")), json!("transform")),
        ("C", told(20, "a", extensions("c")), json!("audit")),
        ("D", told(5, "d", extensions("d")), json!("concurrent")),
    ])
    .await;
    let (_, report) = run(&world.chain()).await.unwrap().into_parts();
    assert_eq!(json!(report.metadata()), json!({"a": 20, "b": 10, "d": 5}));
    assert_eq!(json!(report.http_headers()), json!({"X-Rate": "5"}));
    assert_eq!(report.retry_delay(), Some(std::time::Duration::from_millis(30)));
    assert_eq!(report.modified_extensions(), Some(&json!({"by": "b"})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_takes_back_what_plugins_may_not_change() {
    let world = world([("A", Act::Append, json!({}))]).await;
    let chain = |policy| world.builder().policy("tool_pre_invoke", policy).build().unwrap();
    assert_eq!(path(run(&chain(FieldPolicy::only(["args"]))).await), "A");
    assert_eq!(path(run(&chain(FieldPolicy::only(["name"]))).await), "");
    assert_eq!(path(run(&chain(FieldPolicy::Deny)).await), "");
    let others = world.builder().default_policy(FieldPolicy::Deny).build().unwrap();
    assert_eq!(path(run(&others).await), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_without_plugins_lets_the_request_pass() {
    let chain = hookwire_gateway::Chain::builder().build().unwrap();
    assert_eq!(path(run(&chain).await), "");
}

#[tokio::test]
async fn a_chain_refuses_names_that_come_twice_and_conditions_that_cannot_be_read() {
    let plugin = |name, more| {
        PluginHandle::connect_lazy(config(name, &json!({"path": "/nowhere.sock"}), more))
    };
    let twice = [plugin("A", json!({})), plugin("a", json!({})), plugin("A", json!({}))];
    let error = hookwire_gateway::Chain::builder().plugins(twice).build().unwrap_err();
    assert_eq!(error, ChainError::Duplicate("A".to_owned()));

    let misspelt = plugin("A", json!({"conditions": [{"tool": ["shell"]}]}));
    let error = hookwire_gateway::Chain::builder().plugin(misspelt).build().unwrap_err();
    assert!(
        error.to_string().starts_with("plugin `A`: condition 1: unknown field `tool`"),
        "{error}"
    );
}

/// All plugins of a payload share its encoding, unless their settings decide about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_wire_cannot_carry_exactly_is_up_to_each_plugins_settings() {
    let rounds = json!({"unix_socket": {"big_integers": "round"}});
    // It guards nothing, so the request may go on without it.
    let refuses = json!({"mode": "audit", "on_error": "ignore"});
    let world = world([("Rounds", Act::Allow, rounds), ("Refuses", Act::Allow, refuses)]).await;
    let chain = world.chain();
    let mut request = RequestContext::new("1");
    let payload = ToolPreInvokePayload::new("tool").with_arg("n", 9_007_199_254_740_993_u64);
    let ran = in_time("a run", chain.run::<ToolPreInvoke>(payload.clone(), &mut request)).await;
    let (passed, report) = ran.unwrap().into_parts();
    assert!(passed == payload, "what goes on is exact");
    assert_eq!(statuses(&report)["Rounds"], "completed");
    assert_eq!(record(&report, "Refuses").code.as_deref(), Some("invalid_request"));
}
