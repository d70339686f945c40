//! The adapter in an engine, over the reference server and its plugins in Python.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../../../tests/common"]
#[allow(dead_code, unused_imports, unexpected_cfgs)]
mod common {
    pub(crate) mod reference;
}

use std::sync::Arc;

use common::reference::ReferenceServer;
use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use praxis_policy::praxis_policy_core::executor::PipelineResult;
use praxis_policy::prelude::{CmfHook, Extensions, Message, MessagePayload};
use serde_json::{Value, json};

/// An engine with one entry for this plugin of the server's, initialised.
async fn engine(
    server: &ReferenceServer,
    plugin: &str,
    hooks: &[&str],
    payload: &str,
) -> Arc<PolicyEngine> {
    let engine = Arc::new(PolicyEngine::default());
    HookwireFactory::new().register(&engine);
    let entry = json!({
        "name": plugin, "kind": "external", "hooks": hooks,
        "config": {"unix_socket": {"path": server.socket()}, "payload": payload},
    });
    let file = json!({"engine_settings": {"dispatch": "hooks"}, "plugins": [entry]});
    engine.load_config_yaml(&file.to_string()).unwrap();
    engine.initialize().await.unwrap();
    engine
}

async fn ask(engine: &PolicyEngine, hook: &str, part: &Value) -> PipelineResult {
    let message = json!({"role": "assistant", "content": [part], "channel": "final"});
    let message: Message = serde_json::from_value(message).unwrap();
    let payload = MessagePayload { message };
    let (result, _) =
        engine.invoke_named::<CmfHook>(hook, payload, Extensions::default(), None).await;
    result
}

/// The one part of what the engine goes on with.
fn part(result: &PipelineResult) -> Value {
    assert!(result.continue_processing, "{:?}", result.violation);
    let payload = result.modified_payload.as_ref().unwrap();
    let payload = payload.as_any().downcast_ref::<MessagePayload>().unwrap();
    serde_json::to_value(&payload.message).unwrap()["content"][0].clone()
}

fn tool(arguments: Value) -> Value {
    json!({"content_type": "tool_call", "content": {
        "tool_call_id": "1", "name": "search", "arguments": arguments, "namespace": "backend",
    }})
}

#[tokio::test]
async fn d7_every_hook_over_messages_goes_to_the_reference_server_and_comes_back_as_it_was() {
    let Some(server) = ReferenceServer::shared() else { return };
    let resource = |more: Value| {
        let mut content =
            json!({"resource_request_id": "1", "uri": "file:///a", "resource_type": "file"});
        content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        content
    };
    let line = json!({"schema_version": "2.0", "role": "user",
        "content": [{"content_type": "thinking", "text": "HM"}]});
    // In capitals already: the plugin changes texts to these, and here it has nothing to do.
    let cases = [
        ("cmf.tool_pre_invoke", tool(json!({"Q": "RUST", "N": 3, "F": 2.5, "ON": true}))),
        (
            "cmf.tool_post_invoke",
            json!({"content_type": "tool_result", "content": {
            "tool_call_id": "1", "tool_name": "search", "content": {"HITS": [1]}, "is_error": true}}),
        ),
        (
            "cmf.prompt_pre_invoke",
            json!({"content_type": "prompt_request", "content": {
            "prompt_request_id": "1", "name": "greet", "arguments": {"WHO": "ADA"}, "server_id": "eu"}}),
        ),
        (
            "cmf.prompt_post_invoke",
            json!({"content_type": "prompt_result", "content": {
            "prompt_request_id": "1", "prompt_name": "greet", "messages": [line], "is_error": false}}),
        ),
        (
            "cmf.resource_pre_fetch",
            json!({"content_type": "resource_ref",
            "content": resource(json!({"range_start": 3}))}),
        ),
        (
            "cmf.resource_post_fetch",
            json!({"content_type": "resource",
            "content": resource(json!({"content": "TEXT", "size_bytes": 4, "annotations": {"A": 1}}))}),
        ),
        ("cmf.llm_input", json!({"content_type": "text", "text": "HELLO"})),
        ("cmf.llm_output", json!({"content_type": "thinking", "text": "HM"})),
    ];
    let hooks = Vec::from_iter(cases.iter().map(|(hook, _)| *hook));
    let engine = engine(server, "Transform", &hooks, "auto").await;
    for (hook, sent) in cases {
        let result = ask(&engine, hook, &sent).await;
        assert_eq!(part(&result), sent, "{hook}");
    }
}

#[tokio::test]
async fn a_plugin_in_python_changes_a_message() {
    let Some(server) = ReferenceServer::shared() else { return };
    let engine = engine(server, "Transform", &["cmf.llm_input"], "auto").await;
    let result =
        ask(&engine, "cmf.llm_input", &json!({"content_type": "text", "text": "hello"})).await;
    assert!(result.payload_modified);
    assert_eq!(part(&result)["text"], "HELLO");
}

#[tokio::test]
async fn a_plugin_in_python_changes_a_legacy_payload() {
    let Some(server) = ReferenceServer::shared() else { return };
    let engine =
        engine(server, "Transform", &["cmf.tool_pre_invoke", "cmf.tool_post_invoke"], "legacy")
            .await;
    let mut call = tool(json!({"q": "rust", "n": 3, "f": 2.5}));
    call["content"]["namespace"] = json!(null);
    let result = ask(&engine, "cmf.tool_pre_invoke", &call).await;
    assert_eq!(part(&result)["content"]["arguments"], json!({"q": "RUST", "n": 3, "f": 2.5}));
    let told = json!({"content_type": "tool_result", "content": {
        "tool_call_id": "1", "tool_name": "search", "content": {"text": "found"}, "is_error": false}});
    let result = ask(&engine, "cmf.tool_post_invoke", &told).await;
    assert_eq!(part(&result)["content"]["content"], json!({"text": "FOUND"}));
}

#[tokio::test]
async fn d10_a_denial_in_python_has_its_fields() {
    let Some(server) = ReferenceServer::shared() else { return };
    let engine = engine(server, "Deny", &["cmf.tool_pre_invoke"], "auto").await;
    let mut call = tool(json!({}));
    call["content"]["namespace"] = json!(null);
    let result = ask(&engine, "cmf.tool_pre_invoke", &call).await;
    let violation = result.violation.unwrap();
    assert_eq!(violation.code, "FIXTURE_DENIED");
    assert_eq!(violation.proto_error_code, Some(-32001));
    assert_eq!(violation.details["http_status_code"], 429);
    assert!(violation.details.contains_key("http_headers"));
}

#[tokio::test]
async fn d8_a_namespace_stays_unsaid_in_python_too() {
    let Some(server) = ReferenceServer::shared() else { return };
    let engine = engine(server, "Deny", &["cmf.tool_pre_invoke"], "auto").await;
    let result = ask(&engine, "cmf.tool_pre_invoke", &tool(json!({}))).await;
    assert_eq!(result.violation.unwrap().code, "plugin_error");
}

/// A verdict that cannot be written whole comes as an error beside its half, which denies.
#[tokio::test]
async fn d10_a_denial_that_comes_as_an_error_is_not_for_on_error_to_ignore() {
    const PLUGINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/wire.yaml");
    if common::reference::venv().is_none() {
        return;
    }
    let server = ReferenceServer::start(&[("PLUGINS_CONFIG_PATH", PLUGINS)]).unwrap();
    let engine = Arc::new(PolicyEngine::default());
    HookwireFactory::new().register(&engine);
    let entry = json!({
        "name": "Says", "kind": "external", "hooks": ["cmf.tool_pre_invoke"], "on_error": "ignore",
        "config": {"unix_socket": {"path": server.socket()}},
    });
    let file = json!({"engine_settings": {"dispatch": "hooks"}, "plugins": [entry]});
    engine.load_config_yaml(&file.to_string()).unwrap();
    engine.initialize().await.unwrap();
    let asked = |place: &str| {
        json!({"content_type": "tool_call", "content": {
            "tool_call_id": "1", "name": "tool", "arguments": {"what": "datetime", "where": place}}})
    };
    let denied = ask(&engine, "cmf.tool_pre_invoke", &asked("violation")).await;
    assert!(!denied.continue_processing);
    assert_ne!(denied.violation.unwrap().code, "plugin_error");
    let ignored = ask(&engine, "cmf.tool_pre_invoke", &asked("global state")).await;
    assert!(ignored.continue_processing);
    assert_eq!(ignored.errors.len(), 1);
}
