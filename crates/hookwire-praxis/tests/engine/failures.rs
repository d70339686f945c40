//! Calls that fail, as the engine is told of them.

use std::sync::Arc;

use praxis_policy::PolicyEngine;
use serde_json::{Value, json};

use crate::world::{TOOL_PRE, World, call, code, entry, file, in_time, loaded, started};

#[tokio::test]
async fn d1_a_failure_reaches_on_error() {
    let world = World::new(["tool_pre_invoke"]).await;
    let fails = || json!({"fail": "my own words"});
    let engine = world.engine(json!({"on_error": "fail"})).await;
    assert_eq!(code(&call(&engine, fails()).await), Some("plugin_error"));
    let engine = world.engine(json!({"on_error": "ignore"})).await;
    let result = call(&engine, fails()).await;
    assert_eq!(code(&result), None);
    assert_eq!(result.errors.len(), 1);
}

#[tokio::test]
async fn d12_an_error_tells_its_kind_and_whether_it_was_sent_and_no_words_of_the_plugin() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({"on_error": "ignore"})).await;
    let result = call(&engine, json!({"fail": "quoting a secret"})).await;
    let error = &result.errors[0];
    assert_eq!(error.plugin_name, "Guard");
    assert_eq!(error.code.as_deref(), Some("plugin"));
    assert_eq!(error.details["was_sent"], "maybe");
    assert_eq!(error.details["reason"], "plugin_error");
    assert!(error.proto_error_code.is_some());
    let told = format!("{error:?}");
    assert!(!told.contains("secret") && !told.contains("guard.sock"), "{told}");
}

#[tokio::test]
async fn d12_a_server_that_is_gone_is_told_of_without_its_path() {
    let mut world = World::new(["tool_pre_invoke"]).await;
    let socket = json!({
        "path": world.socket(), "timeout": 0.2, "reconnect_attempts": 1, "reconnect_delay": 0.01,
    });
    let keys = json!({"on_error": "ignore", "config": {"unix_socket": socket}});
    let engine = world.engine(keys).await;
    world.stop().await;
    let result = call(&engine, json!({})).await;
    let error = &result.errors[0];
    assert!(!error.message.contains("guard.sock"), "{}", error.message);
    assert!(!format!("{:?}", error.details).contains("guard.sock"));
    assert_eq!(error.details["was_sent"], "no");
}

#[tokio::test]
async fn d12_the_reason_of_the_denial_is_a_sentence_for_the_hosts_client() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let result = call(&engine, json!({"fail": "quoting a secret"})).await;
    let reason = result.violation.unwrap().reason;
    assert!(reason.starts_with("Plugin 'Guard' failed: plugin 'Guard' failed: "), "{reason}");
    assert!(!reason.contains("secret") && !reason.contains('/'), "{reason}");
}

/// The reference's verdicts that cannot be sent whole come so. `on_error: ignore` must not let
/// them pass.
#[tokio::test]
async fn an_answer_that_cannot_be_applied_is_an_error_and_changes_nothing() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let changed = json!({"name": "search", "args": {}, "headers": {"a": "b"}});
    let answer = json!({
        "continue_processing": true, "modified_payload": changed, "http_headers": {"A": "b"},
    });
    let result = call(&engine, json!({"answer": answer, "global": {"x": 1}})).await;
    assert_eq!(code(&result), Some("plugin_error"));
    assert!(result.context_table.global_state.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_no_message_is_an_error() {
    let world = World::new(["cmf.tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let answer = json!({"continue_processing": true, "modified_payload": {"message": {"role": 3}}});
    assert_eq!(code(&call(&engine, json!({"answer": answer})).await), Some("plugin_error"));
}

#[tokio::test]
async fn d5_a_plugin_that_its_server_does_not_know_or_spells_otherwise_fails_the_start() {
    let world = World::new(["tool_pre_invoke"]).await;
    for (name, part) in [("guard", "`Guard`"), ("Other", "Other")] {
        let engine = loaded(json!([world.entry(json!({"config": {"name": name}}))])).unwrap();
        let error = in_time(engine.initialize()).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!engine.is_initialized());
    }
}

#[tokio::test]
async fn d5_a_hook_that_its_server_does_not_serve_fails_the_start() {
    let world = World::new(["tool_post_invoke"]).await;
    let engine = loaded(json!([world.entry(json!({}))])).unwrap();
    let error = in_time(engine.initialize()).await.unwrap_err().to_string();
    assert!(error.contains("needs `cmf.tool_pre_invoke` or `tool_pre_invoke`"), "{error}");
    assert!(error.contains("tool_post_invoke"), "{error}");
}

#[tokio::test]
async fn d5_a_plugin_that_is_disabled_on_its_server_fails_the_start() {
    let mut world = World::without_server(["tool_pre_invoke"]);
    world.start_in("disabled").await;
    let engine = loaded(json!([world.entry(json!({}))])).unwrap();
    let error = in_time(engine.initialize()).await.unwrap_err().to_string();
    assert!(error.contains("disabled"), "{error}");
}

/// The server acts on its own mode first, and would suppress the denial.
#[tokio::test]
async fn d13_with_strict_a_plugin_that_is_weaker_on_its_server_fails_the_start() {
    let mut world = World::without_server(["tool_pre_invoke"]);
    world.start_in("transform").await;
    let start = async |verify: Value| {
        let socket = json!({"path": world.socket(), "verify": verify});
        let entry = world.entry(json!({"config": {"unix_socket": socket}}));
        in_time(loaded(json!([entry])).unwrap().initialize()).await
    };
    start(json!(true)).await.unwrap();
    let error = start(json!("strict")).await.unwrap_err().to_string();
    assert!(error.contains("transform"), "{error}");
}

#[tokio::test]
async fn d5_plugins_of_a_second_file_are_called_without_a_start() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine =
        started(json!([world.entry(json!({"name": "First", "config": {"name": "Guard"}}))])).await;
    let second = json!([
        world.entry(json!({"name": "Second", "config": {"name": "Guard", "start": "lazy"}}))
    ]);
    engine.load_config_yaml(&file(second)).unwrap();
    // Returns at once, and does nothing.
    in_time(engine.initialize()).await.unwrap();
    let result = call(&engine, json!({})).await;
    assert_eq!(code(&result), None);
    assert!(!world.script.seen().is_empty());
}

#[tokio::test]
async fn d6_a_server_that_is_not_there_fails_the_start() {
    let world = World::without_server(["tool_pre_invoke"]);
    let engine = loaded(json!([impatient(&world, "eager")])).unwrap();
    let error = in_time(engine.initialize()).await.unwrap_err().to_string();
    // For the operator: with the path.
    assert!(error.contains("guard.sock"), "{error}");
}

#[tokio::test]
async fn d6_a_lazy_plugin_starts_without_its_server_and_denies_until_it_is_there() {
    let mut world = World::without_server(["tool_pre_invoke"]);
    let engine = started(json!([impatient(&world, "lazy")])).await;
    assert_eq!(code(&call(&engine, json!({})).await), Some("plugin_error"));
    world.start().await;
    comes_back(&engine).await;
}

#[tokio::test]
async fn d6_an_engine_whose_start_failed_can_be_started_again() {
    let there = World::new(["tool_pre_invoke"]).await;
    let mut missing = World::without_server(["tool_pre_invoke"]);
    let mut second = impatient(&missing, "eager");
    second["name"] = json!("Missing");
    second["config"]["name"] = json!("Guard");
    let engine = loaded(json!([there.entry(json!({})), second])).unwrap();
    in_time(engine.initialize()).await.unwrap_err();
    missing.start().await;
    // The connections that were waiting for it are gone with the failed start.
    in_time(engine.initialize()).await.unwrap();
    assert_eq!(code(&call(&engine, json!({})).await), None);
    assert_eq!((there.script.seen().len(), missing.script.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_plugin_that_the_engine_never_calls_needs_no_server() {
    let world = World::without_server(["tool_pre_invoke"]);
    let engine = loaded(json!([world.entry(json!({"mode": "disabled"}))])).unwrap();
    in_time(engine.initialize()).await.unwrap();
    assert_eq!(code(&call(&engine, json!({})).await), None);
}

#[tokio::test]
async fn d14_with_fail_a_plugin_is_back_with_its_server_and_with_disable_it_is_not() {
    let mut world = World::new(["tool_pre_invoke"]).await;
    let entry = |on_error: &str| {
        let mut entry = impatient(&world, "eager");
        entry["on_error"] = json!(on_error);
        entry
    };
    let fail = started(json!([entry("fail")])).await;
    let disable = started(json!([entry("disable")])).await;
    world.stop().await;
    assert_eq!(code(&call(&fail, json!({})).await), Some("plugin_error"));
    assert_eq!(code(&call(&disable, json!({})).await), None);
    world.start().await;
    comes_back(&fail).await;
    let denies = json!({"answer": {"continue_processing": false}});
    assert_eq!(code(&call(&fail, denies.clone()).await), Some("plugin_deny"));
    // The engine asks it no more.
    assert_eq!(code(&call(&disable, denies).await), None);
}

#[tokio::test]
async fn d15_the_engines_own_limit_denies_and_the_next_call_is_fine() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = Arc::new(PolicyEngine::default());
    hookwire_praxis::HookwireFactory::new().register(&engine);
    let config = json!({
        "engine_settings": {"dispatch": "hooks", "plugin_timeout": 1},
        "plugins": [world.entry(json!({}))],
    });
    engine.load_config_yaml(&config.to_string()).unwrap();
    in_time(engine.initialize()).await.unwrap();
    assert_eq!(code(&call(&engine, json!({"hang": true})).await), Some("plugin_timeout"));
    assert_eq!(code(&call(&engine, json!({})).await), None);
}

#[tokio::test]
async fn d15_a_limit_below_the_engines_tells_what_happened() {
    let world = World::new(["tool_pre_invoke"]).await;
    let socket = json!({"path": world.socket(), "timeout": 0.05});
    let keys = json!({"on_error": "ignore", "config": {"unix_socket": socket, "start": "lazy"}});
    let engine = world.engine(keys).await;
    let result = call(&engine, json!({"hang": true})).await;
    let error = &result.errors[0];
    assert_eq!(error.code.as_deref(), Some("timeout"));
    assert!(error.details.contains_key("was_sent"));
}

/// An entry whose calls fail soon without a server.
fn impatient(world: &World, start: &str) -> Value {
    let socket = json!({
        "path": world.socket(), "timeout": 0.5, "reconnect_attempts": 1, "reconnect_delay": 0.01,
        "max_backoff": 0.05, "breaker_max_open": 0.05,
    });
    entry(
        &world.socket(),
        json!({"hooks": [TOOL_PRE], "config": {"unix_socket": socket, "start": start}}),
    )
}

/// Calls until one passes: each fails by itself before long.
async fn comes_back(engine: &PolicyEngine) {
    in_time(async { while code(&call(engine, json!({})).await).is_some() {} }).await;
}
