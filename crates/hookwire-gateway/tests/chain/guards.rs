//! What does not take a guard away: a wrong setup, one client's request, a burst.

use std::time::Duration;

use hookwire::config::PluginMode;
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{HandlerError, PluginInfo};
use hookwire::testing::{Answer, Double, DoubleBuilder};
use hookwire::{CallOptions, ErrorKind, PluginViolation};
use hookwire_gateway::{Chain, ChainBuilder, HaltReason, Halted, RequestContext};
use serde_json::{Value, json};

use crate::world::{Ran, config, in_time, statuses};

/// Those in which a plugin's answer counts for the request.
const GUARDING: [&str; 3] = ["sequential", "transform", "concurrent"];

pub(crate) fn double(name: &str, more: Value) -> DoubleBuilder {
    Double::of(config(name, &json!({"path": "/run/plugins.sock"}), more))
}

/// One whose hooks the entry names.
pub(crate) fn guard(name: &str, mut more: Value) -> DoubleBuilder {
    more["hooks"] = json!(["tool_pre_invoke"]);
    double(name, more)
}

pub(crate) fn chain_of<'a>(doubles: impl IntoIterator<Item = &'a Double>) -> ChainBuilder {
    Chain::builder().plugins(doubles.into_iter().map(Double::handle))
}

pub(crate) async fn run(chain: &Chain, tool: &str) -> Ran {
    run_with(chain, tool, "x").await
}

async fn run_with(chain: &Chain, tool: &str, query: &str) -> Ran {
    let payload = ToolPreInvokePayload::new(tool).with_arg("query", query);
    let mut request = RequestContext::new("request-1");
    in_time("a run", chain.run::<ToolPreInvoke>(payload, &mut request)).await
}

fn failure(halted: &Halted) -> (ErrorKind, &'static str) {
    match halted.reason() {
        HaltReason::Failed(error) => (error.kind(), error.reason()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn broken() -> Answer {
    Answer::fail(HandlerError::new("broken"))
}

pub(crate) fn no() -> Answer {
    Answer::deny(PluginViolation::new("NO"))
}

/// A chain of one plugin whose server has told this about it.
pub(crate) async fn checked(entry: Value, server: PluginInfo) -> (Double, Chain) {
    let double = double("Guard", entry).server_entry(server).build();
    let handle = double.handle();
    let _ = in_time("the check", handle.verify()).await;
    assert!(handle.is_checked());
    let chain = Chain::builder().plugin(handle).build().unwrap();
    (double, chain)
}

fn strict(mut entry: Value) -> Value {
    entry["unix_socket"] = json!({"verify": "strict"});
    entry
}

pub(crate) fn info(hooks: &[&str]) -> PluginInfo {
    PluginInfo::new("Guard").with_hooks(hooks.iter().copied().map(str::to_owned).collect())
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_used_as_it_is_configured_is_asked_and_on_error_judges() {
    let misspelt = json!({"hooks": ["tool_pre_invok"]});
    let disabled = || info(&[]).with_mode(PluginMode::Disabled);
    let worlds = [
        (json!({}), info(&[]), "no_hooks"),
        (strict(misspelt), info(&["tool_pre_invoke"]), "weaker_server"),
        (strict(json!({"mode": "sequential"})), disabled(), "weaker_server"),
    ];
    for (entry, server, reason) in worlds {
        let (double, chain) = checked(entry.clone(), server.clone()).await;
        assert!(chain.serves("tool_pre_invoke"), "{reason}");
        let halted = run(&chain, "search").await.unwrap_err();
        assert_eq!(failure(&halted), (ErrorKind::Config, reason));
        assert_eq!(statuses(halted.report())["Guard"], "error");
        assert!(double.calls().is_empty());

        let mut ignored = entry;
        ignored["on_error"] = json!("ignore");
        let (_double, chain) = checked(ignored, server).await;
        let passed = run(&chain, "search").await.unwrap();
        assert_eq!(statuses(passed.report())["Guard"], "error", "{reason}");
    }
}

/// Its entry leaves `mode` to the server, so it is as if the entry had disabled it.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_takes_its_mode_from_a_server_that_has_disabled_it_is_left_out() {
    let server = info(&["tool_pre_invoke"]).with_mode(PluginMode::Disabled);
    let (_double, chain) = checked(json!({}), server).await;
    assert_eq!(statuses(run(&chain, "search").await.unwrap().report())["Guard"], "disabled");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_used_stops_no_hook_that_it_does_not_serve() {
    let entry = strict(json!({"mode": "sequential", "hooks": ["tool_post_invoke"]}));
    let server = info(&["tool_post_invoke"]).with_mode(PluginMode::Audit);
    let (_double, chain) = checked(entry, server).await;
    assert!(chain.serves("tool_post_invoke") && !chain.serves("tool_pre_invoke"));
    assert!(run(&chain, "search").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_stops_whatever_on_error_says_and_disables_nothing() {
    let long = "x".repeat(10_000);
    for mode in GUARDING {
        for on_error in ["fail", "ignore", "disable"] {
            let entry = json!({
                "mode": mode, "on_error": on_error, "unix_socket": {"max_frame_len": 4096}
            });
            let guard = guard("Guard", entry).build();
            let chain = chain_of([&guard]).build().unwrap();
            let halted = run_with(&chain, "search", &long).await.unwrap_err();
            assert_eq!(failure(&halted).0, ErrorKind::InvalidRequest, "{mode} {on_error}");
            assert_eq!(halted.http_status(), 422);
            assert!(chain.disabled().is_empty(), "{mode} {on_error}");
            assert!(run(&chain, "search").await.is_ok());
        }
    }
}

/// They guard nothing: `on_error` judges, but the plugin stays for the next request.
#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_to_a_watcher_passes_as_on_error_says_and_disables_nothing() {
    let long = "x".repeat(10_000);
    for (mode, on_error, passes) in [
        ("audit", "fail", false),
        ("audit", "ignore", true),
        ("audit", "disable", true),
        ("fire_and_forget", "disable", true),
    ] {
        let entry = json!({
            "mode": mode, "on_error": on_error, "unix_socket": {"max_frame_len": 4096}
        });
        let watcher = guard("Watcher", entry).build();
        let chain = chain_of([&watcher]).build().unwrap();
        assert_eq!(run_with(&chain, "search", &long).await.is_ok(), passes, "{mode} {on_error}");
        assert!(chain.background_idle(Duration::from_secs(20)).await);
        assert!(chain.disabled().is_empty(), "{mode} {on_error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_the_client_cannot_queue_disables_nothing() {
    let entry = json!({"on_error": "disable", "unix_socket": {
        "max_connections": 1, "max_in_flight": 1, "queue_capacity": 1
    }});
    let guard = guard("Guard", entry)
        .choose(|call| match call.payload["name"].as_str() {
            Some("slow") => Answer::allow().after(Duration::from_secs(1)),
            _ => no(),
        })
        .build();
    let chain = chain_of([&guard]).build().unwrap();
    let burst = (0..10).map(|_| run(&chain, "slow"));
    let ran = futures::future::join_all(burst).await;
    let overloaded = ran
        .iter()
        .flatten()
        .filter(|passed| passed.report().records()[0].code.as_deref() == Some("overloaded"));
    assert!(overloaded.count() > 0, "`on_error` lets them pass as before");
    assert!(chain.disabled().is_empty());
    assert!(run(&chain, "shell").await.unwrap_err().denial().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_its_turn_until_its_time_was_over_disables_nothing() {
    let entry = json!({"on_error": "disable", "unix_socket": {
        "max_connections": 1, "max_in_flight": 1, "timeout": 5
    }});
    let ten = Duration::from_secs(10);
    let guard = guard("Guard", entry).then(Answer::allow().after(ten)).build();
    let handle = guard.handle();
    let slow = chain_of([]).plugin(handle.with(CallOptions::new().timeout(2 * ten))).build();
    let chain = Chain::builder().plugin(handle).build().unwrap();
    let slow = tokio::spawn(async move { run(&slow.unwrap(), "slow").await.is_ok() });
    guard.wait_for_calls(1).await;
    let passed = run(&chain, "search").await.unwrap();
    assert_eq!(passed.report().records()[0].code.as_deref(), Some("timeout"));
    assert!(chain.disabled().is_empty());
    assert!(slow.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_closed_handle_is_no_error_of_the_plugin() {
    let guard = guard("Guard", json!({"on_error": "disable"})).build();
    let chain = chain_of([&guard]).build().unwrap();
    for handle in chain.handles() {
        in_time("the shutdown", handle.shutdown(Duration::ZERO)).await;
    }
    let passed = run(&chain, "search").await.unwrap();
    assert_eq!(statuses(passed.report())["Guard"], "error");
    assert!(chain.disabled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_concurrent_phase_without_a_bound_ends() {
    let guards = ["A", "B"].map(|name| guard(name, json!({"mode": "concurrent"})).build());
    let chain = chain_of(&guards).concurrency(usize::MAX).build().unwrap();
    assert!(run(&chain, "search").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn conditions_see_the_payload_as_it_came_in() {
    let rename = guard("Rename", json!({"priority": 1}))
        .always(Answer::modify(ToolPreInvokePayload::new("shell")))
        .build();
    let entry = json!({"priority": 2, "conditions": [{"tools": ["shell"]}]});
    let shell = guard("Shell", entry).always(no()).build();
    let chain = chain_of([&rename, &shell]).build().unwrap();
    let passed = run(&chain, "search").await.unwrap();
    assert_eq!(statuses(passed.report())["Shell"], "skipped");
    assert!(run(&chain, "shell").await.is_err());
}
